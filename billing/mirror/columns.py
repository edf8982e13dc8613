"""A Stripe object as rows of the mirror's tables. Pure: nothing here asks the database or Stripe.

`rows_of` gives the object's own row first, then the rows of what Stripe keeps inside it (a subscription's items, an
invoice's lines). `stripe_data` is the object as Stripe's retrieve answers it, with the few keys that dj-stripe's
models add to it and read again (`added_keys`); `as_stripe_has_it` takes them off.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Any

from django.db.models import Model
from djstripe import models as djstripe

from billing.mirror.kinds import MODEL_KINDS, Kind, Ref, kind_for
from billing.mirror.layout import CREATED, DATA, MODE, OWNER, UPDATED, Data, Layout, layout_of, links_of
from billing.mirror.raw import RawObject
from billing.mirror.shapes import id_of, inner, is_cut_short, listed


@dataclass(frozen=True)
class TableRow:
    """A row to be written. `values` are JSON: times in seconds, foreign keys as Stripe's ids."""

    table: str
    id: str
    values: dict[str, Any]
    only_new: bool = False  # a row that is there already stays as it is


@dataclass(frozen=True)
class Reference:
    """An object that a row points to; a required one must be in the mirror before the row can be."""

    ref: Ref
    required: bool


def rows_of(
    kind: Kind,
    data: Data,
    *,
    owner_id: str | None,
    now: datetime,
    livemode: bool | None = None,
    before: Data | None = None,
    inside_stands: bool = False,
) -> list[TableRow]:
    """Return the object's own row and those of its children. `owner_id` is the Stripe account (acct_…) it is of.
    `livemode` is the mode of the key that it was read with: a refund, for one, does not say of which mode it is.

    An object that lacks a reference which dj-stripe's table requires (the refund of a cash balance has no charge) is
    kept whole, like one of a kind without a model.
    With `before`, the object as the mirror has it, children that were the same in it are left out: their rows stand.
    `inside_stands` says that all of them were.
    """
    stamp = now.isoformat()
    rows = [row_of(kind, data, owner_id, livemode, stamp)]
    if any(rows[0].values[name] is None for name in layout_for(kind).required):
        return [row_of(Kind(kind.name, None), data, owner_id, livemode, stamp)]
    if kind.model is not None and links_of(kind.model):
        rows += link_rows(kind.model, data)
    if kind.name == "charge":
        rows += source_rows(data, owner_id=owner_id, now=now, livemode=livemode)
    if inside_stands:
        return rows
    known = {one["id"]: one for _, one in children_of(kind, before)} if before else {}
    for child, one in children_of(kind, data):
        if one != known.get(one["id"]):
            inside = rows_of(child, one, owner_id=owner_id, now=now, livemode=livemode)
            rows += [replace(row, only_new=True) for row in inside] if CHILDREN[kind.name].live_alone else inside
    return rows


def changed_in(before: Data, after: Data) -> frozenset[str]:
    """The names under which two states of an object say different things; null is not the same as nothing."""
    differing = [name for name, value in after.items() if before.get(name, NOTHING) != value]
    return frozenset(differing) | (before.keys() - after.keys())


NOTHING = object()


def same_inside(kind: Kind, changed: Collection[str]) -> bool:
    """Whether the objects inside an object are the same as before, with what is noted of it in them."""
    children = CHILDREN.get(kind.name)
    return children is None or not (children.place in changed or any(name in changed for name in NOTED))


def children_of(kind: Kind, data: Data) -> Iterator[tuple[Kind, Data]]:
    """Yield the objects inside an object that have rows of their own, each with its kind."""
    children = CHILDREN.get(kind.name)
    if children is not None:
        child = kind_for(children.kind)
        for one in children.find(data):
            yield child, one


def row_of(kind: Kind, data: Data, owner_id: str | None, livemode: bool | None, stamp: str) -> TableRow:
    layout = layout_for(kind)
    values: dict[str, Any] = {name: read(data) for name, read in layout.reads}
    values[CREATED] = values[UPDATED] = stamp
    values[DATA] = as_kept(kind, data)
    if kind.model is None:
        values["kind"] = kind.name
    values[OWNER] = None if kind.model in UNOWNED else owner_id
    if MODE in values and values[MODE] is None and kind.model not in OF_BOTH_MODES:
        values[MODE] = livemode
    return TableRow(layout.table, values["id"], values)


