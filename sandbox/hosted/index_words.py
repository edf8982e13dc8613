"""What the front page says: times, states, and one sentence for every act. Pure."""

import datetime
from collections.abc import Mapping
from typing import Any

from sandbox.billing.wording import money
from sandbox.kinds import Doc

STATES = {
    "trialing": ("Trial", "calm"),
    "active": ("Active", "good"),
    "past_due": ("Past due", "wait"),
    "unpaid": ("Unpaid", "stop"),
    "incomplete": ("Incomplete", "wait"),
    "incomplete_expired": ("Never paid", "calm"),
    "paused": ("Paused", "wait"),
    "canceled": ("Canceled", "calm"),
    "paid": ("Paid", "good"),
    "open": ("Open", "wait"),
    "draft": ("Draft", "calm"),
    "void": ("Void", "calm"),
    "uncollectible": ("Written off", "stop"),
    "succeeded": ("Succeeded", "good"),
    "pending": ("Waiting", "wait"),
    "requires_payment_method": ("Not paid", "stop"),
    "delivered": ("Delivered", "good"),
    "ready": ("Ready", "good"),
    "advancing": ("Advancing", "wait"),
    "internal_failure": ("Failed", "stop"),
    "failed": ("Failed", "stop"),
    "lost": ("Lost", "stop"),
}
"""The word for a status and its colour."""
JOBS = {
    "subscription.step": "a subscription's period ends",
    "subscription.trial_will_end": "a trial is about to end",
    "invoice.finalize": "a draft invoice is finalised",
    "invoice.retry": "a failed payment is tried again",
    "refund.settle": "a refund settles",
    "checkout.expire": "a checkout page expires",
    "invoice.due": "an invoice falls due",
    "schedule.step": "a schedule's phase begins",
    "subscription.upcoming": "a renewal is announced",
    "test_clock.delete": "a test clock is deleted",
}
FAULTS = {
    "duplicate": "Webhooks come twice",
    "delayed": "Webhooks come late",
    "reordered": "Webhooks come in the wrong order",
    "lost": "Webhooks are lost",
    "slow": "Webhooks arrive slowly",
    "wrong_signature": "Webhooks are signed wrongly",
    "rate_limit": "The API answers 429",
    "server_error": "The API answers 500",
    "timeout": "The API does not answer",
    "latency": "The API is slow",
}
OF_DELIVERIES = ("duplicate", "delayed", "reordered", "lost", "slow", "wrong_signature")
TELLING = ("invoice.paid", "invoice.payment_failed", "customer.subscription.deleted", "customer.subscription.created")
"""Events that say most about what happened; they are named first."""
MOST_NAMED = 4
CARDS = {
    "pm_card_chargeCustomerFail": "fails when it is charged",
    "pm_card_authenticationRequired": "asks for 3-D Secure each time",
    "pm_card_visa": "pays",
}


def state(status: str) -> tuple[str, str]:
    return STATES.get(status, (status.replace("_", " ").capitalize(), "calm"))


def moment(at: int) -> str:
    """Sun 22 Nov 2026, 21:40"""
    return _utc(at).strftime("%a %-d %b %Y, %H:%M")


def date(at: int, now: int) -> str:
    """3 Dec, with the year when it is another one."""
    form = "%-d %b" if _utc(at).year == _utc(now).year else "%-d %b %Y"
    return _utc(at).strftime(form)


def span(seconds: int) -> str:
    """31 days, 5 hours: the largest unit alone."""
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if abs(seconds) >= size:
            count = round(abs(seconds) / size)
            return f"{count:,} {unit}{'' if count == 1 else 's'}"
    return "less than a minute"


