"""Whatever JSON comes in: it is an event that PostgreSQL keeps, or it is refused."""

from contextlib import suppress

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.inbox.envelope import read_envelope
from billing.inbox.intake import store_event
from billing.inbox.models import Door, InboxEvent
from billing.inbox.refusals import Refused
from billing.inbox.webhook import read_json
from tests.billing.events import an_event

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
FIELDS = ["id", "object", "type", "created", "livemode", "account", "api_version", "data"]


@given(JSON)
def test_any_json_is_an_event_or_is_refused(payload):
    with suppress(Refused):
        read_envelope(payload)


@given(st.dictionaries(st.sampled_from(FIELDS), JSON))
def test_an_event_with_any_part_replaced_is_an_event_or_is_refused(changes):
    try:
        envelope = read_envelope(an_event(**changes))
    except Refused:
        return
    assert 0 < len(envelope.id) <= 255
    assert envelope.occurred_at.tzinfo is not None


@given(st.binary(max_size=200))
def test_any_bytes_are_json_or_are_refused(body):
    with suppress(Refused):
        read_json(body)


@pytest.mark.django_db
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(alphabet=st.characters(codec=None), min_size=1, max_size=8), JSON)
def test_any_text_in_an_event_is_kept_by_postgresql(text, more):
    event = an_event(data={"object": {"id": "cus_1", "object": text, "name": text, text: more}})
    InboxEvent.objects.all().delete()
    assert store_event(event, door=Door.WEBHOOK, now=timezone.now())
    assert InboxEvent.objects.count() == 1
