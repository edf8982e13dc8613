"""Thin notifications (v2): an event that says which object changed, and not how it is."""

import pytest

from billing.inbox.envelope import read_envelope
from billing.inbox.models import InboxEvent
from billing.inbox.refusals import Refused
from tests.billing.events import an_event

pytestmark = pytest.mark.django_db


def a_thin_event(**changes):
    return {
        "id": "evt_test_65ThinOne",
        "object": "v2.core.event",
        "type": "v1.billing.meter.error_report_triggered",
        "created": "2026-01-01T00:00:00.250Z",
        "livemode": False,
        "context": None,
        "reason": None,
        "related_object": {"id": "mtr_1", "type": "billing.meter", "url": "/v1/billing/meters/mtr_1"},
        **changes,
    }


def test_a_thin_event_is_stored_with_the_object_it_is_about(post_webhook, sent):
    assert post_webhook(a_thin_event()).status_code == 200
    row = InboxEvent.objects.get()
    assert (row.external_id, row.type) == ("evt_test_65ThinOne", "v1.billing.meter.error_report_triggered")
    assert (row.object_kind, row.object_id, row.api_version) == ("billing.meter", "mtr_1", "")
    assert row.occurred_at.isoformat() == "2026-01-01T00:00:00.250000+00:00"
    assert row.payload == a_thin_event()


@pytest.mark.parametrize(
    ("related", "kind", "id", "customer"),
    [
        ({"id": "cus_1", "type": "customer", "url": "/v1/customers/cus_1"}, "customer", "cus_1", "cus_1"),
        ({"id": "cus_1", "type": "v1.customer", "url": "/v1/customers/cus_1"}, "customer", "cus_1", "cus_1"),
        (
            {"id": "acct_1", "type": "v2.core.account", "url": "/v2/core/accounts/acct_1"},
            "v2.core.account",
            "acct_1",
            "",
        ),
        (None, "", "", ""),  # some are about nothing that has an address
        ("cus_1", "", "", ""),
        ({"id": 7, "type": ["x"]}, "", "", ""),
    ],
)
def test_its_object_is_read_from_the_reference(related, kind, id, customer):
    event = read_envelope(a_thin_event(related_object=related))
    assert (event.object_kind, event.object_id, event.customer_id) == (kind, id, customer)


@pytest.mark.parametrize(
    "created", [None, "yesterday", 1_767_225_600, "", "2026-13-01T00:00:00Z", "0001-01-01T00:00:00+23:00"]
)
def test_a_thin_event_whose_time_cannot_be_read_is_refused(created):
    with pytest.raises(Refused):
        read_envelope(a_thin_event(created=created))


def test_the_snapshot_and_the_thin_event_of_one_happening_are_two_events(post_webhook, sent):
    post_webhook(an_event())
    post_webhook(a_thin_event(type="v1.customer.updated", related_object={"id": "cus_1", "type": "customer"}))
    assert set(InboxEvent.objects.values_list("object_id", flat=True)) == {"cus_1"}
    assert InboxEvent.objects.count() == 2
