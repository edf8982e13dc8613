"""Rows of the mirror as it would hold them, written without asking any Stripe."""

from datetime import UTC, datetime
from typing import Any

from djstripe import models as mirror

from billing.mirror import readmodel
from billing.mirror.shapes import id_of

MODELS = {
    "customer": mirror.Customer,
    "invoice": mirror.Invoice,
    "payment_intent": mirror.PaymentIntent,
    "payment_method": mirror.PaymentMethod,
    "price": mirror.Price,
    "product": mirror.Product,
    "subscription": mirror.Subscription,
}


def put_in_mirror(*objects: dict[str, Any]) -> None:
    """Write Stripe objects as rows of the mirror."""
    for data in objects:
        fields: dict[str, Any] = {}
        if "customer" in data:
            fields["customer_id"] = id_of(data["customer"])
        if data["object"] == "price":
            fields |= {"product_id": data["product"], "active": data["active"], "currency": data["currency"]}
        if data["object"] == "product":
            fields |= {"name": data["name"], "active": data["active"]}
        MODELS[data["object"]].objects.create(
            id=data["id"],
            livemode=False,
            created=datetime.fromtimestamp(data["created"], UTC),
            metadata=data.get("metadata") or {},
            stripe_data=data,
            **fields,
        )
        readmodel.update(data["object"], [data], now=datetime.now(UTC))
