"""The way from Stripe's webhook to the mirror through a real Celery worker, and the sweep that needs no message."""

import signal
import time
from collections.abc import Callable, Iterator

import pytest
from celery import Celery
from django.conf import settings as django_settings
from django.utils import timezone
from djstripe import models as djstripe

from billing import tasks
from billing.inbox.claim import lease
from billing.inbox.models import InboxEvent, InboxState
from tests import processes
from tests.billing.events import an_event

pytestmark = pytest.mark.django_db


def test_the_sweep_calls_a_worker_for_what_no_message_announced(post_webhook, sent):
    post_webhook(an_event())
    sent.clear()
    forget_messages()
    tasks.sweep_inbox()
    assert sent == ["billing.tasks.mirror_due"]


def test_the_sweep_calls_nobody_when_nothing_is_due(post_webhook, sent):
    post_webhook(an_event())
    lease(InboxEvent.objects.values_list("pk", flat=True), now=timezone.now())
    sent.clear()
    forget_messages()
    tasks.sweep_inbox()
    assert sent == []


def forget_messages() -> None:
    """Redis was emptied: every message in it is lost."""
    from billing.nudge import nudge_redis

    nudge_redis().flushdb()


@pytest.fixture
def worker(own_redis: None, stripe: object, transactional_db: None) -> Iterator[processes.AnyProcess]:
    """A Celery worker of its own, on this test's database, Redis and Stripe."""
    command = ["celery", "-A", "config.celery", "worker", "--pool", "solo", "--loglevel", "ERROR"]
    process = processes.start(*command, own_session=True, REDIS_URL=django_settings.REDIS_URL)
    yield process
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


@pytest.mark.django_db(transaction=True)
def test_a_webhook_is_mirrored_by_a_worker_without_anybodys_help(worker, stripe, post_webhook, broker):
    product = stripe.v1.products.create({"name": "Pro"})
    event = an_event(type="product.created", api_version=None, data={"object": {"id": product.id, "object": "product"}})
    assert post_webhook(event).status_code == 200
    wait_until(lambda: djstripe.Product.objects.filter(id=product.id, name="Pro").exists())
    wait_until(lambda: InboxEvent.objects.get().state == InboxState.MIRRORED)
    stripe.v1.products.update(product.id, {"name": "Team"})
    assert post_webhook({**event, "id": "evt_2"}).status_code == 200
    wait_until(lambda: djstripe.Product.objects.get().name == "Team")


@pytest.fixture
def broker(own_redis: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages of this process go where the worker listens."""
    app = Celery("tests", broker=django_settings.REDIS_URL)
    monkeypatch.setattr("celery.current_app.send_task", app.send_task)


def wait_until(condition: Callable[[], bool], *, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.05)
