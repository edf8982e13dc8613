"""How a resync's work is cut: nothing is listed twice or left out, however the cuts fall and whoever walks."""

import re
import threading
from pathlib import Path
from typing import Any

import pytest
import stripe as stripe_library
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.mirror.history import ResyncPart
from billing.mirror.kinds import KINDS, RAW, kind_for
from billing.mirror.listing import (
    INSIDE,
    NOT_BEFORE,
    PREFIXES,
    by_created,
    expansions,
    is_listable,
    kind_of,
    listable,
    stage_of,
    targets_of,
)
from billing.mirror.resync_progress import described, rate_of, span_of
from billing.mirror.resync_walks import PAGES_AHEAD, Listing, Walk, Walks


class Shelf:
    """A list at Stripe: objects with `created`, newest first, pages of 100 within a span."""

    def __init__(self, seconds: list[int]) -> None:
        self.objects = [{"id": str(number), "created": at} for number, at in enumerate(sorted(seconds, reverse=True))]
        self.calls = 0
        self._lock = threading.Lock()

    def page(self, since: int | None, until: int | None, after: str) -> list[dict[str, Any]]:
        with self._lock:
            self.calls += 1
        inside = [
            data
            for data in self.objects
            if (since is None or data["created"] >= since) and (until is None or data["created"] < until)
        ]
        start = next((place + 1 for place, data in enumerate(inside) if data["id"] == after), 0)
        return inside[start : start + 100]


