"""Rows as the inbox and the mirror would have written them, from small dicts of Stripe's shapes."""

from datetime import datetime, timedelta
from itertools import count
from typing import Any

from djstripe.models import Customer, Invoice, Price, Product, Subscription

from accounts.models import CustomerLink, Organization
from billing.mirror import readmodel
from billing.models import Door, InboxEvent, InboxState

NUMBERS = count(1)


def make_event(now: datetime, **fields: Any) -> InboxEvent:
    """An inbox event of a subscription, mirrored two seconds after it happened unless said otherwise."""
    number = next(NUMBERS)
    values: dict[str, Any] = {
        "external_id": f"evt_1Test{number:08d}",
        "door": Door.WEBHOOK,
        "type": "customer.subscription.updated",
        "api_version": "2026-08-26.dahlia",
        "object_kind": "subscription",
        "object_id": f"sub_1Test{number:08d}",
        "occurred_at": now - timedelta(seconds=2),
        "received_at": now - timedelta(seconds=1),
        "state": InboxState.MIRRORED,
        "attempts": 1,
        "payload": {},
    } | fields
    if values["state"] == InboxState.MIRRORED:
        values.setdefault("mirrored_at", values["occurred_at"] + timedelta(seconds=2))
    if values["state"] == InboxState.RECEIVED:
        values.setdefault("due_at", values["received_at"])
    values["payload"] = values["payload"] or stripe_payload(values)
    return InboxEvent.objects.create(**values)


def stripe_payload(values: dict[str, Any]) -> dict[str, Any]:
    about = {"id": values["object_id"], "object": values["object_kind"], "customer": values.get("customer_id")}
    return {
        "id": values["external_id"],
        "object": "event",
        "type": values["type"],
        "created": int(values["occurred_at"].timestamp()),
        "livemode": False,
        "data": {"object": about},
    }


def make_customer(organization: Organization | None, *, now: datetime, **data: Any) -> Customer:
    """A mirrored customer, linked to its organization where one is given."""
    customer_id = f"cus_Test{next(NUMBERS):08d}"
    email = organization.billing_email if organization else "stranger@example.com"
    if organization:
        CustomerLink.objects.create(
            organization=organization,
            livemode=False,
            idempotency_key=f"create-customer:{customer_id}",
            customer_id=customer_id,
            linked_at=now,
        )
    return Customer.objects.create(
        id=customer_id,
        email=email,
        subscriber=organization,
        livemode=False,
        created=now,
        stripe_data={"id": customer_id, "object": "customer", "email": email} | data,
    )


def make_plan(name: str, *, now: datetime, amount: int = 5000, currency: str = "jpy") -> Price:
    """A product with one monthly price."""
    number = next(NUMBERS)
    product_data = {"id": f"prod_Test{number:06d}", "object": "product", "name": name, "active": True}
    product = Product.objects.create(
        id=product_data["id"], name=name, active=True, livemode=False, created=now, stripe_data=product_data
    )
    data = price_data(f"price_1Test{number:06d}", product.id, amount, currency)
    return Price.objects.create(
        id=data["id"],
        product=product,
        active=True,
        currency=currency,
        livemode=False,
        created=now,
        lookup_key=f"{name.lower()}_monthly_v1",
        stripe_data=data,
    )


def price_data(price_id: str, product_id: str, amount: int, currency: str) -> dict[str, Any]:
    return {
        "id": price_id,
        "object": "price",
        "active": True,
        "product": product_id,
        "unit_amount": amount,
        "currency": currency,
        "billing_scheme": "per_unit",
        "recurring": {"interval": "month", "interval_count": 1, "usage_type": "licensed"},
    }


def make_subscription(customer: Customer, price: Price, *, now: datetime, status: str = "active", **data: Any) -> Any:
    """A mirrored subscription of one item whose period began ten days ago."""
    subscription_id = f"sub_1Test{next(NUMBERS):08d}"
    start = int((now - timedelta(days=10)).timestamp())
    item = {
        "id": f"si_{subscription_id}",
        "object": "subscription_item",
        "price": price.stripe_data,
        "quantity": 1,
        "current_period_start": start,
        "current_period_end": start + 30 * 86_400,
    }
    stripe_data = {
        "id": subscription_id,
        "object": "subscription",
        "customer": customer.id,
        "status": status,
        "currency": price.currency,
        "created": start,
        "cancel_at": None,
        "cancel_at_period_end": False,
        "items": {"object": "list", "data": [item]},
        "metadata": {},
    } | data
    row = Subscription.objects.create(
        id=subscription_id,
        customer=customer,
        livemode=False,
        created=now - timedelta(days=10),
        stripe_data=stripe_data,
    )
    readmodel.update("subscription", [stripe_data], now=now)
    return row


def make_invoice(subscription: Any, *, now: datetime, status: str = "paid", total: int = 5000, **data: Any) -> Invoice:
    invoice_id = f"in_1Test{next(NUMBERS):08d}"
    paid = status == "paid"
    stripe_data = {
        "id": invoice_id,
        "object": "invoice",
        "number": f"ACME-{next(NUMBERS):04d}",
        "customer": subscription.customer_id,
        "status": status,
        "currency": subscription.stripe_data["currency"],
        "created": int(now.timestamp()),
        "total": total,
        "amount_due": total,
        "amount_paid": total if paid else 0,
        "amount_remaining": 0 if paid else total,
        "billing_reason": "subscription_cycle",
        "parent": {"type": "subscription_details", "subscription_details": {"subscription": subscription.id}},
        "lines": {"object": "list", "data": []},
    } | data
    row = Invoice.objects.create(
        id=invoice_id, customer=subscription.customer, livemode=False, created=now, stripe_data=stripe_data
    )
    readmodel.update("invoice", [stripe_data], now=now)
    return row
