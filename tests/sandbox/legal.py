"""From which state an object may come into which, and a watch over all that is written.

Sources: Stripe docs, "How subscriptions work" (statuses), "Invoice statuses", "PaymentIntent and SetupIntent statuses",
"How disputes work", "Refund and cancel payments", "Subscription schedules", "Konbini payments"; API reference of
each object (`status`).
"""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from sandbox.store import Store, Transaction
from tests.sandbox.declared import differences

PAID = ("processing", "requires_capture", "succeeded")
BEFORE = ("requires_payment_method", "requires_confirmation", "requires_action")
INTENT = dict.fromkeys(BEFORE, (*BEFORE, *PAID, "canceled")) | {
    "processing": ("requires_payment_method", "requires_capture", "succeeded", "canceled"),
    "requires_capture": ("succeeded", "canceled"),
}
LEGAL: dict[str, dict[str, tuple[str, ...]]] = {
    "charge": {"pending": ("succeeded", "failed")},
    "checkout.session": {"open": ("complete", "expired")},
    "credit_note": {"issued": ("void",)},
    "dispute": {
        "warning_needs_response": ("warning_under_review", "warning_closed", "needs_response"),
        "warning_under_review": ("warning_closed", "needs_response"),
        "needs_response": ("under_review", "won", "lost"),
        "under_review": ("won", "lost"),
    },
    "invoice": {
        "draft": ("open",),
        "open": ("paid", "void", "uncollectible"),
        "uncollectible": ("paid", "void"),
    },
    "invoice_payment": {"open": ("paid", "canceled")},
    "payment_intent": INTENT,
    "refund": {
        "pending": ("succeeded", "failed", "canceled", "requires_action"),  # the bank sent it back
        "requires_action": ("pending", "succeeded", "failed", "canceled"),
        "succeeded": ("failed",),
    },
    "setup_intent": INTENT,
    "subscription": {
        "incomplete": ("active", "trialing", "incomplete_expired"),
        "trialing": ("active", "past_due", "paused", "canceled"),
        "active": ("trialing", "past_due", "canceled"),
        "past_due": ("active", "trialing", "unpaid", "canceled"),
        "unpaid": ("active", "trialing", "past_due", "canceled"),
        "paused": ("active", "canceled"),
    },
    "subscription_schedule": {
        "not_started": ("active", "canceled", "released"),
        "active": ("completed", "canceled", "released"),
    },
    "test_helpers.test_clock": {"ready": ("advancing",), "advancing": ("ready", "internal_failure")},
}
"""A state that is not here as a beginning is an end."""


@contextmanager
def watching(patch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What was written against the tables, as sentences; the list fills while this lasts."""
    wrong: list[str] = []
    save = Transaction.save

    def watched(self: Transaction, scope: str, doc: dict[str, Any]) -> None:
        kind = doc["object"]
        if kind in LEGAL:
            before = self.get(scope, kind, doc["id"]) or {}
            wrong.extend(illegal(before, doc))
        save(self, scope, doc)

    with patch.context() as context:
        context.setattr(Transaction, "save", watched)
        yield wrong


def illegal(before: dict[str, Any], after: dict[str, Any]) -> Iterator[str]:
    was, now, kind = before.get("status"), after["status"], after["object"]
    if was and was != now and now not in LEGAL[kind].get(was, ()):
        yield f"{kind} {after['id']} went from {was} to {now}"


WITHOUT_ID = {"invoice.upcoming": ("invoice.id: missing",)}
"""There is no such invoice yet."""
UNLISTED_CODE = "code: 'charge_exceeds_weekly_limit' is none of"
"""Stripe's page on testing direct debits names this code; the list in its library does not."""
MOST_SHAPES = 2
"""Of events of one type and status that are compared with the schema, which takes its time."""


def check_events(store: Store) -> None:
    """Events of one time are told in its order, none twice, and what they say has changed has."""
    with store.read() as tx:
        rows = tx.sql("SELECT scope, body FROM objects WHERE kind='event' ORDER BY seq").fetchall()
    last: dict[tuple[str, str], int] = {}
    seen: dict[tuple[str, str, str], str] = {}
    shapes: Counter[tuple[str, str, str]] = Counter()
    for scope, body in rows:
        event = json.loads(body)
        time = scope, event.get("_clock", "")
        assert last.get(time, 0) <= event["created"], (event["type"], event["created"], last[time])
        last[time] = event["created"]
        check_event(event)
        alike = scope, event["type"], str(event["data"]["object"].get("status"))
        shapes[alike] += 1
        if shapes[alike] <= MOST_SHAPES:
            check_shape(event)
        check_told(seen, scope, event["data"]["object"])


def check_event(event: dict[str, Any]) -> None:
    shown, previous = event["data"]["object"], event["data"].get("previous_attributes") or {}
    same = [name for name, value in previous.items() if name in shown and shown[name] == value]
    assert not same, (event["type"], same)
    hidden = [name for name in shown if name.startswith("_")]
    assert not hidden, (event["type"], hidden)


def check_shape(event: dict[str, Any]) -> None:
    wrong = [one for one in differences(event["data"]["object"]) if UNLISTED_CODE not in one]
    assert [one for one in wrong if one not in WITHOUT_ID.get(event["type"], ())] == [], (event["type"], wrong)


def check_told(seen: dict[tuple[str, str, str], str], scope: str, shown: dict[str, Any]) -> None:
    """Who follows the events alone sees no illegal step either."""
    kind = shown.get("object", "")
    if kind not in LEGAL or "id" not in shown or "status" not in shown:
        return
    was = seen.get((scope, kind, shown["id"]))
    assert not list(illegal({"status": was}, shown)), (kind, was, shown["status"])
    seen[scope, kind, shown["id"]] = shown["status"]
