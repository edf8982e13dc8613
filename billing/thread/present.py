"""NOW: what is so, in words, with the reason. One function a status."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta

from django.utils.translation import gettext as _

from billing.entitlements.access import State, SuspensionFacts
from billing.entitlements.foreseen import Act
from billing.mirror.facts import InvoiceFacts, SubscriptionFacts, SubscriptionStatus
from billing.money import format_money
from billing.thread.server import with_server
from billing.thread.shapes import ATTENTION, GOOD, STOPPED, WAITING, Now
from billing.thread.situation import CoverFacts, OrderFacts, Situation
from billing.thread.words import day_words, join_sentences, moment_words, reason_words

# Stripe docs: "Subscription statuses": an incomplete subscription expires after 23 hours.
TIME_FOR_FIRST_PAYMENT = timedelta(hours=23)


def what_is_so(situation: Situation) -> Now:
    sub, order = situation.subscription, situation.order
    if order and (sub is None or not sub.living or is_being_confirmed(sub, order)):
        return say_order(order, situation)
    if situation.cover and (sub is None or not sub.living):
        return say_covered(situation.cover, situation)
    if sub is None:
        return say_no_plan()
    if situation.suspended:
        return say_suspended(sub, situation.suspended, situation)
    return with_server(SAYINGS[sub.status](sub, situation), sub, situation)


def is_being_confirmed(sub: SubscriptionFacts, order: OrderFacts) -> bool:
    """Whether this is a moment of checkout: Stripe makes the subscription incomplete and completes it at once."""
    return order.returned and sub.status is SubscriptionStatus.INCOMPLETE


def say_covered(cover: CoverFacts, situation: Situation) -> Now:
    """Say what holds for an organization that another one pays for; nothing is to be done here, whatever it is."""
    names = {
        "plan": cover.plan_name or _("The plan"),
        "payer": cover.payer_name,
        "contact": cover.contact_name or cover.contact_email,
    }
    if cover.state is State.SUSPENDED:
        title = _("Access through %(payer)s is suspended.") % names
        reason = _(
            "%(payer)s pays for %(plan)s and has something to settle first. Your data are safe. Turn to %(contact)s."
        )
        return Now(title, reason % names, STOPPED, _("Suspended"))
    title = _("%(plan)s is active, through %(payer)s.") % names
    reasons = [_("%(payer)s pays for it. Nothing is charged to this organization.") % names]
    if cover.state is State.GRACE:
        reasons.append(_("A payment of theirs is not settled yet; until it is, everything works as before."))
    if cover.ends_at:
        reasons.append(_("It ends on %(day)s.") % {"day": say_day(cover.ends_at, situation)})
    calm = cover.state is State.ACTIVE and not cover.ends_at
    return Now(title, join_sentences(reasons, situation.language), GOOD if calm else WAITING, _("Active"))


def say_no_plan() -> Now:
    return Now(
        title=_("You have no plan yet."),
        reason=_("Choose one to begin. Nothing is charged before you confirm it on the payment page."),
        tone=STOPPED,
        word=_("No plan"),
    )


def say_order(order: OrderFacts, situation: Situation) -> Now:
    if order.returned:
        return Now(
            title=_("We are waiting for Stripe's confirmation of %(plan)s.") % {"plan": order.plan_name},
            reason=_("This usually takes seconds. You can close this page: nothing is lost."),
            tone=WAITING,
            word=_("Pending"),
        )
    return Now(
        title=_("Your payment page for %(plan)s is open.") % {"plan": order.plan_name},
        reason=_("Nothing is charged unless you pay there."),
        tone=WAITING,
        word=_("Checkout open"),
    )


def say_suspended(sub: SubscriptionFacts, suspension: SuspensionFacts, situation: Situation) -> Now:
    title = _("Access to %(plan)s is suspended.") % {"plan": plan_name(sub, situation)}
    return Now(title, reason_of_suspended(suspension, situation), STOPPED, _("Suspended"))


def reason_of_suspended(suspension: SuspensionFacts, situation: Situation) -> str:
    awaited = next((invoice for invoice in situation.invoices if invoice.id == suspension.invoice_id), None)
    if awaited is None:
        return _("We are looking into something. Your data are safe; write to us if you need access now.")
    owed = _("An invoice of %(money)s of %(day)s is not paid.") % {
        "money": say_money(awaited.amount_remaining, awaited.currency, situation),
        "day": say_day(awaited.finalized_at or awaited.created, situation),
    }
    opens = _("Your data are safe, and access comes back by itself as soon as it is paid.")
    said = (owed, reason_words(situation.failure), opens, what_follows(situation))
    return join_sentences(said, situation.language)


def what_follows(situation: Situation) -> str:
    """Say what comes if the invoice stays unpaid, and when; empty where nobody has said so."""
    rests, ends = situation.foreseen(Act.REST), situation.foreseen(Act.END)
    days = {
        "rests": say_day(rests, situation) if rests else "",
        "ends": say_day(ends, situation) if ends else "",
    }
    if rests and ends:
        return _("If it is not paid, access stops on %(rests)s and the subscription ends on %(ends)s.") % days
    if rests:
        return _("If it is not paid, access stops on %(rests)s.") % days
    return _("If it is not paid, the subscription ends on %(ends)s.") % days if ends else ""


def say_trialing(sub: SubscriptionFacts, situation: Situation) -> Now:
    plan, end = plan_name(sub, situation), sub.trial_end or sub.period_end
    reason = _("Nothing has been charged so far.")
    if sub.ends_at:
        reason = _("You have cancelled it: it ends then, and nothing is charged.")
    title = _("%(plan)s is on trial.") % {"plan": plan}
    if end:
        title = _("Your trial of %(plan)s runs until %(day)s.") % {"plan": plan, "day": say_day(end, situation)}
    return Now(title, reason, WAITING if sub.ends_at else GOOD, _("Trial"))


def say_active(sub: SubscriptionFacts, situation: Situation) -> Now:
    plan = plan_name(sub, situation)
    if sub.ends_at:
        return say_ending(sub, sub.ends_at, situation)
    if sub.collection_paused:
        return say_collection_paused(sub, situation)
    title, waiting = _("%(plan)s is active.") % {"plan": plan}, situation.troubled
    if waiting and waiting.failed:
        return Now(title, reason_of_failed(waiting, situation), ATTENTION, _("Payment failed"))
    return Now(title, reason_of_active(situation), GOOD, _("Active"))


def reason_of_failed(invoice: InvoiceFacts, situation: Situation) -> str:
    money = say_money(invoice.amount_remaining, invoice.currency, situation)
    failed = _("A payment of %(money)s did not go through.") % {"money": money}
    return join_sentences((failed, reason_words(situation.failure), what_follows(situation)), situation.language)


def say_ending(sub: SubscriptionFacts, end: datetime, situation: Situation) -> Now:
    if sub.canceled_at:
        reason = _("It was cancelled on %(day)s. Until it ends everything works as before.") % {
            "day": say_day(sub.canceled_at, situation)
        }
    else:
        reason = _("Until then everything works as before.")
    title = _("%(plan)s is active and ends on %(day)s.") % {
        "plan": plan_name(sub, situation),
        "day": say_day(end, situation),
    }
    return Now(title, reason, WAITING, _("Ending"))


def say_collection_paused(sub: SubscriptionFacts, situation: Situation) -> Now:
    reason = _("No payment is collected until this is lifted.")
    if sub.collection_resumes_at:
        reason = _("No payment is collected until %(day)s.") % {"day": say_day(sub.collection_resumes_at, situation)}
    title = _("%(plan)s is active; payments are paused.") % {"plan": plan_name(sub, situation)}
    return Now(title, reason, WAITING, _("Payments paused"))


def reason_of_active(situation: Situation) -> str:
    waiting, paid = situation.troubled, situation.last_paid
    if len(situation.waiting) > 1:
        return _("%(n)d invoices wait for your payment, %(money)s in all.") % {
            "n": len(situation.waiting),
            "money": say_sum(situation.waiting, situation),
        }
    if waiting:
        return _("An invoice of %(money)s waits for your payment.") % {
            "money": say_money(waiting.amount_remaining, waiting.currency, situation)
        }
    if paid and paid.paid_at:
        return _("Your payment of %(money)s arrived on %(day)s.") % {
            "money": say_money(paid.amount_paid, paid.currency, situation),
            "day": say_day(paid.paid_at, situation),
        }
    return _("Nothing is owed.")


def say_past_due(sub: SubscriptionFacts, situation: Situation) -> Now:
    parts = [reason_words(situation.failure), until_when(situation), what_follows(situation)]
    return Now(unpaid_title(sub, situation), join_sentences(parts, situation.language), ATTENTION, _("Past due"))


def unpaid_title(sub: SubscriptionFacts, situation: Situation) -> str:
    invoice = situation.troubled
    if invoice is None:
        return _("A payment for %(plan)s did not go through.") % {"plan": plan_name(sub, situation)}
    money = say_money(invoice.amount_remaining, invoice.currency, situation)
    if invoice.attempted:
        return _("Your payment of %(money)s did not go through.") % {"money": money}
    return _("Your payment of %(money)s is overdue.") % {"money": money}


def until_when(situation: Situation) -> str:
    invoice = situation.troubled
    if invoice and invoice.next_payment_attempt and invoice.next_payment_attempt > situation.now:
        return _("Your service goes on. We try again on %(day)s; use another card if you do not want to wait.") % {
            "day": say_day(invoice.next_payment_attempt, situation)
        }
    if invoice and invoice.collection_method == "send_invoice":
        return _("Your service goes on for now. Pay the invoice to keep it.")
    return _("Your service goes on for now, and no further attempt is planned: use another card or pay the invoice.")


def say_incomplete(sub: SubscriptionFacts, situation: Situation) -> Now:
    until = say_moment(sub.created + TIME_FOR_FIRST_PAYMENT, situation)
    parts = [
        reason_words(situation.failure),
        _("Pay by %(moment)s. Otherwise the order lapses and nothing is charged.") % {"moment": until},
    ]
    title = _("Your first payment for %(plan)s is not complete.") % {"plan": plan_name(sub, situation)}
    return Now(title, join_sentences(parts, situation.language), ATTENTION, _("Payment incomplete"))


def say_lapsed(sub: SubscriptionFacts, situation: Situation) -> Now:
    return Now(
        title=_("Your order of %(plan)s has lapsed.") % {"plan": plan_name(sub, situation)},
        reason=_("Its first payment did not succeed in time. Nothing was charged. You can choose a plan again."),
        tone=STOPPED,
        word=_("Lapsed"),
    )


def say_unpaid(sub: SubscriptionFacts, situation: Situation) -> Now:
    parts = [reason_words(situation.failure), _("Stripe has stopped trying. Pay the open invoice to go on.")]
    return Now(unpaid_title(sub, situation), join_sentences(parts, situation.language), ATTENTION, _("Unpaid"))


def say_paused(sub: SubscriptionFacts, situation: Situation) -> Now:
    return Now(
        title=_("%(plan)s is paused.") % {"plan": plan_name(sub, situation)},
        reason=_("Nothing is charged meanwhile. Add a payment method to go on."),
        tone=WAITING,
        word=_("Paused"),
    )


def say_canceled(sub: SubscriptionFacts, situation: Situation) -> Now:
    plan, ended = plan_name(sub, situation), sub.ended_at or sub.canceled_at
    title = _("%(plan)s has ended.") % {"plan": plan}
    if ended:
        title = _("%(plan)s ended on %(day)s.") % {"plan": plan, "day": say_day(ended, situation)}
    reason = _("Nothing more is charged. You can choose a plan again at any time.")
    if situation.owed:
        reason = _("It will not renew. One or more of its invoices are still to be paid.")
    return Now(title, reason, STOPPED, _("Ended"))


def say_unknown(sub: SubscriptionFacts, situation: Situation) -> Now:
    return Now(
        title=_("Stripe reports a state of %(plan)s that this page cannot name.") % {"plan": plan_name(sub, situation)},
        reason=_("Your invoices below are right. Write to us if you need to know more."),
        tone=ATTENTION,
        word=_("Unknown"),
    )


SAYINGS: dict[SubscriptionStatus, Callable[[SubscriptionFacts, Situation], Now]] = {
    SubscriptionStatus.TRIALING: say_trialing,
    SubscriptionStatus.ACTIVE: say_active,
    SubscriptionStatus.PAST_DUE: say_past_due,
    SubscriptionStatus.INCOMPLETE: say_incomplete,
    SubscriptionStatus.INCOMPLETE_EXPIRED: say_lapsed,
    SubscriptionStatus.UNPAID: say_unpaid,
    SubscriptionStatus.PAUSED: say_paused,
    SubscriptionStatus.CANCELED: say_canceled,
    SubscriptionStatus.UNKNOWN: say_unknown,
}


def plan_name(sub: SubscriptionFacts, situation: Situation) -> str:
    """Return the name of what is subscribed, several names joined, "Your subscription" when none is mirrored."""
    return name_of_items(sub, situation.product_names) or _("Your subscription")


def name_of_items(sub: SubscriptionFacts, names: Mapping[str, str]) -> str:
    """Join the names of what is subscribed; empty when none is mirrored."""
    return " + ".join(dict.fromkeys(filter(None, (names.get(item.product_id, "") for item in sub.items))))


def say_money(amount: int, currency: str, situation: Situation) -> str:
    return format_money(amount, currency, situation.language)


def say_sum(invoices: Iterable[InvoiceFacts], situation: Situation) -> str:
    """Say what is left to pay of all of them, each currency for itself."""
    sums: Counter[str] = Counter()
    for invoice in invoices:
        sums[invoice.currency] += invoice.amount_remaining
    return " + ".join(say_money(amount, currency, situation) for currency, amount in sorted(sums.items()))


def say_day(at: datetime, situation: Situation) -> str:
    return day_words(at, now=situation.now, language=situation.language)


def say_moment(at: datetime, situation: Situation) -> str:
    return moment_words(at, now=situation.now, language=situation.language)
