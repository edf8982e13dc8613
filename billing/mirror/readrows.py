"""From an object of Stripe's to its row in the read model: pure, the keys are column names."""

from datetime import datetime
from typing import Any

from billing.mirror.facts import invoice_facts, subscription_facts
from billing.mirror.monthly import monthly_amount
from billing.mirror.shapes import Data, clipped, listed, word

Row = dict[str, Any]

# What the columns take: of what Stripe has no longer words than, and no larger numbers.
STATUS, CURRENCY, METHOD, REASON, TEXT, COUNT = 32, 3, 32, 64, 255, 2**31 - 1

# What the rows are made from: where none of it has changed, a row stands as it is.
SUBSCRIPTION_READS = frozenset(
    {
        "id", "livemode", "customer", "status", "currency", "created", "start_date", "items", "cancel_at",
        "cancel_at_period_end", "canceled_at", "ended_at", "trial_end", "collection_method", "pause_collection",
        "schedule", "latest_invoice",
    }
)  # fmt: skip
INVOICE_READS = frozenset(
    {
        "id", "livemode", "customer", "parent", "status", "deleted", "currency", "number", "total", "amount_due",
        "amount_paid", "amount_remaining", "created", "period_end", "due_date", "next_payment_attempt",
        "status_transitions", "attempt_count", "collection_method", "billing_reason",
    }
)  # fmt: skip


def subscription_row(data: Data) -> Row:
    """Return a subscription's columns. KeyError when it has no id."""
    facts = subscription_facts(data)
    amounts = [monthly_amount(item) for item in listed(data.get("items"))]
    return {
        "id": facts.id,
        "livemode": bool(data.get("livemode")),
        "customer_id": facts.customer_id[:TEXT],
        "status": word(data.get("status"))[:STATUS],
        "currency": facts.currency[:CURRENCY],
        "created_at": written(facts.created),
        "period_ends_at": written(facts.period_end),
        "ends_at": written(facts.ends_at),
        "trial_ends_at": written(facts.trial_end),
        "canceled_at": written(facts.canceled_at),
        "ended_at": written(facts.ended_at),
        "price_id": facts.price_id[:TEXT],
        "product_id": facts.product_id[:TEXT],
        "quantity": clipped(sum(item.quantity for item in facts.items)),
        "item_count": len(facts.items),
        "product_ids": [item.product_id[:TEXT] for item in facts.items],
        "item_amounts": amounts,
        "monthly_amount": clipped(sum(amounts)),
        "collection_method": facts.collection_method[:METHOD],
        "collection_paused": facts.collection_paused,
        "schedule_id": facts.schedule_id[:TEXT],
        "latest_invoice_id": facts.latest_invoice_id[:TEXT],
    }


def invoice_row(data: Data) -> Row:
    """Return an invoice's columns. KeyError when it has no id."""
    facts = invoice_facts(data)
    return {
        "id": facts.id,
        "livemode": bool(data.get("livemode")),
        "customer_id": facts.customer_id[:TEXT],
        "subscription_id": facts.subscription_id[:TEXT],
        "status": "deleted" if data.get("deleted") else word(data.get("status"))[:STATUS],
        "currency": facts.currency[:CURRENCY],
        "number": facts.number[:TEXT],
        "total": facts.total,
        "amount_due": facts.amount_due,
        "amount_paid": facts.amount_paid,
        "amount_remaining": facts.amount_remaining,
        "created_at": written(facts.created),
        "due_at": written(facts.due_date),
        "next_payment_attempt_at": written(facts.next_payment_attempt),
        "finalized_at": written(facts.finalized_at),
        "paid_at": written(facts.paid_at),
        "attempt_count": max(0, clipped(facts.attempt_count, COUNT)),
        "collection_method": facts.collection_method[:METHOD],
        "billing_reason": facts.billing_reason[:REASON],
    }


def written(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
