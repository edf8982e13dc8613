"""Stripe's objects as the mirror holds them: just the fields of the pinned API version that pages read."""

from datetime import UTC, datetime
from typing import Any

NOW = datetime(2026, 2, 10, 9, 0, tzinfo=UTC)
START = datetime(2026, 2, 3, 9, 0, tzinfo=UTC)
END = datetime(2026, 3, 3, 9, 0, tzinfo=UTC)


def ts(at: datetime | None) -> int | None:
    return None if at is None else int(at.timestamp())


def price(id: str = "price_business", **fields: Any) -> dict[str, Any]:
    return {
        "id": id,
        "object": "price",
        "active": True,
        "billing_scheme": "per_unit",
        "created": ts(START),
        "currency": "jpy",
        "livemode": False,
        "lookup_key": None,
        "metadata": {},
        "product": "prod_business",
        "recurring": {"interval": "month", "interval_count": 1, "usage_type": "licensed", "meter": None},
        "transform_quantity": None,
        "type": "recurring",
        "unit_amount": 5000,
        **fields,
    }


def product(id: str = "prod_business", key: str = "business", **fields: Any) -> dict[str, Any]:
    return {
        "id": id,
        "object": "product",
        "active": True,
        "created": ts(START),
        "description": "For teams",
        "livemode": False,
        "marketing_features": [{"name": "Ten seats"}, {"name": "Audit log"}],
        "metadata": {"kessai_plan": key, "kessai_order": "2"},
        "name": "Business",
        **fields,
    }


def item(**fields: Any) -> dict[str, Any]:
    price_fields = fields.pop("price", {})
    return {
        "id": "si_1",
        "object": "subscription_item",
        "current_period_start": ts(START),
        "current_period_end": ts(END),
        "price": price(**price_fields),
        "quantity": 1,
        "tax_rates": [],
        **fields,
    }


def subscription(id: str = "sub_1", *, items: list[dict[str, Any]] | None = None, **fields: Any) -> dict[str, Any]:
    return {
        "id": id,
        "object": "subscription",
        "automatic_tax": {"enabled": False},
        "cancel_at": None,
        "cancel_at_period_end": False,
        "canceled_at": None,
        "collection_method": "charge_automatically",
        "created": ts(START),
        "currency": "jpy",
        "customer": "cus_1",
        "default_payment_method": "pm_1",
        "default_tax_rates": [],
        "discounts": [],
        "ended_at": None,
        "items": {"object": "list", "data": items if items is not None else [item()], "has_more": False},
        "latest_invoice": "in_1",
        "livemode": False,
        "metadata": {},
        "pause_collection": None,
        "schedule": None,
        "status": "active",
        "trial_end": None,
        "trial_settings": {"end_behavior": {"missing_payment_method": "create_invoice"}},
        **fields,
    }


def invoice(id: str = "in_1", *, lines: list[dict[str, Any]] | None = None, **fields: Any) -> dict[str, Any]:
    return {
        "id": id,
        "object": "invoice",
        "amount_due": 5000,
        "amount_paid": 5000,
        "amount_remaining": 0,
        "attempt_count": 1,
        "attempted": True,
        "auto_advance": False,
        "automatically_finalizes_at": None,
        "billing_reason": "subscription_cycle",
        "collection_method": "charge_automatically",
        "created": ts(START),
        "currency": "jpy",
        "customer": "cus_1",
        "due_date": None,
        "hosted_invoice_url": f"https://invoice.stripe.com/i/{id}",
        "invoice_pdf": f"https://pay.stripe.com/invoice/{id}/pdf",
        "lines": {"object": "list", "data": lines if lines is not None else [line()], "has_more": False},
        "livemode": False,
        "metadata": {},
        "next_payment_attempt": None,
        "number": "ACME-0001",
        "parent": {"type": "subscription_details", "subscription_details": {"subscription": "sub_1"}},
        "period_start": ts(START),
        "period_end": ts(END),
        "starting_balance": 0,
        "status": "paid",
        "status_transitions": {"finalized_at": ts(START), "paid_at": ts(START)},
        "subtotal": 5000,
        "total": 5000,
        "total_discount_amounts": [],
        "total_taxes": [],
        **fields,
    }


def open_invoice(id: str = "in_2", **fields: Any) -> dict[str, Any]:
    """An invoice whose payment was tried and failed."""
    unpaid = {
        "amount_paid": 0,
        "amount_remaining": 5000,
        "status": "open",
        "number": "ACME-0002",
        "status_transitions": {"finalized_at": ts(START), "paid_at": None},
    }
    return invoice(id, **{**unpaid, **fields})


def line(**fields: Any) -> dict[str, Any]:
    return {
        "id": "il_1",
        "object": "line_item",
        "amount": 5000,
        "currency": "jpy",
        "description": "1 × Business (at ¥5,000 / month)",
        "parent": {"type": "subscription_item_details", "subscription_item_details": {"proration": False}},
        "period": {"start": ts(START), "end": ts(END)},
        "quantity": 1,
        **fields,
    }


def card(id: str = "pm_1", **fields: Any) -> dict[str, Any]:
    details = {"brand": "visa", "last4": "4242", "exp_month": 8, "exp_year": 2030, **fields}
    return {
        "id": id,
        "object": "payment_method",
        "card": details,
        "created": ts(START),
        "customer": "cus_1",
        "livemode": False,
        "metadata": {},
        "type": "card",
    }


def declined_intent(id: str = "pi_1", *, code: str = "insufficient_funds", **fields: Any) -> dict[str, Any]:
    return {
        "id": id,
        "object": "payment_intent",
        "amount": 5000,
        "created": ts(START),
        "currency": "jpy",
        "customer": "cus_1",
        "last_payment_error": {
            "type": "card_error",
            "code": "card_declined",
            "decline_code": code,
            "message": "Your card has insufficient funds.",
        },
        "livemode": False,
        "metadata": {},
        "status": "requires_payment_method",
        **fields,
    }
