"""Whom a resync need not ask about again: customers whose payment methods Stripe itself says to be as they were.

Stripe lists payment methods customer by customer. What such a list brought is remembered, with the second of Stripe's
time as of which it was true. The next resync spares the question where all of this holds:

- Stripe's own list of events names neither an attachment nor a removal at the customer since then;
- the mirror's rows of that customer are just those that the list brought;
- each of them has come along whole with another object in this very run, and so was compared, or written.

So nothing is taken from events that we were sent: what changed is seen in Stripe's answers, and that there is nothing
new Stripe's record says. After `TRUSTED` a customer is asked about in any case: Stripe keeps its events for 30 days.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson
import stripe
from django.db import connection
from django.db.models import Min

from billing.mirror import resync_parts
from billing.mirror.fetch import list_pages
from billing.mirror.history import ListedParent, PartState, ResyncPart, ResyncRun
from billing.mirror.kinds import Ref, kind_for
from billing.mirror.resync_counts import Noted
from billing.mirror.resync_pages import Heard, Settled
from billing.mirror.resync_parts import Wanted
from billing.mirror.shapes import id_of
from billing.mirror.write import Change
from billing.stripe_accounts import StripeAccount

TRUSTED = timedelta(days=25)
AT_ONCE = 5000  # parents that are looked up by one statement
SLACK = 60  # seconds: an event is dated by another of Stripe's clocks than an answer
# The events that tell of another object under a parent, or of one less (Stripe docs: "Types of events"). Cards and bank
# accounts of the older kind are listed among the payment methods, and have events of their own.
TELLING = {
    "payment_method": (
        "payment_method.attached",
        "payment_method.detached",
        "customer.source.created",
        "customer.source.deleted",
    )
}

REMEMBER = """
    INSERT INTO billing_listedparent (owner, kind, parent, children, listed_at)
    SELECT %s, %s, parent, children, listed_at
    FROM jsonb_to_recordset(%s::jsonb) AS new (parent text, children text[], listed_at bigint)
    ORDER BY parent COLLATE "C"
    ON CONFLICT (owner, kind, parent) DO UPDATE SET children = EXCLUDED.children, listed_at = EXCLUDED.listed_at
    WHERE billing_listedparent.listed_at <= EXCLUDED.listed_at
