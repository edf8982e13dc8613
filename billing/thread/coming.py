"""NEXT: what comes and when, computed from the subscription, its invoices, its schedule and an open order."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from billing.entitlements.foreseen import Act
from billing.mirror.facts import InvoiceFacts, InvoiceStatus, ItemFacts, SubscriptionFacts, SubscriptionStatus
from billing.thread.present import TIME_FOR_FIRST_PAYMENT, is_being_confirmed, plan_name, say_money, say_sum
from billing.thread.server import coming_of_server
from billing.thread.shapes import ATTENTION, STOPPED, WAITING, Moment
from billing.thread.situation import Situation
from billing.thread.words import clock_words, join_sentences, method_words

# Stripe makes renewal invoices in these; in the others nothing is charged by itself.
RENEWING = frozenset({SubscriptionStatus.ACTIVE, SubscriptionStatus.TRIALING, SubscriptionStatus.PAST_DUE})


def what_comes(situation: Situation) -> list[Moment]:
    """Return what is to come, soonest first; what waits for somebody, without a date, last."""
    sub, order = situation.subscription, situation.order
    if sub and order and is_being_confirmed(sub, order):
        return []
    moments = [*coming_of_order(situation), *coming_of_invoices(situation), *coming_of_server(situation)]
    if situation.subscription:
        moments += coming_of_subscription(situation.subscription, situation)
    future = [moment for moment in moments if moment.at is None or moment.at > situation.now]
    return sorted(future, key=lambda moment: (moment.at is None, moment.at or situation.now))


def coming_of_order(situation: Situation) -> Iterator[Moment]:
    order, sub = situation.order, situation.subscription
    if order and not order.returned and order.expires_at and (sub is None or not sub.living):
        closing = _("The payment page closes at %(clock)s. If you have not paid by then, nothing is charged.")
        yield Moment(order.expires_at, closing % {"clock": clock_words(order.expires_at, situation.language)})


def coming_of_invoices(situation: Situation) -> Iterator[Moment]:
    waiting = situation.waiting
    if len(waiting) > 1:
        yield Moment(None, say_several(waiting, situation), tone=ATTENTION)
    for invoice in situation.invoices:
        if invoice.owed and (len(waiting) < 2 or invoice not in waiting):
            yield coming_of_owed(invoice, situation)
        elif invoice.status is InvoiceStatus.DRAFT and invoice.auto_advance and invoice.amount_due > 0:
            at = invoice.finalizes_at or situation.now
            yield Moment(
                at, charge_words(say_money(invoice.amount_due, invoice.currency, situation), invoice, situation)
            )


def say_several(invoices: Sequence[InvoiceFacts], situation: Situation) -> str:
    count = len(invoices)
    return ngettext(
        "%(n)d invoice is to be paid, %(money)s in all.", "%(n)d invoices are to be paid, %(money)s in all.", count
    ) % {"n": count, "money": say_sum(invoices, situation)}


def coming_of_owed(invoice: InvoiceFacts, situation: Situation) -> Moment:
    money = say_money(invoice.amount_remaining, invoice.currency, situation)
    if invoice.next_payment_attempt and invoice.next_payment_attempt > situation.now:
        if invoice.attempt_count:
            return Moment(invoice.next_payment_attempt, retry_words(money, situation), tone=ATTENTION)
        return Moment(invoice.next_payment_attempt, charge_words(money, invoice, situation))
    if invoice.due_date and invoice.due_date > situation.now:
        return Moment(invoice.due_date, _("Your invoice of %(money)s is due.") % {"money": money}, tone=WAITING)
    return Moment(None, _("Your invoice of %(money)s is to be paid.") % {"money": money}, tone=ATTENTION)


def retry_words(money: str, situation: Situation) -> str:
    method = method_words(situation.method)
    if not method:
        return _("We try again to charge %(money)s.") % {"money": money}
    return _("We try again to charge %(money)s to %(method)s.") % {"money": money, "method": method}


def charge_words(money: str, source: InvoiceFacts | SubscriptionFacts, situation: Situation) -> str:
    method = method_words(situation.method)
    if source.collection_method == "send_invoice":
        return _("We send you an invoice of %(money)s.") % {"money": money}
    if not method:
        return _("%(money)s falls due. Add a payment method, so that it can be charged.") % {"money": money}
    return _("We charge %(money)s to %(method)s.") % {"money": money, "method": method}


def coming_of_subscription(sub: SubscriptionFacts, situation: Situation) -> Iterator[Moment]:
    if sub.status is SubscriptionStatus.INCOMPLETE:
        lapse = _("If the first payment has not succeeded, the order lapses. Nothing is charged.")
        yield Moment(sub.created + TIME_FOR_FIRST_PAYMENT, lapse, tone=STOPPED)
    if sub.collection_resumes_at:
        yield Moment(sub.collection_resumes_at, _("Payments are collected again."))
    if sub.living and sub.ends_at:
        yield coming_end(sub, sub.ends_at, situation)
    yield from coming_of_schedule(sub, situation)
    if sub.living and (rests := situation.foreseen(Act.REST)):
        yield coming_rest(rests, sub, situation)
    ends = situation.foreseen(Act.END)
    if ends:
        yield coming_cancellation(ends, sub, situation)
    if sub.status in RENEWING and not sub.collection_paused and not (situation.suspended and ends):
        yield from coming_renewals(sub, situation, until=ends)


def coming_rest(at: datetime, sub: SubscriptionFacts, situation: Situation) -> Moment:
    title = _("Access to %(plan)s stops if the invoice is not paid by then.") % {"plan": plan_name(sub, situation)}
    return Moment(at, title, _("Your data are safe, and access comes back by itself as soon as it is paid."), ATTENTION)


def coming_cancellation(at: datetime, sub: SubscriptionFacts, situation: Situation) -> Moment:
    title = _("%(plan)s is cancelled if the invoice is not paid by then.") % {"plan": plan_name(sub, situation)}
    last = situation.foreseen(Act.TRY)
    tried = _("We try a last time to charge it before that.") if last and last <= at else ""
    return Moment(at, title, join_sentences((tried, _("Nothing more is charged.")), situation.language), STOPPED)


def coming_end(sub: SubscriptionFacts, end: datetime, situation: Situation) -> Moment:
    if any(item.metered for item in sub.items):
        detail = _("Only usage until then is charged.")
    elif renewals_before(sub, end):
        detail = _("Renewals before that day are charged as usual.")
    else:
        detail = _("Nothing more is charged.")
    return Moment(end, _("%(plan)s ends.") % {"plan": plan_name(sub, situation)}, detail, STOPPED)


def renewals_before(sub: SubscriptionFacts, end: datetime) -> bool:
    return any(item.period_end and item.period_end < end for item in sub.items)


def coming_of_schedule(sub: SubscriptionFacts, situation: Situation) -> Iterator[Moment]:
    schedule = situation.schedule
    if not schedule or not schedule.running or schedule.id != sub.schedule_id:
        return
    for phase in schedule.phases:
        names = [situation.product_names.get(situation.price_products.get(p, ""), "") for p in phase.price_ids]
        plan = " + ".join(dict.fromkeys(filter(None, names)))
        if plan and plan != plan_name(sub, situation):
            yield Moment(phase.start, _("Your plan changes to %(plan)s.") % {"plan": plan})
    last = schedule.phases[-1].end if schedule.phases else None
    if schedule.end_behavior == "cancel" and last and last != sub.ends_at:
        ends = _("%(plan)s ends.") % {"plan": plan_name(sub, situation)}
        yield Moment(last, ends, _("Nothing more is charged."), STOPPED)


def coming_renewals(sub: SubscriptionFacts, situation: Situation, *, until: datetime | None = None) -> Iterator[Moment]:
    """Yield one moment for each day on which items renew, unless the subscription or its phase ends by then.

    `until`: when it is cancelled if nothing changes.
    """
    by_end: dict[datetime, list[ItemFacts]] = defaultdict(list)
    for item in sub.items:
        if item.period_end:
            by_end[item.period_end].append(item)
    for at, items in by_end.items():
        if (sub.ends_at and sub.ends_at <= at) or (until and until <= at) or changes_at(at, sub, situation):
            continue
        yield coming_renewal(at, tuple(items), sub, situation)


def changes_at(at: datetime, sub: SubscriptionFacts, situation: Situation) -> bool:
    """Whether a schedule sets other prices by then: the amount of today's items would be wrong."""
    schedule = situation.schedule
    if not schedule or not schedule.running or schedule.id != sub.schedule_id:
        return False
    today = {item.price_id for item in sub.items}
    others = any(situation.now < p.start <= at and set(p.price_ids) != today for p in schedule.phases)
    last = schedule.phases[-1].end if schedule.phases else None
    return others or (schedule.end_behavior == "cancel" and last is not None and last <= at)


