"""The Stripe that the portal's tests meet: the sandbox, over HTTP. Each test has an account of its own there.

def test_…(stripe):                  # a StripeClient; the settings, and so the portal, hold the same key
    customer = stripe.v1.customers.create({"email": "alice@example.com"})

def test_…(stripe, mirror_events):   # what Stripe has announced so far, through the inbox into the mirror
    stripe.v1.products.create({"name": "Pro"})
    mirror_events()

def test_…(post_webhook):            # a signed webhook, as Stripe would send it
    post_webhook({"id": "evt_1", "object": "event", …})
"""

import json
import os
import secrets
import string
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import stripe as stripe_library
from django.conf import LazySettings
from django.test import Client
from django.utils import timezone

from config.env import BASE_DIR

LETTERS = string.ascii_letters + string.digits


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base address of a sandbox that this test process has for itself. Whoever moves its time starts another."""
    with running_sandbox(tmp_path_factory.mktemp("sandbox")) as address:
        yield address


@contextmanager
def running_sandbox(data: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "sandbox", "--port", "0", "--data", str(data)]
    process = subprocess.Popen(command, cwd=BASE_DIR, stdout=subprocess.PIPE, text=True, env=environment())
    assert process.stdout
    try:
        first_line = process.stdout.readline()
        assert first_line.startswith("listening on "), f"the sandbox did not start: {first_line!r}"
        yield first_line.removeprefix("listening on ").strip()
    finally:
        process.terminate()
        process.wait(60)
        process.stdout.close()


def environment() -> dict[str, str]:
    """The sandbox knows nothing of the portal: not its settings either."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("DJANGO_", "STRIPE_"))}


@pytest.fixture
def stripe_key() -> str:
    """A secret key of an account that nobody used before (the form of Stripe's keys names the account)."""
    return "sk_test_51" + "".join(secrets.choice(LETTERS) for _ in range(15)) + "0" * 16


@pytest.fixture
def stripe(sandbox: str, stripe_key: str, settings: LazySettings) -> Iterator[stripe_library.StripeClient]:
    """The portal's own client on a fresh account of the sandbox."""
    from billing import stripe_client

    settings.STRIPE_API_BASE = settings.STRIPE_API_HOST = sandbox
    settings.STRIPE_SECRET_KEY = stripe_key
    before = stripe_library.api_key, stripe_library.api_base, stripe_library.default_http_client
    stripe_client.stripe_client.cache_clear()
    stripe_client.set_up_stripe_library()
    yield stripe_client.stripe_client()
    stripe_client.stripe_client.cache_clear()
    stripe_library.api_key, stripe_library.api_base, stripe_library.default_http_client = before


@pytest.fixture
def take_events(stripe: stripe_library.StripeClient, db: None) -> Callable[[], int]:
    """Put what the account has announced since the last time into the inbox, oldest first; return how many."""
    from billing.inbox.intake import store_event
    from billing.inbox.models import Door

    def take() -> int:
        events = list(stripe.v1.events.list({"limit": 100}).auto_paging_iter())
        stored = [
            store_event(json.loads(str(event)), door=Door.WEBHOOK, now=timezone.now()) for event in reversed(events)
        ]
        return sum(stored)

    return take


@pytest.fixture
def mirror_events(take_events: Callable[[], int]) -> Callable[[], int]:
    """Take the account's new events and mirror them, in this process; return how many were new."""
    from billing.mirror.apply import mirror_due

    def mirror() -> int:
        taken = take_events()
        mirror_due(timezone.now, budget_seconds=30)
        return taken

    return mirror


def sign(body: str, *, secret: str = "whsec_tests", at: int | None = None) -> str:
    """The Stripe-Signature header for a body, as Stripe's own library makes it."""
    return str(stripe_library.WebhookSignature.generate_signature_header(body, secret, timestamp=at))


@pytest.fixture
def post_webhook(db: None) -> Callable[..., Any]:
    """Post a body (or an event) to the portal's webhook address, signed unless a signature is given."""

    def post(event: dict[str, Any] | str, *, signature: str | None = None, **headers: str) -> Any:
        body = event if isinstance(event, str) else json.dumps(event)
        headers = {"Stripe-Signature": sign(body) if signature is None else signature, **headers}
        return Client().post("/webhooks/stripe/", body, content_type="application/json", headers=headers)

    return post
