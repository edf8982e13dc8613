"""The demo company: a catalogue, people, and organizations in every state that a subscription can have.

`python -m config.demo.data`, once the services run. Everything of Stripe's is made through its API, as the portal and
Stripe's dashboard would: events then come back by webhook and are mirrored by the worker. Each part looks before it
makes, so a second run, or one after a crash, makes only what is missing. Never run against Stripe itself.
"""

import io
import json
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import django
import httpx

PATIENCE = 90.0  # seconds for the portal to answer, and for the mirror to catch up


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from django.conf import settings
    from django.core.management import call_command

    from billing.stripe_client import stripe_client
    from config.demo import catalogue, company
    from config.demo.places import Places, write_private
    from config.env import LOCAL_DIR

    if not settings.STRIPE_API_BASE or settings.STRIPE_LIVE_MODE:
        sys.stderr.write("Demo data are made at a sandbox only, and STRIPE_API_BASE names none.\n")
        return 1
    stripe = stripe_client()
    await_portal(settings.SITE_URL)
    receive_webhooks(stripe, f"{settings.SITE_URL}/webhooks/stripe/", settings.STRIPE_WEBHOOK_SECRETS[0])
    catalogue.make_catalogue(stripe)
    if "--catalogue-only" in sys.argv:
        call_command("resync", "product", "price", verbosity=0)  # another database may have had their events
        return 0
    # Before there is a company: a renewal of its that fails is dunned.
    # Servers are built at the demo's own AWS alone: at another they would cost money.
    playbooks = ["dunning", "hosting"] if "--servers" in sys.argv else ["dunning"]
    call_command("playbooks", "apply", *playbooks, "--on", reason="The demo shows it.", stdout=io.StringIO())
    company.make_organizations(stripe, company.make_people(), now=datetime.now(tz=UTC))
    if not wait_for(company.is_mirrored):
        lacking = "; ".join(company.missing())
        sys.stderr.write(f"The worker has not mirrored the demo company in time (see worker.log): {lacking}.\n")
        return 1
    write_private(Places(LOCAL_DIR).data_mark, json.dumps({"url": settings.SITE_URL}))
    return 0


def await_portal(url: str) -> None:
    """Wait until the portal answers, so that no webhook finds nobody at home."""

    def answers() -> bool:
        try:
            return httpx.get(f"{url}/readyz", timeout=5, trust_env=False).status_code < 500
        except httpx.HTTPError:
            return False

    wait_for(answers)


def receive_webhooks(stripe: Any, url: str, secret: str) -> None:
    """Have the sandbox send its events to `url`, signed with our secret; forget the address of an earlier port."""
    from django.conf import settings

    endpoints = list(stripe.v1.webhook_endpoints.list(params={"limit": 100}).auto_paging_iter())
    for endpoint in endpoints:
        if endpoint.url != url:
            stripe.v1.webhook_endpoints.delete(endpoint.id)
    if any(endpoint.url == url for endpoint in endpoints):
        return
    # Stripe mints an endpoint's secret itself; the sandbox lets us name it, so that the portal knows it from the start.
    address = f"{settings.STRIPE_API_BASE}/_sandbox/webhook_endpoints"
    body = {"url": url, "secret": secret, "key": settings.STRIPE_SECRET_KEY}
    httpx.post(address, json=body, timeout=10, trust_env=False).raise_for_status()


def wait_for(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


if __name__ == "__main__":
    sys.exit(main())