def link_rows(model: type[Model], data: Data) -> list[TableRow]:
    return [
        TableRow(links.table, f"{data['id']} {target}", {links.owner_column: data["id"], links.target_column: target})
        for links in links_of(model)
        for target in filter(None, map(id_of, several(data.get(links.key))))
    ]


def several(value: Any) -> Sequence[Any]:
    return value if isinstance(value, (list, tuple)) else ()


def source_rows(charge: Data, *, owner_id: str | None, now: datetime, livemode: bool | None) -> list[TableRow]:
    """The row of a charge's legacy source (Stripe docs: "The Sources API is deprecated") that the charge points to, and
    the source itself as it was then, where nothing newer is known: whoever paid as a guest, no event tells of it.
    """
    source = inner(charge.get("source"))
    object_id = id_of(charge.get("source"))
    if not object_id:
        return []
    kind_name = SOURCES.get(object_id.partition("_")[0], f"UNSUPPORTED_{object_id}")
    rows = [
        TableRow(layout_of(djstripe.DjstripePaymentMethod).table, object_id, {"id": object_id, "type": kind_name[:50]})
    ]
    if kind_name in PAID_WITH and source.get("object") == kind_name:
        whole = rows_of(kind_for(kind_name), dict(source), owner_id=owner_id, now=now, livemode=livemode)
        rows += [replace(row, only_new=True) for row in whole]
    return rows


# Of an account that was debited the charge shows what it shows to others.
PAID_WITH = frozenset({"card", "bank_account", "source"})
SOURCES = {"card": "card", "src": "source", "ba": "bank_account", "acct": "account"}


def layout_for(kind: Kind) -> Layout:
    return layout_of(kind.model or RawObject)


def layouts_for(kind: Kind) -> list[Layout]:
    """The tables that may hold objects of a kind; the later one counts where both hold one."""
    own = layout_for(kind)
    return [layout_of(RawObject), own] if own.required else [own]


# Stripe's own, the same for every account.
UNOWNED = frozenset({djstripe.TaxCode, djstripe.CountrySpec})
OF_BOTH_MODES = UNOWNED | {djstripe.Account}


def as_kept(kind: Kind, data: Data) -> Data:
    """The object as its row keeps it. A signing secret is told once, to whoever made the endpoint, and not kept."""
    if kind.name == "webhook_endpoint":
        return {name: value for name, value in data.items() if name != "secret"}
    added = added_keys(kind.name, data)
    return {**data, **added} if added else data


def as_stripe_has_it(kind: Kind, kept: Data) -> Data:
    """The object without the keys that `as_kept` added: what Stripe would answer."""
    names = ADDED.get(kind.name, ())
    if kind.name == "customer" and kept.get("deleted"):
        names = ("default_payment_method",)
    return {name: value for name, value in kept.items() if name not in names} if names else kept


# The keys that dj-stripe's models put into `stripe_data` (`_manipulate_stripe_object_hook` and the sync of lines).
ADDED = {
    "customer": ("deleted", "default_payment_method"),
    "invoiceitem": ("period_start", "period_end"),
    "line_item": ("period_start", "period_end", "customer", "date"),
}


def added_keys(kind_name: str, data: Data) -> Data | None:
    if kind_name == "customer":
        method = inner(data.get("invoice_settings")).get("default_payment_method")
        return {"deleted": data.get("deleted", False), "default_payment_method": method}
    if kind_name in ("invoiceitem", "line_item"):
        period = inner(data.get("period"))
        return {"period_start": period.get("start"), "period_end": period.get("end")}
    return None


NOTED = ("id", "customer", "created")  # what of an object is noted in those inside it


def items_of(subscription: Data) -> Iterator[Data]:
    for item in listed(subscription.get("items")):
        if id_of(item):
            yield {"subscription": subscription["id"], **item}


