"""PAST: what happened. Activities tell it; what only the mirror knows (a resync is no news) is added from facts."""

from collections.abc import Iterator

from django.utils.translation import gettext as _

from billing.activity import verbs
from billing.mirror.facts import SubscriptionFacts, SubscriptionStatus
from billing.mirror.shapes import LONG_AGO
from billing.thread.present import plan_name, say_money
from billing.thread.sentences import tell
from billing.thread.shapes import GOOD, STOPPED, Moment
from billing.thread.situation import Situation


def what_happened(situation: Situation, *, limit: int) -> list[Moment]:
    """Return at most `limit` moments, newest first; the same fact is told once."""
    moments = [
        *endings(situation),
        *from_activities(situation),
        *from_invoices(situation),
        *beginnings(situation),
    ]
    past = [moment for moment in moments if moment.at and moment.at <= situation.now]
    return sorted(past, key=lambda moment: moment.at or situation.now, reverse=True)[:limit]


def from_activities(situation: Situation) -> Iterator[Moment]:
    """Tell the news. What Stripe dates to the same second is told as cause and effect: paid, and so active."""
    oldest_first = sorted(situation.activities, key=lambda news: (news.at, news.verb.startswith("subscription:")))
    for activity in reversed(oldest_first):
        moment = tell(activity, situation)
        if moment:
            yield moment


def from_invoices(situation: Situation) -> Iterator[Moment]:
    told = {activity.subject_id for activity in situation.activities if activity.verb == verbs.INVOICE_PAID}
    for invoice in situation.invoices:
        if invoice.paid_at and invoice.amount_paid > 0 and invoice.id not in told:
            money = say_money(invoice.amount_paid, invoice.currency, situation)
            detail = _("Invoice %(number)s.") % {"number": invoice.number} if invoice.number else ""
            yield Moment(invoice.paid_at, _("You paid %(money)s.") % {"money": money}, detail, GOOD)


def beginnings(situation: Situation) -> Iterator[Moment]:
    sub = situation.subscription
    unfinished = (SubscriptionStatus.INCOMPLETE, SubscriptionStatus.INCOMPLETE_EXPIRED)
    if not sub or sub.created == LONG_AGO:  # Stripe's oldest objects do not say when they were made
        return
    if sub.status not in unfinished and not told_of(sub, verbs.SUBSCRIPTION_ACTIVATED, situation):
        yield Moment(sub.created, _("%(plan)s began.") % {"plan": plan_name(sub, situation)}, tone=GOOD)


def endings(situation: Situation) -> Iterator[Moment]:
    sub = situation.subscription
    if sub is None:
        return
    plan = {"plan": plan_name(sub, situation)}
    if sub.status is SubscriptionStatus.CANCELED and not told_of(sub, verbs.SUBSCRIPTION_CANCELED, situation):
        yield Moment(sub.ended_at, _("%(plan)s ended.") % plan, tone=STOPPED)
    if sub.ends_at and not told_of(sub, verbs.SUBSCRIPTION_CANCELLATION_SCHEDULED, situation):
        yield Moment(sub.canceled_at, _("%(plan)s was cancelled.") % plan)


def told_of(sub: SubscriptionFacts, verb: str, situation: Situation) -> bool:
    return any(news.verb == verb and news.subject_id == sub.id for news in situation.activities)
