"""The sandbox delivers its own signed webhooks to the portal's address: two programs that share no code."""

import time

import httpx
import pytest
from django.utils import timezone
from djstripe import models as djstripe

from billing.inbox.models import InboxEvent
from billing.mirror.apply import mirror_due

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def endpoint(sandbox, stripe, stripe_key, live_server, settings) -> None:
    """The portal's webhook address, known to the sandbox under a secret that the portal knows."""
    settings.STRIPE_WEBHOOK_SECRETS = ["whsec_being_rolled_out", "whsec_delivery"]
    body = {"url": f"{live_server.url}/webhooks/stripe/", "secret": "whsec_delivery", "key": stripe_key}
    httpx.post(f"{sandbox}/_sandbox/webhook_endpoints", json=body).raise_for_status()


def test_what_happens_at_stripe_arrives_and_is_mirrored(endpoint, sent, stripe, sandbox):
    product = stripe.v1.products.create({"name": "プロ 📦"})
    stripe.v1.products.update(product.id, {"name": "Pro"})
    deadline = time.monotonic() + 60
    while InboxEvent.objects.filter(object_id=product.id).count() < 2:
        assert time.monotonic() < deadline, httpx.get(f"{sandbox}/_sandbox/deliveries").text
        time.sleep(0.05)
    mirror_due(timezone.now, budget_seconds=10)
    assert djstripe.Product.objects.get().name == "Pro"
    names = {event.payload["data"]["object"]["name"] for event in InboxEvent.objects.all()}
    assert names == {"プロ 📦", "Pro"}
    assert sent