class Cuts:
    """Cuts parts without a database."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self, part: ResyncPart, *, since: int | None, at: int) -> ResyncPart:
        self.made += 1
        return ResyncPart(pk=1000 + self.made, kind=part.kind, owner=part.owner, since=since, until=at)


def walk_all(shelf: Shelf, walks: Walks, threads: int) -> list[str]:
    seen: list[str] = []
    cursors: dict[Walk, str] = {}

    def walk_some() -> None:
        while (walk := walks.take()) is not None:
            page = shelf.page(walk.since, walk.part.until, cursors.get(walk, ""))
            mine, last = walks.advance(walk, page, has_more=len(page) == 100)
            seen.extend(data["id"] for data in mine)
            cursors[walk] = page[-1]["id"] if page else ""
            walks.bring(walk, Listing(walk, None, cursors[walk], walk.reached, last))

    workers = [threading.Thread(target=walk_some) for _ in range(threads)]
    workers.append(threading.Thread(target=write_all, args=(walks,)))
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert not any(worker.is_alive() for worker in workers)
    return seen


def write_all(walks: Walks) -> None:
    while (listing := walks.next_listing()) is not None:
        done = walks.written(listing)
        if done and done[-1].last:
            walks.finished(listing.walk)


@settings(max_examples=40, deadline=None)
@given(
    seconds=st.one_of(
        st.lists(st.integers(1_500_000_000, 1_700_000_000), max_size=3000),
        st.lists(st.integers(1_600_000_000, 1_600_000_009), max_size=1500),  # many in one second
    ),
    threads=st.integers(1, 6),
)
def test_every_object_is_listed_once_by_whoever_walks(seconds, threads):
    shelf, cuts = Shelf(seconds), Cuts()
    seen = walk_all(shelf, Walks([ResyncPart(pk=1, kind="invoice", owner="")], cut=cuts), threads)
    assert sorted(seen) == sorted(data["id"] for data in shelf.objects)


def test_a_long_list_is_shared_out_at_little_cost():
    """A part that is given away may turn out to be empty: no more calls are lost than were worth it."""
    shelf, cuts = Shelf([1_600_000_000 + 60 * number for number in range(20_000)]), Cuts()
    walk_all(shelf, Walks([ResyncPart(pk=1, kind="invoice", owner="")], cut=cuts), threads=6)
    assert cuts.made >= 4
    assert shelf.calls < 200 * 1.6


def test_a_short_list_costs_no_call_more_than_its_pages():
    shelf = Shelf([1_600_000_000 + number for number in range(150)])
    walk_all(shelf, Walks([ResyncPart(pk=1, kind="invoice", owner="")], cut=Cuts()), threads=6)
    assert shelf.calls == 2


@pytest.mark.parametrize("kind", ["entitlements.feature", "webhook_endpoint"])
def test_a_list_without_created_is_never_cut(kind):
    cuts = Cuts()
    shelf = Shelf([1_600_000_000 + 60 * number for number in range(2000)])
    walk_all(shelf, Walks([ResyncPart(pk=1, kind=kind, owner="")], cut=cuts), threads=4)
    assert cuts.made == 0


def test_a_list_that_has_ended_is_not_cut_while_its_last_page_is_written():
    cuts = Cuts()
    walks = Walks([ResyncPart(pk=1, kind="invoice", owner="")], cut=cuts)
    walk = walks.take()
    assert walk
    walks.advance(walk, [{"id": "a", "created": 1_700_000_000}, {"id": "b", "created": 1_699_999_999}], has_more=False)
    waiting = threading.Thread(target=walks.take)
    waiting.start()
    walks.bring(walk, Listing(walk, None, "b", 1_699_999_999, last=True))
    write_all(walks)
    waiting.join(60)
    assert (waiting.is_alive(), cuts.made) == (False, 0)


def test_stopping_wakes_whoever_waits():
    walks = Walks([ResyncPart(pk=1, kind="quote", owner="")])
    assert walks.take()
    waiting = threading.Thread(target=walks.take)
    waiting.start()
    walks.stop()
    waiting.join(60)
    assert not waiting.is_alive()


@pytest.mark.parametrize("prefix", list(PREFIXES))
def test_every_prefix_names_a_kind_of_the_mirror(prefix):
    name = kind_of(f"{prefix}1")
    assert name in KINDS or name in RAW


@pytest.mark.parametrize("kind", listable(), ids=lambda kind: kind.name)
def test_parents_are_listed_in_an_earlier_stage_or_come_along(kind):
    for part in filter(None, (kind.name, INSIDE.get(kind.name))):
        for parent in set(targets_of(part)) - set(kind.spares):
            if parent != kind.name and is_listable(parent) and (kind.name, parent) not in NOT_BEFORE:
                assert stage_of(parent) < stage_of(kind.name)


def test_what_is_not_listed_before_is_brought_along_where_it_may_be_missing():
    assert "data.invoice_settings.default_payment_method" in expansions(kind_for("customer"))
    assert "data.invoice" in expansions(kind_for("invoiceitem"))
    assert "data.default_payment_method" in expansions(kind_for("invoice"))
    assert "data.payment_method" in expansions(kind_for("payment_intent"))
    assert "data.balance_transaction" in expansions(kind_for("charge"))


@pytest.mark.parametrize("kind", [kind for kind in listable() if kind.listing is not None], ids=lambda kind: kind.name)
def test_a_list_is_cut_by_created_where_stripes_library_knows_that_parameter(kind):
    """The library's types are made from Stripe's API description."""
    *folders, name = kind.path.removeprefix("/v1/").split("/")
    singular = {"tax_rates": "tax_rate", "invoiceitems": "invoice_item", "reviews": "review"}.get(name, name)
    candidates = {singular, singular.removesuffix("s"), re.sub("ies$", "y", singular), re.sub("es$", "", singular)}
    params = Path(stripe_library.__path__[0]) / "params"
    files = [params.joinpath(*folders, f"_{each}_list_params.py") for each in candidates]
    found = [file for file in files if file.exists()]
    assert found, f"no parameters of {kind.path}"
    assert by_created(kind) == bool(re.search(r"^    created: ", found[0].read_text(), re.MULTILINE))


@pytest.mark.parametrize(("seconds", "told"), [(0.4, "0 s"), (61, "1 min 1 s"), (7322, "2 h 2 min")])
def test_a_span_is_told_as_people_say_it(seconds, told):
    assert span_of(seconds) == told


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ((50, 100, None, True), "50 objects"),  # too early to say more
        ((500, 1000, 50, True), "500 objects, 50 a second, about 20 s left"),
        ((500, 1000, 50, False), "500 objects, 50 a second, at least 20 s left"),
        ((500, 0, 50, True), "500 objects, 50 a second"),
    ],
)
def test_the_line_tells_rate_and_time_left_once_they_can_be_known(given, line):
    done, left, rate, is_all = given
    assert described(done, left, rate, is_all=is_all) == line


@pytest.mark.parametrize(
    ("seen", "rate"),
    [
        ((10.0, 0, 11.0, 500), None),  # too early
        ((10.0, 100, 20.0, 600), 50),
        ((10.0, 100, 20.0, 100), None),  # nothing came lately: no time left can be told
    ],
)
def test_the_rate_is_that_of_the_last_seconds(seen, rate):
    assert rate_of(*seen) == rate


def test_a_page_waits_for_the_kinds_that_it_refers_to_and_no_longer():
    walks = Walks([ResyncPart(pk=1, kind="customer", owner=""), ResyncPart(pk=2, kind="subscription", owner="")])
    parents, children = (walks.take() for _ in range(2))
    assert parents and children
    assert (parents.part.kind, children.part.kind) == ("customer", "subscription")
    walks.bring(children, Listing(children, None, "", None, last=True))
    early = walks.next_listing()
    assert early
    walks.put_off(early, walks.unfinished("", ["customer", "price"]))
    assert early.awaits == {("", "customer")}
    walks.bring(parents, Listing(parents, None, "", None, last=True))
    first = walks.next_listing()
    assert first and first.walk is parents
    walks.written(first)
    walks.finished(parents)
    assert walks.next_listing() is early


def test_pages_that_wait_do_not_keep_out_those_that_they_wait_for():
    kinds = ["customer", *["subscription"] * 2 * PAGES_AHEAD]
    walks = Walks([ResyncPart(pk=number, kind=kind, owner="") for number, kind in enumerate(kinds)])
    customers = walks.take()
    assert customers
    for _ in range(PAGES_AHEAD):
        walk = walks.take()
        assert walk and walk.part.kind == "subscription"
        walks.bring(walk, Listing(walk, None, "", None, last=True))
        listing = walks.next_listing()
        assert listing
        walks.put_off(listing, [("", "customer")])
    waiting = threading.Thread(target=walks.take, daemon=True)  # no more subscriptions for now
    waiting.start()
    waiting.join(0.2)
    assert waiting.is_alive()
    walks.bring(customers, Listing(customers, None, "", None, last=False))
    waiting.join(60)
    assert not waiting.is_alive()


def test_the_place_of_a_part_is_kept_only_as_far_as_all_before_it_is_written():
    walks = Walks([ResyncPart(pk=1, kind="charge", owner="")])
    brought = []
    for number in range(3):
        walk = walks.take()
        assert walk
        walks.bring(walk, Listing(walk, None, str(number), None, last=number == 2))
        brought.append(walks.next_listing())
    first, second, third = (listing for listing in brought if listing)
    assert walks.written(second) == []
    assert walks.written(first) == [first, second]
    assert walks.written(third) == [third]


def test_parts_that_are_to_come_keep_a_kind_unfinished():
    walks = Walks()
    walks.expect({1: [("", "payment_method")]})
    assert walks.unfinished("", ["payment_method"]) == {("", "payment_method")}
    walks.add([], expected=[("", "payment_method")])
    assert walks.unfinished("", ["payment_method"]) == frozenset()
    assert walks.take() is None
