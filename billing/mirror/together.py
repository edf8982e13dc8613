"""Many objects of one kind asked for by one list instead of one by one, where it is known about when they were made.

A batch of events asks about objects that were made within the same minutes, and about what these refer to: the charges
of a morning with their balance transactions. A list narrowed to those minutes brings a hundred of them for one call.
What it does not bring (what is gone, or lives by a test clock) is asked for by its id as ever.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from billing.mirror.fetch import Fetched, as_fetched, at_once, complete, list_page
from billing.mirror.kinds import Ref, kind_for
from billing.mirror.listing import by_created
from billing.stripe_accounts import StripeAccount
from billing.stripe_reading import Answer

ENOUGH = 4  # objects that a page must bring, or else it is not asked for: so little is lost where it brings fewer
APART = 120  # seconds between two objects of one list
# What an object refers to was made a little before it, or with it (its balance transaction).
BEFORE, AFTER = 60, 5


@dataclass(frozen=True)
class Span:
    """Objects of a kind that were probably made between two seconds of Stripe's time, both included."""

    kind: str
    ids: frozenset[str]
    since: int
    until: int


def fetch_together(refs: Sequence[Ref], made: Mapping[Ref, int], *, account: StripeAccount) -> dict[Ref, Fetched]:
    """Return those of the objects that lists bring. `made`: about when each was made (Unix seconds), where known.

    Costs at most one call for `ENOUGH` objects more than it spares. Never raises what Stripe says: whoever asks for the
    others is told.
    """
    found: dict[Ref, Fetched] = {}
    for listed in at_once(list(spans(refs, made)), lambda span: list_span(span, account)).values():
        if not isinstance(listed, Exception):
            found |= listed
    return found


def spans(refs: Sequence[Ref], made: Mapping[Ref, int]) -> Iterator[Span]:
    """The lists that are worth asking for. Pure."""
    dated: dict[str, list[tuple[int, str]]] = {}
    for ref in dict.fromkeys(refs):
        if ref in made and by_created(kind_for(ref.kind)):
            dated.setdefault(ref.kind, []).append((made[ref], ref.id))
    for name, members in dated.items():
        for near in neighbours(sorted(members)):
            if len(near) >= ENOUGH:
                ids = frozenset(object_id for _, object_id in near)
                yield Span(name, ids, near[0][0] - BEFORE, near[-1][0] + AFTER)


def neighbours(members: Sequence[tuple[int, str]]) -> Iterator[list[tuple[int, str]]]:
    near: list[tuple[int, str]] = []
    for second, object_id in members:
        if near and second - near[-1][0] > APART:
            yield near
            near = []
        near.append((second, object_id))
    if near:
        yield near


def list_span(span: Span, account: StripeAccount) -> dict[Ref, Fetched]:
    """Read the list as long as each page brings enough of what is missing."""
    kind = kind_for(span.kind)
    expand = [f"data.{name}" for name in (*kind.expand, *kind.spares)]
    params = {**(kind.listing or {}), "created": {"gte": span.since, "lte": span.until}, "expand": expand}
    found: dict[Ref, Fetched] = {}
    after = None
    while len(span.ids) - len(found) >= ENOUGH or not after:
        page = list_page(kind.path, params, after=after, account=account)
        wanted = [data for data in page.objects if data["id"] in span.ids]
        for data in wanted:
            whole = complete(kind, Answer(data, page.low, page.high), account=account)
            found[Ref(kind.name, data["id"])] = as_fetched(kind, whole)
        if not page.has_more or len(wanted) < ENOUGH:
            break
        after = page.objects[-1]["id"]
    return found
