"""Organizations in the states that pages show, written into the mirror as it would hold them. No Stripe in sight."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.conf import LazySettings
from djstripe import models as mirror

from accounts.models import CustomerLink, Organization
from billing import stripe_client
from billing.mirror.facts import id_of
from tests.billing.objects import price, product

MODELS = {
    "customer": mirror.Customer,
    "invoice": mirror.Invoice,
    "payment_intent": mirror.PaymentIntent,
    "payment_method": mirror.PaymentMethod,
    "price": mirror.Price,
    "product": mirror.Product,
    "subscription": mirror.Subscription,
}
Put = Callable[..., None]


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


@pytest.fixture
def unplug(settings: LazySettings) -> Callable[[], None]:
    """From the call on, whoever asks Stripe meets a closed port."""

    def pull() -> None:
        settings.STRIPE_API_BASE = "http://127.0.0.1:9"
        settings.STRIPE_TIMEOUT_SECONDS = 1.0
        stripe_client.stripe_client.cache_clear()
        stripe_client.set_up_stripe_library()

    return pull


@pytest.fixture
def nobody_answers(unplug: Callable[[], None]) -> None:
    """Stripe is away."""
    unplug()


@pytest.fixture
def customer_of() -> Callable[[Organization, str], None]:
    """Make `customer_id` the organization's Stripe customer."""

    def link(organization: Organization, customer_id: str) -> None:
        put_in_mirror(
            {
                "id": customer_id,
                "object": "customer",
                "created": 1_770_000_000,
                "currency": None,
                "invoice_settings": {"default_payment_method": None},
                "livemode": False,
            }
        )
        CustomerLink.objects.create(
            organization=organization,
            livemode=False,
            idempotency_key=f"create-customer:{organization.public_id}",
            keyed_at=datetime(2026, 2, 1, tzinfo=UTC),
            parameters={},
            customer_id=customer_id,
        )

    return link


@pytest.fixture
def plans(db: None) -> None:
    """Two plans on offer: Team and Business, by month and year, in yen and dollars."""
    put_in_mirror(
        product("prod_team", "team", name="Team", metadata={"kessai_plan": "team", "kessai_order": "1"}),
        product("prod_business"),
    )
    for plan, monthly in (("team", 2000), ("business", 5000)):
        put_in_mirror(price(f"price_{plan}", product=f"prod_{plan}", unit_amount=monthly))
        put_in_mirror(price(f"price_{plan}_usd", product=f"prod_{plan}", unit_amount=monthly, currency="usd"))
        yearly = {"interval": "year", "interval_count": 1, "usage_type": "licensed"}
        put_in_mirror(price(f"price_{plan}_yearly", product=f"prod_{plan}", unit_amount=monthly * 10, recurring=yearly))
