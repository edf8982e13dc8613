"""What a change has changed besides: what its object says itself (`echoes.py`), and what only the mirror's rows tell.

A test clock that is deleted takes along all that lived by it, and a draft of many lines its items; few of them have an
event that says so (Stripe docs: "Test clocks"; a draft's events show its first ten lines). What is asked about here is
what the mirror has of them: Stripe says which of it is gone. A credit note lowers what an open invoice's payment asks
for, and names no payment.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from django.db import connection

from billing.mirror import gates, tables
from billing.mirror.columns import layout_for
from billing.mirror.echoes import ECHOES, Echo, echoes
from billing.mirror.kinds import KINDS, MODEL_KINDS, RAW, Kind, Ref, kind_for
from billing.mirror.layout import Column
from billing.mirror.listing import INSIDE
from billing.mirror.shapes import Data, id_of, is_cut_short

CLOCK = "test_helpers.test_clock"
# What Stripe keeps when a clock or a draft goes; and what is marked with the object that it stands in.
LASTING = frozenset({"balance_transaction", "event", "price", "product", "coupon", "account", *INSIDE.values()})
# What else of a clock goes when these go: whoever refers to one that is gone may be gone too, whatever its event says.
HOLDING = frozenset({"customer", "subscription", "invoice", "payment_intent", "charge", "setup_intent"})
TOUCHING = frozenset({*HOLDING, CLOCK})
GONE = "stripe_data @> '{\"deleted\": true}'"
CREDIT_NOTE = "credit_note"
# A payment that still asks for money (API reference, "The PaymentIntent object", `status`).
ASKING = ("requires_payment_method", "requires_confirmation", "requires_action", "processing")


def may_touch(ref: Ref, data: Data | None) -> bool:
    """Whether `touched` need be asked: most states change nothing besides."""
    return ref.kind in ECHOES or ref.kind == CREDIT_NOTE or (data is None and ref.kind in TOUCHING)


def touched(ref: Ref, data: Data | None, *before: Data | None, livemode: bool) -> list[Echo]:
    """What follows for others from an object's state (None: it is gone) and from how it was known to be before."""
    found = echoes(ref, data, *before)
    if ref.kind == CREDIT_NOTE and data is not None and data.get("pre_payment_amount"):
        found += map(Echo, sorted(payments_asking(id_of(data.get("customer")))))
    if data is None:
        told = {echo.ref for echo in found}
        found += map(Echo, sorted(taken_along(ref, [state for state in before if state], livemode=livemode) - told))
    return found


def payments_asking(customer: str) -> set[Ref]:
    """The customer's payments that still ask for money, as far as the mirror has them: hardly ever more than one."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM djstripe_paymentintent WHERE customer_id = %s AND stripe_data ->> 'status' = ANY(%s)",
            [customer, list(ASKING)],
        )
        return {Ref("payment_intent", object_id) for (object_id,) in cursor.fetchall()}


def taken_along(ref: Ref, before: Sequence[Data], *, livemode: bool) -> set[Ref]:
    """What the mirror has of what may be gone with an object. In live mode there are no clocks: drafts alone go."""
    found: set[Ref] = set()
    if ref.kind == "invoice":
        customers = {id_of(state.get("customer")) for state in before if is_cut_short(dict(state))}
        found |= items_of(customers - {""})
    if livemode:
        return found
    if ref.kind == CLOCK:
        return found | living_by(ref.id)
    if ref.kind == "customer":
        clocked = any(state.get("test_clock") for state in before)
        return found | (referring_to([ref]) | living_among(told_of([ref.id]) - {ref}) if clocked else set())
    return found | (referring_to([ref]) | methods_of_nobody(before) if ref.kind in HOLDING else set())


def methods_of_nobody(states: Iterable[Data]) -> set[Ref]:
    """The payment methods that these name and that are nobody's: one that was used once, and never attached."""
    named = {id_of(state.get(name)) for state in states for name in ("payment_method", "default_payment_method")}
    held = tables.read(KINDS["payment_method"], named - {""})
    refs = ((Ref("payment_method", object_id), data) for object_id, data in held.items())
    return {ref for ref, data in refs if is_nobodys(ref, data) and not data.get("deleted")}


