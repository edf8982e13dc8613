"""The lines that one event leaves on its way: each says which event, which object, which account."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import stripe as stripe_library
from structlog.testing import CapturingLogger, capture_logs

from billing.models import InboxEvent
from tests.billing.shop import Shop


def lines(logged: list[Any], name: str) -> list[Any]:
    return [line for line in logged if line["event"] == name]


@pytest.mark.django_db
def test_an_event_is_followed_from_the_door_to_the_mirror(
    stripe: stripe_library.StripeClient, mirror_events: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loggers of their own, because tests write no lines below warnings."""
    door, mirror = CapturingLogger(), CapturingLogger()
    monkeypatch.setattr("billing.inbox.intake.log", door)
    monkeypatch.setattr("billing.mirror.apply.log", mirror)
    customer = stripe.v1.customers.create({"email": "alice@example.com"})
    mirror_events()
    event = InboxEvent.objects.get(object_id=customer.id)
    [stored] = [call.kwargs for call in door.calls if event.external_id in call.kwargs["event_ids"]]
    assert stored["door"]
    [done] = [call.kwargs for call in mirror.calls if event.external_id in call.kwargs["event_ids"]]
    assert (done["account"], done["how"]) == ("primary", "payload")
    assert customer.id in done["object_ids"]


@pytest.mark.django_db
def test_a_failure_names_its_events_object_and_account(
    shop: Shop, mirror_events: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise ValueError("no place for it")

    monkeypatch.setattr("billing.mirror.apply.write_held", refuse)
    customer = shop.stripe.v1.customers.create({"email": "bob@example.com"})
    with capture_logs() as logged:
        mirror_events()
    event = InboxEvent.objects.get(object_id=customer.id)
    [failed] = lines(logged, "mirror:failed")
    assert (failed["account"], failed["object_id"]) == ("primary", customer.id)
    assert failed["event_ids"] == [event.external_id]
    assert "no place for it" in failed["error"]


SAY = """
import django, structlog
from config.celery import app
django.setup()
app.log.setup_logging_subsystem("INFO")  # what a worker does when it starts
structlog.get_logger("x").info("mirror:done", event_ids=["evt_1"], key="sk_live_abc123")
"""


def test_a_worker_writes_json_and_no_key() -> None:
    env = {**os.environ, "LOG_LEVEL": "INFO", "LOG_JSON": "1", "DJANGO_SETTINGS_MODULE": "config.settings"}
    said = subprocess.run([sys.executable, "-c", SAY], env=env, check=True, capture_output=True, text=True)
    line = json.loads(said.stderr.splitlines()[-1])
    assert (line["event"], line["event_ids"], line["key"]) == ("mirror:done", ["evt_1"], "sk_live_***")