def _utc(at: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(at, datetime.UTC)


def job(kind: str) -> str:
    return JOBS.get(kind, kind.replace(".", " ").replace("_", " "))


def next_of(subscription: Doc, retry_at: int | None, now: int) -> str:
    """What comes next for a subscription, in a few words."""
    ends = [item["current_period_end"] for item in subscription["items"]["data"]]
    if subscription["status"] in ("canceled", "incomplete_expired"):
        return f"Ended {date(subscription['ended_at'] or now, now)}"
    if subscription["cancel_at"]:
        return f"Ends {date(subscription['cancel_at'], now)}"
    if subscription["pause_collection"]:
        return "Payment collection is paused"
    if subscription["status"] == "trialing":
        return f"Trial ends {date(subscription['trial_end'], now)}"
    if subscription["status"] in ("past_due", "unpaid", "incomplete") and retry_at:
        return f"Tries again {date(retry_at, now)}"
    if subscription["status"] in ("incomplete", "paused"):
        return "Waits for the customer"
    return f"Renews {date(min(ends), now)}" if ends else ""


def sentence(path: str, said: Doc, form: Mapping[str, object]) -> str:
    """What an act's answer means."""
    if path == "/_sandbox/advance":
        return _advanced(said)
    if path.startswith("/_sandbox/test_clocks/"):
        return _clock_advanced(said)
    if path == "/_sandbox/faults":
        where = "Webhooks" if said["effect"] in OF_DELIVERIES else "your own program's log"
        return f"{FAULTS[said['effect']]} from now on: {rule(said)}. Make something happen and look at {where}."
    if path == "/_sandbox/faults/end":
        return "The fault is ended." if said["ended"] == 1 else f"{said['ended']} faults are ended."
    if path == "/_sandbox/deliveries/redeliver":
        count = said["queued"]
        if not count:
            return "Nothing was left to send again."
        return f"{_many(count, 'delivery', 'deliveries')} queued. Load the page again for the answer."
    if said.get("object") == "dispute":
        return (
            f"The bank disputes {amount(said['amount'], said['currency'])} ({said['reason'].replace('_', ' ')}). "
            "The money has left the balance, and the charge is marked as disputed."
        )
    if said.get("object") == "payment_intent":
        done = state(said["status"])[0].lower()
        return f"The payment of {amount(said['amount'], said['currency'])}: {done}. Last events tell what followed."
    if said.get("object") == "customer_cash_balance_transaction":
        arrived = amount(said["net_amount"], said["currency"])
        return f"{arrived} arrived by bank transfer. Last events tell what it paid."
    return str(said.get("sentence") or "Done.")


def _advanced(said: Doc) -> str:
    now, events = said.get("now"), said.get("events") or {}
    return (f"It is {moment(int(now))} UTC now." if now else "Time has moved on.") + _on_the_way(events)


def _clock_advanced(said: Doc) -> str:
    name = f"The test clock {said['name']}" if said["name"] else "The test clock"
    if said["status"] == "advancing":
        return f"{name} is under way. Load the page again in a moment."
    if said["status"] != "ready":
        return (
            f"{name} could not be advanced: something failed on the way. Last events and the sandbox's log tell more."
        )
    return f"{name} stands at {moment(said['now'])} UTC." + _on_the_way(said["events"])


def _on_the_way(events: Mapping[str, int]) -> str:
    """How much happened, and what most."""
    count = sum(events.values())
    if not count:
        return " Nothing happened on the way."
    most = sorted(events.items(), key=lambda one: (one[0] not in TELLING, -one[1], one[0]))[:MOST_NAMED]
    named = ", ".join(f"{number:,} {type}" for type, number in most)
    more = f" and {len(events) - len(most)} other types" if len(events) > len(most) else ""
    return f" {_many(count, 'event', 'events')} happened on the way: {named}{more}."


def rule(said: Mapping[str, Any]) -> str:
    """every one, the next 3, about 20 of 100"""
    parts = []
    if said.get("count") is not None:
        left = max(int(said["count"]) - int(said["struck"]), 0)
        parts.append(f"{left} more" if said["struck"] else f"the next {left}")
    if said["rate"] < 1:
        parts.append(f"about {said['rate'] * 100:g} of 100")
    if said["seconds"]:
        parts.append(f"{said['seconds']:g} seconds")
    return ", ".join(parts or ["every one"])


def _many(count: int, one: str, more: str) -> str:
    return f"{count:,} {one if count == 1 else more}"


def amount(value: int | None, currency: str) -> str:
    return "" if value is None else money(value, currency)
