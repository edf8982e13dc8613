"""The lists of Stripe, page by page: by time, newest first, or parent by parent. Nothing here writes."""

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from typing import Any

import stripe

from billing.mirror import resync_parts
from billing.mirror.fetch import PAGE, Listed, list_page, list_pages
from billing.mirror.gate import FAR
from billing.mirror.history import ResyncPart
from billing.mirror.kinds import Kind, Under, kind_for
from billing.mirror.listing import by_created, expansions
from billing.mirror.resync_pages import Heard, Page, Window, taken
from billing.mirror.resync_walks import Listing, Walk, Walks
from billing.stripe_accounts import StripeAccount
from billing.stripe_reading import LONG_AGO, Answer


def listings_of(walk: Walk, walks: Walks, account: StripeAccount) -> Generator[Listing | None, None, None]:
    """Ask for the next page at each step, until one that is the last; None where a call has filled none yet."""
    kind = kind_for(walk.part.kind)
    begun = bool(walk.part.cursor)
    pages = (
        pages_by_parent(kind, kind.under, walk, account) if kind.under else pages_in_time(kind, walk, walks, account)
    )
    try:
        for listing in pages:
            begun = True
            yield listing
    except stripe.PermissionError as error:
        yield Listing(walk, None, "", None, True, f"The key may not read it: {error.user_message}")
    except stripe.InvalidRequestError as error:
        if begun:
            raise
        unknown = error.http_status == 404 and not error.code  # an address that is not there
        reason = "Stripe does not offer it here." if unknown else error.user_message
        yield Listing(walk, None, "", None, True, reason or "Stripe refuses it.")


def pages_in_time(kind: Kind, walk: Walk, walks: Walks, account: StripeAccount) -> Iterator[Listing]:
    """Walk a list from its newest object on; meanwhile somebody else may be given its older end."""
    part, cursor = walk.part, walk.part.cursor
    until = part.until - 1 if part.until is not None else None
    upper = walk.reached if cursor else until
    carried: frozenset[str] = frozenset()
    while True:
        try:
            listed = page_in_time(kind, walk, cursor, account)
        except stripe.InvalidRequestError as error:
            if error.param != "starting_after":
                raise
            cursor, part.until = "", upper + 1 if upper is not None else None  # the object at the cursor is gone
            continue
        objects, last = walks.advance(walk, listed.objects, has_more=listed.has_more)
        lower = walk.since - 1 if last and walk.since is not None else None if last else walk.reached
        window = window_of(part, listed, after=lower, until=upper) if last or lower is not None else None
        page = Page(kind, taken(kind, listed, objects, account=account), window, carried)
        cursor = objects[-1]["id"] if objects else cursor
        yield Listing(walk, page, cursor, walk.reached, last)
        if last:
            return
        carried = boundary_ids(objects, walk.reached) | (carried if upper == walk.reached else frozenset())
        upper = walk.reached


def page_in_time(kind: Kind, walk: Walk, cursor: str, account: StripeAccount) -> Listed:
    """The next page of a list; an empty one where the customer or the test clock is gone with all that it had."""
    try:
        return list_page(kind.path, params_of(kind, walk), after=cursor or None, account=account)
    except stripe.InvalidRequestError as error:
        whose = error.param in walk.part.params
        if whose and error.code == "resource_missing":
            return Listed([], LONG_AGO, FAR, has_more=False)
        raise


def window_of(part: ResyncPart, listed: Listed, *, after: int | None, until: int | None) -> Window | None:
    """What of the mirror the page should have listed (Unix seconds); None where nothing tells (a charge's refunds).

    What was created after the list was asked for cannot be on it. Objects of test clocks are dated by their clock, so
    what a customer or a clock has is not bounded by that: at worst a new object is asked about.
    """
    customer, clock = str(part.params.get("customer", "")), str(part.params.get("test_clock", ""))
    if part.params and not customer and not clock:
        return None
    if until is None and not part.params and listed.high < FAR:
        until = listed.high
    return Window(after, until, customer=customer, clock=clock)


def params_of(kind: Kind, walk: Walk) -> dict[str, Any]:
    bounds = {"gte": walk.since, "lt": walk.part.until}
    bounds = {name: value for name, value in bounds.items() if value is not None}
    created = {"created": bounds} if bounds and by_created(kind) else {}
    return {**(kind.listing or {}), **walk.part.params, **created, "expand": expansions(kind)}


def boundary_ids(objects: Sequence[dict[str, Any]], second: int | None) -> frozenset[str]:
    return frozenset(data["id"] for data in objects if data.get("created") == second)


def pages_by_parent(kind: Kind, under: Under, walk: Walk, account: StripeAccount) -> Iterator[Listing | None]:
    """Ask parent by parent, a step each, and hand over what several parents have as one page."""
    objects: list[Answer] = []
    parents: list[str] = []
    heard: dict[str, Heard] = {}
    to_ask = deque(resync_parts.parents_of(walk.part))
    while to_ask:
        parent = to_ask.popleft()
        walk.parents = len(to_ask)
        pages = list(pages_of_parent(kind, under, parent, account))
        for listed in pages:
            objects += taken(kind, listed, listed.objects, account=account)
        parents.append(parent)
        heard |= {parent: what_was_heard(pages)} if pages else {}
        if to_ask and (len(objects) >= PAGE or len(parents) >= PAGE // 2):
            page = Page(kind, tuple(objects), Window(parents=tuple(parents)), heard=heard)
            yield Listing(walk, page, parent, None, last=False)
            objects, parents, heard = [], [], {}
        elif to_ask:
            yield None
    last = Page(kind, tuple(objects), Window(parents=tuple(parents)), heard=heard) if parents else None
    yield Listing(walk, last, parents[-1] if parents else walk.part.cursor, None, last=True)


def what_was_heard(pages: Sequence[Listed]) -> Heard:
    """All pages of one parent's list, as of the first question."""
    ids = sorted(data["id"] for listed in pages for data in listed.objects)
    return Heard(tuple(ids), min(listed.low for listed in pages))


def pages_of_parent(kind: Kind, under: Under, parent: str, account: StripeAccount) -> Iterator[Listed]:
    params = {"expand": expansions(kind)} | ({under.param: parent} if under.param else {})
    try:
        for listed in list_pages(under.path.format(id=parent), params, account=account):
            noted = {under.key: parent} if under.key else {}
            yield Listed([{**data, **noted} for data in listed.objects], listed.low, listed.high, listed.has_more)
    except stripe.InvalidRequestError as error:
        if error.code != "resource_missing":  # the parent is gone: nothing of it is listed any more
            raise
