"""Who listens to dj-stripe's models or webhook signals hears of what the mirror writes in bulk."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models.signals import post_save, pre_save
from django.dispatch import Signal
from django.test.utils import CaptureQueriesContext
from djstripe import models as djstripe
from djstripe.signals import WEBHOOK_SIGNALS

from billing.inbox.intake import store_event
from billing.inbox.models import Door, InboxEvent
from billing.mirror import signals, tables
from billing.mirror.columns import rows_of
from billing.mirror.kinds import Ref, kind_for
from tests.billing.objects import NOW, START, item, price, product, subscription

pytestmark = pytest.mark.django_db
CUSTOMER = {"id": "cus_1", "object": "customer", "created": 1_770_000_000, "livemode": False, "email": None}


@contextmanager
def connected(signal: Signal, receiver: Any, sender: Any) -> Iterator[None]:
    signal.connect(receiver, sender=sender)
    try:
        yield
    finally:
        signal.disconnect(receiver, sender=sender)


def write(*objects: dict[str, Any], new: bool = True, now: datetime = NOW) -> None:
    rows = [row for data in objects for row in rows_of(kind_for(data["object"]), data, owner_id=None, now=now)]
    with transaction.atomic():
        tables.write(rows)
        signals.after_write([(Ref(data["object"], data["id"]), new) for data in objects])


def test_a_listener_hears_of_each_object_and_whether_it_is_new():
    heard = []

    def receiver(sender, instance, created, raw, using, update_fields, **_):
        heard.append((sender, instance.id, instance.name, instance.pk is not None, created, raw, using, update_fields))

    with connected(post_save, receiver, djstripe.Product):
        write(product(), product(id="prod_2", name="Two"))
        write(product(name="New"), new=False)
    usual = (False, "default", None)
    assert sorted(heard[:2], key=str) == [
        (djstripe.Product, "prod_2", "Two", True, True, *usual),
        (djstripe.Product, "prod_business", "Business", True, True, *usual),
    ]
    assert heard[2:] == [(djstripe.Product, "prod_business", "New", True, False, *usual)]


def test_a_listener_hears_of_a_subscriptions_items_that_changed_with_it():
    heard = []

    def receiver(instance, created, **_):
        heard.append((instance.id, created))

    write(product(), price(), CUSTOMER)
    with connected(post_save, receiver, djstripe.SubscriptionItem):
        write(subscription(items=[item(id="si_1"), item(id="si_2")]))
        assert sorted(heard) == [("si_1", True), ("si_2", True)]
        changed = subscription(items=[item(id="si_1"), item(id="si_2", quantity=5)], description="changed")
        write(changed, new=False, now=NOW + timedelta(minutes=1))
        assert heard[2:] == [("si_2", False)]


def test_before_a_write_a_listener_sees_the_new_values_while_the_row_has_the_old():
    write(product(), price())
    heard = []

    def receiver(instance, **_):
        before = djstripe.Product.objects.filter(pk=instance.pk).values_list("name", flat=True).first()
        heard.append((before, instance.name, instance.created, instance.djstripe_updated))

    with connected(pre_save, receiver, djstripe.Product):
        write(product(name="New"), product(id="prod_2"))
    assert heard == [("Business", "New", START, NOW), (None, "Business", START, NOW)]


def test_a_receiver_that_fails_spoils_neither_the_mirror_nor_the_others(caplog):
    heard = []

    def failing(instance, **_):
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 / 0")

    def receiver(instance, **_):
        heard.append(instance.id)

    with connected(post_save, failing, djstripe.Product), connected(post_save, receiver, djstripe.Product):
        write(product())
    assert heard == ["prod_business"]
    assert djstripe.Product.objects.count() == 1
    assert "signal:receiver-failed" in caplog.text


def test_where_nobody_listens_nothing_is_read():
    for model in (djstripe.Product, djstripe.Subscription, djstripe.SubscriptionItem, djstripe.Invoice):
        assert not post_save.has_listeners(model)
    with CaptureQueriesContext(connection) as queries:
        signals.after_write([(Ref("product", "prod_1"), True), (Ref("subscription", "sub_1"), True)])
        signals.after_events([InboxEvent(pk=1, type="customer.created")], owner_id=None)
    assert len(queries) == 0


def stored_event(event_type: str = "customer.created", **fields: Any) -> InboxEvent:
    event = {
        "id": "evt_1",
        "object": "event",
        "api_version": "2026-08-26.dahlia",
        "created": 1_770_000_000,
        "type": event_type,
        "livemode": False,
        "request": {"id": "req_1", "idempotency_key": "key_1"},
        "data": {"object": CUSTOMER},
        **fields,
    }
    store_event(event, door=Door.WEBHOOK, now=NOW)
    return InboxEvent.objects.get()


def test_a_webhook_receiver_hears_of_an_event_after_the_commit(django_capture_on_commit_callbacks):
    heard = []

    def receiver(sender, event, **_):
        heard.append((sender, event))

    event = stored_event()
    with connected(WEBHOOK_SIGNALS["customer.created"], receiver, djstripe.Event):  # noqa: SIM117
        with django_capture_on_commit_callbacks(execute=True):
            signals.after_events([event], owner_id=None)
            assert heard == []
    [(sender, told)] = heard
    assert sender is djstripe.Event
    assert (told.id, told.type, told.request_id, told.idempotency_key) == ("evt_1", event.type, "req_1", "key_1")
    assert told.data == {"object": CUSTOMER}
    assert told.stripe_data["id"] == "evt_1"
    assert not djstripe.Event.objects.exists()


def test_dj_stripes_own_receivers_are_not_called(django_capture_on_commit_callbacks):
    assert WEBHOOK_SIGNALS["customer.deleted"].receivers
    event = stored_event("customer.deleted")
    with django_capture_on_commit_callbacks() as callbacks:
        signals.after_events([event], owner_id=None)
    assert callbacks == []


def test_events_become_rows_of_dj_stripes_when_the_settings_ask_for_them(settings, django_capture_on_commit_callbacks):
    settings.MIRROR_STRIPE_EVENTS = True
    event = stored_event("invoice_payment.paid")  # a type that dj-stripe does not know
    with django_capture_on_commit_callbacks(execute=True):
        signals.after_events([event], owner_id=None)
    row = djstripe.Event.objects.get()
    assert (row.id, row.type, row.api_version, row.request_id) == (
        "evt_1",
        "invoice_payment.paid",
        "2026-08-26.dahlia",
        "req_1",
    )
    assert row.parts == ["invoice_payment", "paid"]


def test_a_thin_notification_has_no_place_among_dj_stripes_events(settings, django_capture_on_commit_callbacks):
    settings.MIRROR_STRIPE_EVENTS = True
    event = stored_event()
    InboxEvent.objects.update(payload={"id": "evt_1", "object": "v2.core.event", "created": "2026-02-10T09:00:00Z"})
    with django_capture_on_commit_callbacks(execute=True):
        signals.after_events([event], owner_id=None)
    InboxEvent.objects.update(payload=None)  # archived
    with django_capture_on_commit_callbacks(execute=True):
        signals.after_events([event], owner_id=None)
    assert not djstripe.Event.objects.exists()