"""


@dataclass
class Spared:
    """What one account's resync knows of kinds that are listed parent by parent."""

    account: StripeAccount
    since: dict[str, int]  # kind → the second (Unix) since when parents' lists that may be trusted were heard
    told: "dict[str, Future[dict[str, int] | None]]" = field(default_factory=dict)  # kind → what events tell since then
    met: set[str] = field(default_factory=set)  # ids of such objects that came along whole, and stand in the mirror

    def listen(self) -> None:
        """Ask Stripe for its events already, while other things are asked for."""
        for name, since in self.since.items():
            asker = ThreadPoolExecutor(1)
            self.told[name] = asker.submit(told_since, name, since, self.account)
            asker.shutdown(wait=False)

    def note(self, kind_name: str, settled: Settled) -> None:
        """A page stands in the mirror: what came along with it, and what parents' lists brought."""
        self.met.update(ref.id for ref in settled.along if ref.kind in self.since)
        if kind_name in TELLING or kind_name == resync_parts.ENTITLEMENTS:
            remember(self.account.name, kind_name, settled.heard)

    def plan(self, run: ResyncRun, noted: Noted) -> list[ResyncPart]:
        """The parts of the last stage, unsaved: parents that must be asked about after all; and, done, the others."""
        parts: list[ResyncPart] = []
        for name in self.since:
            kind = kind_for(name)
            if kind.under is None:
                continue
            parents = resync_parts.parents_left(run, kind, kind.under, self.account)
            proven = self.proven(name, parents) if parents else {}
            parts += resync_parts.parts_of_parents(kind, [parent for parent in parents if parent not in proven])
            if proven:
                spared = ResyncPart(kind=name, params={"spared": len(proven)}, state=PartState.DONE)
                same = {Ref(name, child): Change.UNCHANGED for children in proven.values() for child in children}
                spared.owner = self.account.name
                noted.count(spared, Settled(same))
                parts.append(spared)
        for part in parts:
            part.run, part.stage, part.owner = run, resync_parts.LAST, self.account.name
        return parts

    def proven(self, kind_name: str, parents: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """Those of the parents that need not be asked about, each with its children.

        Waits for Stripe's events. Raises stripe.StripeError.
        """
        told, found = self.told[kind_name].result(), dict[str, tuple[str, ...]]()
        if told is None:
            return {}
        for start in range(0, len(parents), AT_ONCE):
            some = parents[start : start + AT_ONCE]
            listed, rows = remembered(self.account.name, kind_name, some), rows_under(kind_name, some, self.account)
            for parent, one in listed.items():
                quiet = self.since[kind_name] <= one.at and told.get(parent, -1) < one.at - SLACK
                if quiet and rows.get(parent, ()) == one.children and self.met.issuperset(one.children):
                    found[parent] = one.children
        return found


def spared_of(wanted: Wanted, account: StripeAccount, *, began_at: datetime) -> Spared:
    """What may be spared in a run that began then: nothing where all was asked for, or no list is remembered."""
    kinds = [name for name in wanted.kinds if may_be_spared(name, wanted)]
    heard = ListedParent.objects.filter(
        owner=account.name, kind__in=kinds, listed_at__gt=(began_at - TRUSTED).timestamp()
    )
    earliest = heard.values_list("kind").annotate(at=Min("listed_at")) if kinds else []
    return Spared(account, dict(earliest))


def may_be_spared(kind_name: str, wanted: Wanted) -> bool:
    """Whether such objects come along in this resync, and that may be enough."""
    asked_for_all = wanted.check or wanted.thorough or bool(wanted.customer)
    return kind_name in TELLING and not asked_for_all and bool({*resync_parts.BRINGERS[kind_name]} & {*wanted.kinds})


def remember(owner: str, kind_name: str, listed: Mapping[str, Heard]) -> None:
    """Keep what the parents' lists brought, when that stands in the mirror."""
    if listed:
        rows = [{"parent": parent, "children": one.children, "listed_at": one.at} for parent, one in listed.items()]
        with connection.cursor() as cursor:
            cursor.execute(REMEMBER, [owner, kind_name, orjson.dumps(rows).decode()])


def remembered(owner: str, kind_name: str, parents: Sequence[str]) -> dict[str, Heard]:
    found = ListedParent.objects.filter(owner=owner, kind=kind_name, parent__in=parents)
    rows = found.values_list("parent", "children", "listed_at")
    return {parent: Heard(tuple(children), at) for parent, children, at in rows}


def rows_under(kind_name: str, parents: Sequence[str], account: StripeAccount) -> dict[str, tuple[str, ...]]:
    """The ids of the mirror's rows under each of the parents, but for those that are gone; in order."""
    rows, params = resync_parts.rows_of(kind_for(kind_name), account)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT customer_id, array_agg(id::text ORDER BY id COLLATE "C") FROM {rows}
            AND customer_id = ANY(%(parents)s) AND NOT stripe_data @> '{{"deleted": true}}' GROUP BY customer_id
            """,  # noqa: S608 - our own names
            {**params, "parents": list(parents)},
        )
        return {parent: tuple(ids) for parent, ids in cursor.fetchall()}


def told_since(kind_name: str, second: int, account: StripeAccount) -> dict[str, int] | None:
    """When Stripe's events since that second (Unix) told of one object more or less, for each customer that they name.

    None where the key may not read events: then they prove nothing.
    """
    params = {"types": TELLING[kind_name], "created": {"gte": second - SLACK}}
    told: dict[str, int] = {}
    try:
        for page in list_pages("/v1/events", params, account=account):
            for event in page.objects:
                for customer in customers_of(event):
                    told[customer] = max(told.get(customer, 0), event["created"])
    except (stripe.PermissionError, stripe.InvalidRequestError):
        return None
    return told


def customers_of(event: Mapping[str, Any]) -> set[str]:
    """Whose the object was and is: one that was removed names its customer among what it was before."""
    data = event["data"]
    states = (data["object"], data.get("previous_attributes") or {})
    return {id_of(state.get("customer")) for state in states} - {""}