def living_by(clock: str) -> set[Ref]:
    """All that the mirror has of a test clock and takes to be there: its customers, what refers to them, and to that.

    The way to what is taken to be there may lead over what is marked already.
    """
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT id, {GONE} FROM djstripe_customer WHERE stripe_data ->> 'test_clock' = %s", [clock])  # noqa: S608 - GONE is ours
        rows = {Ref("customer", object_id): gone for object_id, gone in cursor.fetchall()}
    found = fresh = dict.fromkeys(deleted_before(clock), True) | rows
    while fresh:
        around = rows_referring_to(fresh)
        fresh = {ref: around[ref] for ref in around.keys() - found.keys()}
        found = found | fresh
    told = told_of({ref.id for ref in found if ref.kind == "customer"}) - found.keys()
    return {ref for ref, gone in found.items() if not gone} | living_among(told)


def deleted_before(clock: str) -> set[Ref]:
    """The clock's customers of whose end events told. One that was gone before the mirror saw it has no row."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT object_id FROM billing_inboxevent WHERE type = 'customer.deleted' AND NOT livemode"
            " AND payload #>> '{data,object,test_clock}' = %s",
            [clock],
        )
        return {Ref("customer", object_id) for (object_id,) in cursor.fetchall()}


def told_of(customers: Collection[str]) -> set[Ref]:
    """What events told of these customers: a payment method that was detached refers to nobody any more."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT object_kind, object_id FROM billing_inboxevent WHERE customer_id = ANY(%s)",
            [list(customers)],
        )
        told = {Ref(kind, object_id) for kind, object_id in cursor.fetchall() if object_id}
    return {ref for ref in told if ref.kind not in LASTING and kind_for(ref.kind).fetchable}


def living_among(refs: Iterable[Ref]) -> set[Ref]:
    """Those of the objects that the mirror takes to be there."""
    return {ref for ref in refs if is_there(ref)}


def is_there(ref: Ref) -> bool:
    state = tables.read(kind_for(ref.kind), [ref.id]).get(ref.id)
    return state is not None and not state.get("deleted")


def items_of(customers: Iterable[str]) -> set[Ref]:
    refs = {Ref("customer", customer) for customer in customers}
    return {ref for ref in referring_to(refs) if ref.kind == "invoiceitem"} if refs else set()


def referring_to(refs: Iterable[Ref]) -> set[Ref]:
    """The objects whose rows refer to any of these, and that the mirror takes to be there."""
    return {ref for ref, gone in rows_referring_to(refs).items() if not gone}


def rows_referring_to(refs: Iterable[Ref]) -> dict[Ref, bool]:
    """The objects whose rows refer to any of these, as far as Stripe can be asked about them; and whether marked."""
    ids: dict[str, list[str]] = {}
    for ref in refs:
        ids.setdefault(ref.kind, []).append(ref.id)
    found: dict[Ref, bool] = {}
    with connection.cursor() as cursor:
        for kind, target, condition in pointers():
            if target in ids:
                table = layout_for(kind).table
                statement = f'SELECT id, {GONE} FROM "{table}" WHERE {condition}'  # noqa: S608 - our own tables
                cursor.execute(statement, {"ids": ids[target], "kind": kind.name})
                found |= {Ref(kind.name, object_id): gone for object_id, gone in cursor.fetchall()}
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
    return f'{column.name} IN (SELECT djstripe_id FROM "{table}" WHERE id = ANY(%({ids})s))'  # noqa: S608 - our own names


def leans_on(ref: Ref, data: Data, references: Iterable[Ref]) -> set[Ref]:
    """What an object refers to: by its row's foreign keys; one that is kept whole by its customer and its invoice; a
    customer to the test clock that it lives by.
    """
    named = {(name, id_of(data.get(name))) for name in ("customer", "invoice")} if ref.kind in RAW else set()
    if ref.kind == "customer":
        named.add((CLOCK, id_of(data.get("test_clock"))))
    return {*references, *(Ref(name, object_id) for name, object_id in named if object_id)}


def is_nobodys(ref: Ref, data: Data) -> bool:
    """Whether an object had a customer and says of whom no more: a clock may have taken it, and nothing tells."""
    return ref.kind == "payment_method" and not data.get("customer")


def orphaned(needs: Mapping[Ref, Iterable[Ref]], gone: Iterable[Ref] = (), *, owner: str) -> set[Ref]:
    """Those of the objects that refer to one that is gone. `gone` are known to be; the gates know of others."""
    wanted = {other for others in needs.values() for other in others if other.kind in TOUCHING}
    known = set(gone)
    asked = wanted - known
    if asked:
        known |= {ref for ref, gate in gates.read(asked, owner=owner).items() if gate.gone}
    return {ref for ref, others in needs.items() if known.intersection(others) & wanted}
