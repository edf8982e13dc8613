"""Fixtures that several of billing's rooms share."""

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
import stripe as stripe_library
from django.conf import LazySettings

from accounts.models import CustomerLink, Organization
from billing import nudge
from tests.billing.mirrored import put_in_mirror
from tests.billing.shop import Shop


@pytest.fixture
def shop(stripe: stripe_library.StripeClient, mirror_events: Callable[[], int]) -> Shop:
    """Two plans on offer, mirrored."""
    return Shop(stripe, mirror_events).open()


@pytest.fixture
def fresh_nudges(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nudges that know nothing of earlier tests' Redis."""
    monkeypatch.setattr(nudge, "_resting_until", 0.0)
    nudge.nudge_redis.cache_clear()
    yield
    nudge.nudge_redis.cache_clear()


@pytest.fixture
def own_redis(fresh_nudges: None, settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Redis database that no other test process nudges through, and that is away only where a test says so."""
    monkeypatch.setattr(nudge, "PATIENCE_SECONDS", 20.0)
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 12 + 3
    settings.REDIS_URL = settings.REDIS_URL.rpartition("/")[0] + f"/{number}"
    nudge.nudge_redis().flushdb()


@pytest.fixture
def point_redis_to(fresh_nudges: None, settings: LazySettings) -> Callable[[int], None]:
    """Make the nudges look for Redis on another port of this machine."""

    def point(port: int) -> None:
        settings.REDIS_URL = f"redis://127.0.0.1:{port}/0"

    return point


@pytest.fixture
def sent(own_redis: None, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the tasks sent to the workers."""
    names: list[str] = []
    monkeypatch.setattr("celery.current_app.send_task", lambda name, **_options: names.append(name))
    return names


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
