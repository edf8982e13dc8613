"""An event whose payload has gone to the archive is replayed all the same: Stripe is asked."""

from collections.abc import Callable

import pytest
import stripe as stripe_library
from django.utils import timezone
from djstripe.models import Customer

from billing.inbox.replay import replay
from billing.models import InboxEvent, InboxState
from tests.billing.retention.conftest import NOW


@pytest.mark.django_db
def test_a_replay_without_a_payload_asks_stripe(
    stripe: stripe_library.StripeClient, mirror_events: Callable[[], int]
) -> None:
    made = stripe.v1.customers.create({"email": "alice@example.com"})
    mirror_events()
    event = InboxEvent.objects.get(object_id=made.id)
    InboxEvent.objects.update(payload=None)
    Customer.objects.filter(id=made.id).update(email="lost@example.com", stripe_data={"id": made.id})
    replay([event.pk], now=min(NOW, timezone.now()))
    mirror_events()
    event.refresh_from_db()
    assert event.state == InboxState.MIRRORED
    assert Customer.objects.get(id=made.id).email == "alice@example.com"
