"""The list of thin events: filters, and pages that name their neighbours."""

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from sandbox import thin_events
from sandbox.context import Scope
from tests.sandbox.travel import Travel

PATH = "/v2/core/events"
DAY = 24 * 3600


def happen(travel: Travel, *types: str) -> list[str]:
    """Events a second apart, oldest first; their ids."""
    ids, scope = [], Scope(travel.get("/v1/account")["id"], livemode=False)
    for type in types:
        travel.now += 1
        with travel.engine.store.write() as tx:
            ctx = travel.engine.context(tx, scope, now=travel.now)
            related = {"id": f"mtr_{type}", "type": "billing.meter", "url": f"/v1/billing/meters/mtr_{type}"}
            ids.append(thin_events.emit(ctx, type, {}, related)["id"])
    return ids


def listed(travel: Travel, **given: str) -> list[str]:
    return [event["id"] for event in travel.get(PATH, **given)["data"]]


def turned(travel: Travel, address: str) -> Any:
    """What stands at the address of a page."""
    parts = urlsplit(address)
    return travel.get(parts.path, **dict(parse_qsl(parts.query)))


def test_pages_name_their_neighbours_in_both_directions(travel: Travel) -> None:
    ids = happen(travel, *"abcde")[::-1]
    pages = [travel.get(PATH, limit="2")]
    while address := pages[-1]["next_page_url"]:
        pages.append(turned(travel, address))
    assert [[event["id"] for event in page["data"]] for page in pages] == [ids[:2], ids[2:4], ids[4:]]
    assert pages[0]["previous_page_url"] is None
    back = turned(travel, pages[2]["previous_page_url"])
    assert [event["id"] for event in back["data"]] == ids[2:4]
    first = turned(travel, back["previous_page_url"])
    assert ([event["id"] for event in first["data"]], first["previous_page_url"]) == (ids[:2], None)


def test_a_page_keeps_the_filters_of_the_list(travel: Travel) -> None:
    ids = happen(travel, *"abababab")
    page = travel.get(PATH, limit="1", **{"types[0]": "a", "created[gt]": thin_events.iso(travel.now - 7.5)})
    found = [page["data"][0]["id"]]
    while page["next_page_url"]:
        page = turned(travel, page["next_page_url"])
        found.append(page["data"][0]["id"])
    assert found == ids[::2][::-1]
    assert listed(travel, object_id="mtr_b") == ids[1::2][::-1]


@pytest.mark.parametrize(
    ("name", "offset", "count"),
    [
        # three events: now, a second ago, two seconds ago
        ("gt", -1.0, 1),
        ("gte", -1.0, 2),
        ("lt", -1.0, 1),
        ("lte", -1.0, 2),
        # edges between two seconds
        ("gt", -0.5, 1),
        ("gte", -1.5, 2),
        ("lt", -0.5, 2),
        ("lte", -1.5, 1),
    ],
)
def test_a_range_of_times(travel: Travel, name: str, offset: float, count: int) -> None:
    happen(travel, *"abc")
    assert len(listed(travel, **{f"created[{name}]": thin_events.iso(travel.now + offset)})) == count


def test_what_is_older_than_thirty_days_is_forgotten(travel: Travel) -> None:
    happen(travel, "old")
    travel.now += 31 * DAY
    new = happen(travel, "new")
    assert listed(travel) == listed(travel, **{"created[gte]": "2001-01-01T00:00:00Z"}) == new


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"created[gt]": "1700000000"}, "created[gt]"),
        ({"created[gt]": "2026-01-01T00:00:00"}, "created[gt]"),
        ({"created": "2026-01-01T00:00:00Z"}, "created"),
        ({"page": "none"}, "page"),
        ({"page": "YWZ0ZXI6ZXZ0X25vbmU="}, "page"),
        ({"limit": "101"}, "limit"),
        ({f"types[{number}]": "a" for number in range(21)}, "types"),
        ({"starting_after": "evt_1"}, "starting_after"),
    ],
)
def test_what_cannot_be_read_is_refused(travel: Travel, given: dict[str, str], param: str) -> None:
    status, said = travel.ask("GET", PATH, **given)
    assert (status, said["error"]["param"]) == (400, param)
