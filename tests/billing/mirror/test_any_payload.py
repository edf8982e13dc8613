"""Whatever stands in an object: its event ends mirrored, stored or failed with a reason, and takes no other with it.

Stripe's published example objects of every kind are changed at random places, and come as events; Stripe, when it is
asked, answers the same. ANY_PAYLOAD_EXAMPLES=5000 tries more of them.
"""

import copy
import json
import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import orjson
import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from billing.inbox.intake import store_event
from billing.inbox.models import Door, InboxEvent, InboxState
from billing.mirror import fetch
from billing.mirror.apply import mirror_due
from billing.mirror.failing import ATTEMPTS, LONGEST_WAIT
from billing.mirror.kinds import KINDS, RAW
from billing.stripe_reading import FAR, LONG_AGO, Answer, Missing
from billing.unusual_json import storable
from tests.billing.events import an_event
from tests.billing.mirror.test_published_objects import published

EXAMPLES = int(os.environ.get("ANY_PAYLOAD_EXAMPLES", "25"))
PATHS = {kind.path: kind.name for kind in (*RAW.values(), *KINDS.values()) if kind.path}
READ_MOST = ("subscription", "invoice", "customer", "checkout.session", "charge", "price", "payment_method")
ABSENT = object()

Data = dict[str, Any]
Place = tuple[str | int, ...]

pytestmark = [
    pytest.mark.skipif(not published(), reason="Stripe's published examples are not at hand"),
    pytest.mark.django_db,
]

a_list_that_goes_on = st.fixed_dictionaries(
    {
        "object": st.just("list"),
        "data": st.sampled_from([[], None, [None], ["si_1"], [{}], [{"id": "si_1"}], [{"id": None, "object": 7}]]),
        "has_more": st.sampled_from([True, False, "yes"]),
        "url": st.sampled_from(["/v1/things", None, 7]),
    }
)
an_expanded_object = st.sampled_from(sorted(published()) or [""]).map(lambda kind: published().get(kind))
ANYTHING: st.SearchStrategy[Any] = st.one_of(
    st.just(ABSENT),
    st.none(),
    st.booleans(),
    st.sampled_from([-1, 0, 2**31, 2**40, 2**63, 2**64, 10**30, 1.5, -0.5, 1e300]),
    st.sampled_from(["", "x", "x" * 300, "x" * 20_000, "a word of tomorrow", "\x00", "\ud800", "1e9", "2026-01-31"]),
    st.sampled_from([[], [None], ["x"], [[]], [{}], [{"id": "x"}], [1, 2], {}, {"id": None}, {"id": 7}, {"id": ["x"]}]),
    st.sampled_from([{"object": "customer"}, {"id": "cus_1", "object": "customer"}, {"data": 7}, {"": {"": {}}}]),
    a_list_that_goes_on,
    an_expanded_object,
)


@st.composite
def changed_objects(draw: st.DrawFn) -> tuple[str, Data]:
    """A kind, and its published object with something else at some places."""
    kind = draw(st.sampled_from(READ_MOST) | st.sampled_from(sorted(published())))
    data = copy.deepcopy(published()[kind])
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.sampled_from(list(places_in(data)) or [("id",)]))
        put(data, place, draw(ANYTHING))
    return kind, data


def places_in(value: Any, above: Place = ()) -> Iterator[Place]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield (*above, key)
        yield from places_in(one, (*above, key))


def put(data: Any, place: Place, value: Any) -> None:
    *way, last = place
    for key in way:
        data = data[key]
    if value is ABSENT:
        data.pop(last)
    else:
        data[last] = copy.deepcopy(value)


class Stripe:
    """It has the objects of this example under their ids, and a published object of each kind under any other."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], Data] = {}

    def has(self, data: Data) -> Data:
        self.objects[str(data.get("object")), str(data.get("id"))] = data
        return data

    def read(self, path: str, params: Any = None, *, account: Any = None) -> Answer:
        collection, _, quoted = path.rpartition("/")
        kind, object_id = PATHS.get(collection, ""), unquote(quoted)
        found = self.objects.get((kind, object_id))
        if found is None and kind in published():
            found = {**published()[kind], "id": object_id}
        if found is None and "limit" in (params or {}):
            found = {"object": "list", "data": [], "has_more": False}
        if found is None:
            raise Missing("No such object", None, "resource_missing", http_status=404)
        return Answer(orjson.loads(json.dumps(found)), LONG_AGO, FAR)


@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
@given(objects=st.lists(changed_objects(), min_size=1, max_size=5), ours=st.booleans())
def test_whatever_an_object_holds_its_event_ends_and_takes_no_other_with_it(
    monkeypatch, acme, customer_of, settings, objects, ours
):
    settings.STRIPE_ACCOUNT_ID = "acct_1032D82eZvKYlo2C"
    stripe = Stripe()
    monkeypatch.setattr(fetch, "read", stripe.read)
    old = {} if ours else {"api_version": "2020-08-27"}  # of which Stripe is asked
    with transaction.atomic():
        customer_of(acme, published()["subscription"]["customer"])  # so that there is news to tell
        for number, (kind, data) in enumerate(objects):
            if isinstance(data.get("id"), str) and data["id"]:
                data = {**data, "id": f"{data['id'][:200]}_{number}"}
                tell(f"changed_before_{number}", kind, {**published()[kind], "id": data["id"]}, created=SECOND - 1)
            tell(f"changed_{number}", kind, stripe.has(storable(data)), **old)
            tell(f"sound_{number}", kind, stripe.has({**published()[kind], "id": f"sound_{number}"}))
        mirror_due(timezone.now, budget_seconds=60)
        assert states_of("sound") and states_of("sound") <= DONE
        for number in range(1, ATTEMPTS):
            if states_of("changed") <= DONE | {InboxState.FAILED}:
                break
            later = timezone.now() + 2 * LONGEST_WAIT * number
            mirror_due(lambda later=later: later, budget_seconds=60)
        assert states_of("changed") <= DONE | {InboxState.FAILED}
        failed = InboxEvent.objects.filter(state=InboxState.FAILED).values_list("type", "error")
        assert all(error for _, error in failed)
        for kind, error in failed:
            event(f"{kind}: {error}")
        transaction.set_rollback(True)


SECOND = 1_767_225_600


def tell(name: str, kind: str, data: Data, **more: Any) -> None:
    given = {"id": f"evt_{name}", "type": f"{kind}.updated", "created": SECOND, **more}
    store_event(an_event(**given, data={"object": data}), door=Door.WEBHOOK, now=timezone.now())


DONE = {InboxState.MIRRORED, InboxState.STORED}


def states_of(name: str) -> set[str]:
    events = InboxEvent.objects.filter(external_id__startswith=f"evt_{name}_")
    return set(events.values_list("state", flat=True))
