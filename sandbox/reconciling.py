"""Which payments a transfer is for. Pure.

Source: Stripe docs, "Reconciliation" (customer balance): an exact group for yen; the reference, an exact amount, then
the oldest for other currencies.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

LARGEST_GROUP = 5
MOST_COMPARED = 20
"""Of this many oldest payments groups are tried; more would take too long."""


@dataclass(frozen=True)
class Waiting:
    """A payment that waits for money: what is missing, since when, and by which words a sender may name it."""

    intent: str
    missing: int
    since: int
    invoice: bool = False
    names: tuple[str, ...] = ()


def share(available: int, waiting: Sequence[Waiting], currency: str, reference: str | None) -> list[tuple[str, int]]:
    """(intent, amount) in the order of payment; never more than there is, never more than is missing."""
    oldest = sorted(waiting, key=lambda one: (one.since, one.intent))
    if currency == "jpy":
        group = _exact_group(available, oldest[:MOST_COMPARED])
        return [(one.intent, one.missing) for one in group] or _oldest_first(available, oldest)
    named = [one for one in oldest if reference and any(name in reference for name in one.names)]
    exact = [one for one in oldest if one.missing == available]
    first = (named or exact)[:1]
    return _oldest_first(available, first + [one for one in oldest if one not in first])


def _exact_group(available: int, waiting: Sequence[Waiting]) -> Sequence[Waiting]:
    """The smallest group that asks for exactly this; among such the one with most invoices, then the oldest."""
    for size in range(1, LARGEST_GROUP + 1):
        groups = [group for group in combinations(waiting, size) if sum(one.missing for one in group) == available]
        if groups:
            return min(groups, key=lambda group: -sum(one.invoice for one in group))
    return ()


def _oldest_first(available: int, waiting: Sequence[Waiting]) -> list[tuple[str, int]]:
    parts = []
    for one in waiting:
        part = min(one.missing, available)
        if part:
            parts.append((one.intent, part))
        available -= part
    return parts
