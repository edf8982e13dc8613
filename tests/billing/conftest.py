"""Fixtures that several of billing's rooms share."""

from collections.abc import Callable

import pytest
import stripe as stripe_library

from tests.billing.shop import Shop


@pytest.fixture
def shop(stripe: stripe_library.StripeClient, mirror_events: Callable[[], int]) -> Shop:
    """Two plans on offer, mirrored."""
    return Shop(stripe, mirror_events).open()
