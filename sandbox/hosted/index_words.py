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
    if path == "/_sandbox/faults":
        return f"{FAULTS[said['effect']]} from now on: {rule(said)}."
    if path == "/_sandbox/faults/end":
        return "The fault is ended." if said["ended"] == 1 else f"{said['ended']} faults are ended."
    if path == "/_sandbox/deliveries/redeliver":
        count = said["queued"]
        return "Nothing was left to send again." if not count else f"{_many(count, 'delivery', 'deliveries')} queued."
    if said.get("object") == "dispute":
        return f"The bank disputes {amount(said['amount'], said['currency'])} ({said['reason'].replace('_', ' ')})."
    if said.get("object") == "payment_intent":
        return f"The payment of {amount(said['amount'], said['currency'])}: {state(said['status'])[0].lower()}."
    if said.get("object") == "customer_cash_balance_transaction":
        return f"{amount(said['net_amount'], said['currency'])} arrived by bank transfer."
    return str(said.get("sentence") or "Done.")


def _advanced(said: Doc) -> str:
    now = said.get("now")
    events = said.get("events")
    what = ""
    if isinstance(events, list | dict):
        count = len(events) if isinstance(events, list) else sum(map(int, events.values()))
        what = f" {_many(count, 'event', 'events')} happened on the way."
    return (f"It is {moment(int(now))} UTC now." if now else "Time has moved on.") + what


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
