"""Organizations in the states that pages show: written into the mirror as it would hold them, with no Stripe in sight;
and one that has come to its plan through the pages.
"""

from collections.abc import Callable

import pytest
from django.conf import LazySettings
from django.test import Client

from accounts.models import Organization, User
from billing import stripe_client
from tests.billing.mirrored import put_in_mirror
from tests.billing.objects import price, product
from tests.billing.shop import Shop, pay
from tests.cast import sign_in


@pytest.fixture
def member(alice: User) -> Client:
    return sign_in(alice)


@pytest.fixture
def subscribed(acme: Organization, shop: Shop, member: Client) -> Organization:
    """Acme has chosen Business on the page and paid; the events have been mirrored."""
    pay(member.post(f"/o/{acme.public_id}/subscribe/", {"price": shop.business})["Location"])
    shop.mirror_events()
    return acme


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