def lines_of(invoice: Data) -> Iterator[Data]:
    """dj-stripe notes in each line whose invoice it stands on, and since when (`NOTED`)."""
    noted = {"invoice": invoice["id"], "customer": id_of(invoice.get("customer")), "date": invoice.get("created")}
    for line in listed(invoice.get("lines")):
        if id_of(line):
            yield {**noted, **line}


def under(name: str) -> Callable[[Data], Iterator[Data]]:
    """Find whole objects under a key of their parent: one alone, several, or a list of Stripe's."""

    def find(data: Data) -> Iterator[Data]:
        value = data.get(name)
        found = listed(value) if isinstance(value, dict) and value.get("object") == "list" else value
        for one in found if isinstance(found, (list, tuple)) else [found]:
            if isinstance(one, dict) and id_of(one):
                yield one

    return find


@dataclass(frozen=True)
class Children:
    """What Stripe keeps inside an object, as whole objects that have rows of their own."""

    kind: str
    place: str  # the key under which they stand
    find: Callable[[Data], Iterator[Data]]
    # Whether events tell of them too: the parent, which may be older than the last of these, must not take them back.
    live_alone: bool = False


def found_under(kind: str, place: str, *, live_alone: bool = False) -> Children:
    return Children(kind, place, under(place), live_alone=live_alone)


CHILDREN = {
    "subscription": Children("subscription_item", "items", items_of),
    "invoice": Children("line_item", "lines", lines_of),
    "customer": found_under("discount", "discount", live_alone=True),
    "charge": found_under("refund", "refunds", live_alone=True),
    "dispute": found_under("balance_transaction", "balance_transactions", live_alone=True),
    "application_fee": found_under("fee_refund", "refunds", live_alone=True),
    "transfer": found_under("transfer_reversal", "reversals"),
    "entitlements.active_entitlement_summary": found_under("entitlements.active_entitlement", "entitlements"),
}


def references(rows: Iterable[TableRow]) -> set[Reference]:
    """Return the objects that the rows point to, but for those that are among the rows."""
    rows = list(rows)
    own = {(row.table, row.id) for row in rows}
    found: set[Reference] = set()
    for row in rows:
        for name, kind_name, table, required in targets_of(row.table):
            target = row.values[name]
            if target is not None and (table, target) not in own:
                found.add(Reference(Ref(kind_name, target), required))
    return found


def without(rows: Sequence[TableRow], absent: set[Ref]) -> list[TableRow]:
    """Return the rows with their foreign keys to `absent` objects left empty; the ids stay in `stripe_data`."""
    return [emptied(row, absent) for row in rows] if absent else list(rows)


def emptied(row: TableRow, absent: set[Ref]) -> TableRow:
    empty = {
        name: None
        for name, kind_name, _table, _required in targets_of(row.table)
        if row.values[name] is not None and Ref(kind_name, row.values[name]) in absent
    }
    return replace(row, values={**row.values, **empty}) if empty else row


@cache
def targets_of(table: str) -> tuple[tuple[str, str, str, bool], ...]:
    """Return the foreign keys of a table: its column, the kind and table that it points to, whether it is required."""
    if table in LINKS:
        links = LINKS[table]
        return ((links.target_column, MODEL_KINDS[links.target], links.target._meta.db_table, False),)
    model = MODELS[table]
    return tuple(
        (column.name, MODEL_KINDS[column.target], column.target._meta.db_table, column.required)
        for column in layout_of(model).columns
        if column.target in MODEL_KINDS
    )


MODELS = {model._meta.db_table: model for model in (*MODEL_KINDS, djstripe.DjstripePaymentMethod, RawObject)}


LINKS = {links.table: links for model in MODEL_KINDS for links in links_of(model)}


def departed(kind: Kind, before: Data, after: Data) -> list[Ref]:
    """Return the children that were inside the object and are no longer: the removed lines of a draft, for one."""
    if is_cut_short(after):
        return []
    was, still = ({Ref(child.name, one["id"]) for child, one in children_of(kind, data)} for data in (before, after))
    return sorted(was - still, key=str)