def coming_renewal(at: datetime, items: tuple[ItemFacts, ...], sub: SubscriptionFacts, situation: Situation) -> Moment:
    if sub.status is SubscriptionStatus.TRIALING and not situation.method and sub.collection_method != "send_invoice":
        ending = trial_ending(sub, situation)
        if ending:
            return Moment(at, *ending)
    amounts = [item.amount for item in items]
    known = [amount for amount in amounts if amount is not None]
    detail = renewal_detail(sub, situation.language, unknown=len(known) < len(amounts))
    if not known:
        return Moment(at, _("%(plan)s renews.") % {"plan": plan_name(sub, situation)}, detail)
    if sum(known) == 0 and len(known) == len(amounts):
        title = _("%(plan)s renews, free of charge.") % {"plan": plan_name(sub, situation)}
        return Moment(at, title)
    return Moment(at, charge_words(say_money(sum(known), sub.currency, situation), sub, situation), detail)


def trial_ending(sub: SubscriptionFacts, situation: Situation) -> tuple[str, str, str] | None:
    """Say what a trial without payment method ends in, None when an invoice is made all the same."""
    plan = plan_name(sub, situation)
    if sub.trial_without_method == "cancel":
        title = _("The trial and %(plan)s end unless you add a payment method.") % {"plan": plan}
        return title, _("Nothing is charged."), WAITING
    if sub.trial_without_method == "pause":
        title = _("The trial ends and %(plan)s pauses unless you add a payment method.") % {"plan": plan}
        return title, _("Nothing is charged."), WAITING
    return None


def renewal_detail(sub: SubscriptionFacts, language: str, *, unknown: bool) -> str:
    """Say what today's amount leaves out, because it is known only when the invoice is made."""
    parts = [
        _("Usage is added.") if unknown else "",
        _("Before your discount.") if sub.discounted else "",
        _("Plus tax where it applies.") if sub.taxed else "",
    ]
    return join_sentences(parts, language)
