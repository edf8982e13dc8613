"""What the page of one event says about how far it has come and what it is about. No database."""

from datetime import UTC, datetime, timedelta

import pytest

from billing.models import Door, InboxEvent, InboxState
from ops.console.display import Tone
from ops.console.event_page import stages_of, stripe_event, subscription_of

HAPPENED = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
SOON_AFTER = HAPPENED + timedelta(seconds=5)


def event(**fields: object) -> InboxEvent:
    moments = {"occurred_at": HAPPENED, "received_at": HAPPENED + timedelta(seconds=2)}
    return InboxEvent(external_id="evt_1", type="invoice.paid", door=Door.WEBHOOK, **(moments | fields))


# where the event stands, what its last stage is called, how it looks, and words that its detail must have
@pytest.mark.parametrize(
    ("fields", "title", "tone", "words"),
    [
        ({"state": InboxState.RECEIVED}, "Waits for the mirror", Tone.WAITING, "Nobody has looked"),
        ({"state": InboxState.RECEIVED, "attempts": 2}, "Will be tried again", Tone.WAITING, "2 failed attempts"),
        (
            {"state": InboxState.MIRRORED, "mirrored_at": SOON_AFTER},
            "Mirrored",
            Tone.GOOD,
            "5.0 s",
        ),
        ({"state": InboxState.STORED}, "Stored only", Tone.STOPPED, "no table"),
        ({"state": InboxState.FAILED, "attempts": 8}, "Failed", Tone.ATTENTION, "8 failed attempts"),
    ],
)
def test_the_last_stage_says_where_the_event_stands(fields, title, tone, words):
    last = stages_of(event(**fields))[-1]
    assert (last.title, last.tone) == (title, tone)
    assert words in last.detail


def test_an_event_that_was_mirrored_at_once_speaks_of_no_attempts():
    last = stages_of(event(state=InboxState.MIRRORED, mirrored_at=SOON_AFTER))[-1]
    assert "attempt" not in last.detail


INVOICE = {"object": "invoice", "id": "in_1", "parent": {"subscription_details": {"subscription": "sub_1"}}}


# the object that an event is about, and the subscription it belongs to
@pytest.mark.parametrize(
    ("about", "subscription"),
    [
        ({"object": "subscription", "id": "sub_1"}, "sub_1"),
        (INVOICE, "sub_1"),
        ({"object": "checkout.session", "subscription": "sub_1"}, "sub_1"),
        ({"object": "checkout.session", "subscription": {"id": "sub_1"}}, "sub_1"),  # expanded
        ({"object": "customer", "id": "cus_1"}, ""),
        ({"object": "invoice", "id": "in_1", "parent": None}, ""),  # a one-off invoice
    ],
)
def test_the_subscription_of_an_event_is_found_in_its_object(about, subscription):
    assert subscription_of({"data": {"object": about}}) == subscription


def test_an_event_in_eventbridge_s_envelope_is_read_alike():
    wrapped = event(payload={"source": "aws.partner/stripe.com", "detail": {"data": {"object": INVOICE}}})
    assert subscription_of(stripe_event(wrapped)) == "sub_1"


@pytest.mark.parametrize("payload", [{}, [], None, {"data": None}, {"data": {"object": None}}])
def test_a_payload_of_an_unknown_shape_breaks_nothing(payload):
    assert subscription_of(stripe_event(event(payload=payload))) == ""
