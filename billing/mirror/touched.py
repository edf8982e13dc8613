"""What a change has changed besides: what its object says itself (`echoes.py`), and what only the mirror's rows tell.

A test clock that is deleted takes along all that lived by it, and a draft of many lines its items; few of them have an
event that says so (Stripe docs: "Test clocks"; a draft's events show its first ten lines). What is asked about here is
what the mirror has of them: Stripe says which of it is gone.
"""

from collections.abc import Iterable, Iterator, Mapping

from django.db import connection

from billing.mirror import gates
from billing.mirror.columns import layout_for
from billing.mirror.echoes import ECHOES, Echo, echoes
from billing.mirror.kinds import KINDS, MODEL_KINDS, RAW, Kind, Ref
from billing.mirror.layout import Column
from billing.mirror.shapes import Data, id_of, is_cut_short

CLOCK = "test_helpers.test_clock"
TOUCHING = frozenset({*ECHOES, CLOCK})
# What Stripe keeps when a clock or a draft goes: nothing that refers to it is gone because of that.
LASTING = frozenset({"balance_transaction", "event", "price", "product", "coupon", "account"})
LIVING = "NOT stripe_data @> '{\"deleted\": true}'"


def touched(ref: Ref, data: Data | None, *before: Data | None) -> list[Echo]:
    """What follows for others from an object's state (None: it is gone) and from how it was known to be before."""
    found = echoes(ref, data, *before)
    if data is None and ref.kind == CLOCK:
        found += map(Echo, sorted(living_by(ref.id)))
    if data is None and ref.kind == "invoice":
        customers = {id_of(state.get("customer")) for state in before if state and is_cut_short(dict(state))}
        told = {echo.ref for echo in found}
        found += map(Echo, sorted(items_of(customers - {""}) - told))
    return found


def living_by(clock: str) -> set[Ref]:
    """All that the mirror has of a test clock: its customers, what refers to them, what refers to that."""
    with connection.cursor() as cursor:
        statement = f"SELECT id FROM djstripe_customer WHERE stripe_data ->> 'test_clock' = %s AND {LIVING}"  # noqa: S608
        cursor.execute(statement, [clock])
        found = fresh = {Ref("customer", object_id) for (object_id,) in cursor.fetchall()}
    while fresh := referring_to(fresh) - found:
        found = found | fresh
    return found


def items_of(customers: Iterable[str]) -> set[Ref]:
    refs = {Ref("customer", customer) for customer in customers}
    return {ref for ref in referring_to(refs) if ref.kind == "invoiceitem"} if refs else set()


def referring_to(refs: Iterable[Ref]) -> set[Ref]:
    """The living objects of the mirror whose rows refer to any of these, as far as Stripe can be asked about them."""
    ids: dict[str, list[str]] = {}
    for ref in refs:
        ids.setdefault(ref.kind, []).append(ref.id)
    found: set[Ref] = set()
    with connection.cursor() as cursor:
        for kind, target, condition in pointers():
            if target in ids:
                table = layout_for(kind).table
                statement = f'SELECT id FROM "{table}" WHERE {condition} AND {LIVING}'  # noqa: S608 - our own tables
                cursor.execute(statement, {"ids": ids[target], "kind": kind.name})
                found |= {Ref(kind.name, object_id) for (object_id,) in cursor.fetchall()}
    return found


def pointers() -> Iterator[tuple[Kind, str, str]]:
    """Each way to refer to another object: the kind that refers, the kind that is referred to, the SQL condition."""
    for kind in KINDS.values():
        if kind.fetchable and kind.name not in LASTING:
            for column in layout_for(kind).columns:
                if column.target in MODEL_KINDS and MODEL_KINDS[column.target] not in LASTING:
                    yield kind, MODEL_KINDS[column.target], points_to(column)
    for kind in RAW.values():
        if kind.fetchable:
            yield kind, "customer", "kind = %(kind)s AND customer_id = ANY(%(ids)s)"
    yield RAW["invoice_payment"], "invoice", "kind = %(kind)s AND stripe_data ->> 'invoice' = ANY(%(ids)s)"


def points_to(column: Column, ids: str = "ids") -> str:
    """The SQL condition that a column points to some of Stripe's ids: some hold these, some the table's own number."""
    if column.target is None or column.value == f"r.{column.name}":
        return f"{column.name} = ANY(%({ids})s)"
    table = column.target._meta.db_table
    return f'{column.name} IN (SELECT djstripe_id FROM "{table}" WHERE id = ANY(%({ids})s))'  # noqa: S608


# What else of a clock goes when these go: whoever refers to one that is gone may be gone too, whatever its event says.
HOLDING = frozenset({"customer", "subscription", "invoice", "payment_intent", "charge", "setup_intent"})


def orphaned(needs: Mapping[Ref, Iterable[Ref]], gone: Iterable[Ref] = (), *, owner: str) -> set[Ref]:
    """Those of the objects that refer to one that is gone. `gone` are known to be; the gates know of others."""
    wanted = {other for others in needs.values() for other in others if other.kind in HOLDING}
    known = set(gone)
    asked = wanted - known
    if asked:
        known |= {ref for ref, gate in gates.read(asked, owner=owner).items() if gate.gone}
    return {ref for ref, others in needs.items() if known.intersection(others) & wanted}
