"""What an activity reads like: the sentence is made where it is read, in the reader's language."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from django.utils.translation import gettext as _

from billing.activity import verbs
from billing.mirror.facts import PaymentFailure, PaymentMethodFacts, SubscriptionStatus
from billing.money import format_money
from billing.thread import server
from billing.thread.shapes import ATTENTION, GOOD, STOPPED, WAITING, Moment
from billing.thread.situation import ActivityFacts, Situation
from billing.thread.words import day_words, method_words, reason_words

Telling = tuple[str, str, str]  # title, detail, tone


def tell(activity: ActivityFacts, situation: Situation) -> Moment | None:
    """Return the activity as a moment of the past; None for a verb that has no sentence for customers."""
    teller = TELLERS.get(activity.verb)
    if teller is None:
        return None
    title, detail, tone = teller(with_reason(activity, situation), situation)
    return Moment(activity.at, title, detail, tone)


def with_reason(activity: ActivityFacts, situation: Situation) -> Mapping[str, Any]:
    """Return the activity's data, with the bank's reason where it reached us after the news of the failure."""
    failure, invoice = situation.failure, situation.troubled
    known = activity.data.get("code") or activity.data.get("message")
    if activity.verb != verbs.INVOICE_PAYMENT_FAILED or known or not failure or not invoice:
        return activity.data
    if activity.subject_id != invoice.id:
        return activity.data
    words = {"code": failure.code, "decline_code": failure.decline_code, "message": failure.message}
    return {**activity.data, **words}


def tell_activated(data: Mapping[str, Any], situation: Situation) -> Telling:
    plan = {"plan": name_plan(data, situation)}
    if data.get("status") == SubscriptionStatus.TRIALING:
        return _("The trial of %(plan)s began.") % plan, "", GOOD
    return _("%(plan)s became active.") % plan, "", GOOD


def tell_changed(data: Mapping[str, Any], situation: Situation) -> Telling:
    return _("Your plan is now %(plan)s.") % {"plan": name_plan(data, situation)}, "", GOOD


def tell_past_due(data: Mapping[str, Any], situation: Situation) -> Telling:
    return _("%(plan)s became past due.") % {"plan": name_plan(data, situation)}, "", ATTENTION


def tell_unpaid(data: Mapping[str, Any], situation: Situation) -> Telling:
    return _("Stripe stopped trying to collect for %(plan)s.") % {"plan": name_plan(data, situation)}, "", ATTENTION


def tell_paused(data: Mapping[str, Any], situation: Situation) -> Telling:
    return _("%(plan)s was paused.") % {"plan": name_plan(data, situation)}, "", WAITING


def tell_canceled(data: Mapping[str, Any], situation: Situation) -> Telling:
    plan = {"plan": name_plan(data, situation)}
    if data.get("status") == SubscriptionStatus.INCOMPLETE_EXPIRED:
        return _("The order of %(plan)s lapsed.") % plan, _("Nothing was charged."), STOPPED
    return _("%(plan)s ended.") % plan, "", STOPPED


def tell_cancellation(data: Mapping[str, Any], situation: Situation) -> Telling:
    title = _("%(plan)s was cancelled.") % {"plan": name_plan(data, situation)}
    if not data.get("ends_at"):
        return title, "", WAITING
    day = day_words(datetime.fromtimestamp(data["ends_at"], UTC), now=situation.now, language=situation.language)
    return title, _("It goes on until %(day)s.") % {"day": day}, WAITING


def tell_resumed(data: Mapping[str, Any], situation: Situation) -> Telling:
    return _("%(plan)s goes on as before.") % {"plan": name_plan(data, situation)}, "", GOOD


def tell_paid(data: Mapping[str, Any], situation: Situation) -> Telling:
    return _("You paid %(money)s.") % {"money": name_money(data, situation)}, name_invoice(data), GOOD


def tell_failed(data: Mapping[str, Any], situation: Situation) -> Telling:
    failure = PaymentFailure(data.get("code", ""), data.get("decline_code", ""), data.get("message", ""), False)
    title = _("Your payment of %(money)s did not go through.") % {"money": name_money(data, situation)}
    return title, reason_words(failure) or name_invoice(data), ATTENTION


def tell_ordered(data: Mapping[str, Any], situation: Situation) -> Telling:
    return _("You ordered %(plan)s.") % {"plan": name_plan(data, situation)}, "", WAITING


def tell_method(data: Mapping[str, Any], situation: Situation) -> Telling:
    method = PaymentMethodFacts(
        "", data.get("type") or "card", data.get("brand") or "", data.get("last4") or "", None, None
    )
    return _("Your payment method is now %(method)s.") % {"method": method_words(method)}, "", GOOD


def tell_notice(data: Mapping[str, Any], situation: Situation) -> Telling:
    """In the reader's language where the text has it, else in English, else in whichever there is."""
    text = data.get("text") or ""
    if isinstance(text, dict):
        text = text.get(situation.language) or text.get("en") or next(iter(text.values()))
    return str(text), "", GOOD


def tell_suspended(data: Mapping[str, Any], situation: Situation) -> Telling:
    detail = _("%(money)s was not paid.") % {"money": name_money(data, situation)} if data.get("amount") else ""
    return _("Access was suspended."), detail, STOPPED


def tell_restored(data: Mapping[str, Any], situation: Situation) -> Telling:
    return _("Access came back."), "", GOOD


TELLERS: dict[str, Callable[[Mapping[str, Any], Situation], Telling]] = {
    verbs.SUBSCRIPTION_ACTIVATED: tell_activated,
    verbs.SUBSCRIPTION_CHANGED: tell_changed,
    verbs.SUBSCRIPTION_PAST_DUE: tell_past_due,
    verbs.SUBSCRIPTION_UNPAID: tell_unpaid,
    verbs.SUBSCRIPTION_CANCELED: tell_canceled,
    verbs.SUBSCRIPTION_PAUSED: tell_paused,
    verbs.SUBSCRIPTION_CANCELLATION_SCHEDULED: tell_cancellation,
    verbs.SUBSCRIPTION_RESUMED: tell_resumed,
    verbs.INVOICE_PAID: tell_paid,
    verbs.INVOICE_PAYMENT_FAILED: tell_failed,
    verbs.CHECKOUT_COMPLETED: tell_ordered,
    verbs.PAYMENT_METHOD_CHANGED: tell_method,
    verbs.ACCESS_SUSPENDED: tell_suspended,
    verbs.ACCESS_RESTORED: tell_restored,
    verbs.NOTICE_PUBLISHED: tell_notice,
    **server.TELLERS,
}


def name_plan(data: Mapping[str, Any], situation: Situation) -> str:
    return situation.product_names.get(data.get("product_id", ""), "") or _("Your subscription")


def name_money(data: Mapping[str, Any], situation: Situation) -> str:
    return format_money(data.get("amount") or 0, data.get("currency") or "usd", situation.language)


def name_invoice(data: Mapping[str, Any]) -> str:
    return _("Invoice %(number)s.") % {"number": data["number"]} if data.get("number") else ""
