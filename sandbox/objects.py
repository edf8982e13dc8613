"""Making, finding, changing and removing objects. Resources use these and never the store directly:

    doc = create(ctx, "customer", {...}, event="customer.created")
    doc = load(ctx, "customer", id, in_path=True)          # raises Stripe's 404
    doc = update(ctx, doc, {...changed...}, event="customer.updated")
    stub = delete(ctx, doc, event="customer.deleted")
    announce(ctx, "payment_method.attached", doc)
    docs = query(ctx, "price", product="prod_…", active=True)   # indexed fields, newest first

`update` writes, compares, and emits the event with `previous_attributes`; without a difference nothing
happens. `doc` arguments are not changed in place: go on with what is returned.
"""

from typing import Any

from sandbox import clocks, events
from sandbox.context import Context, Scope
from sandbox.documents import new_document, ordered, render
from sandbox.errors import ApiError, no_such
from sandbox.kinds import KINDS, Doc


def create(ctx: Context, kind: str, fields: Doc, *, event: str | None = None) -> Doc:
    """Store a new object. `id` is minted unless `fields` has one. An id that is taken is Stripe's error."""
    clocks.check_still(ctx)
    if "id" in fields and ctx.tx.get(ctx.scope, kind, fields["id"]) is not None:
        label = KINDS[kind].label.capitalize()
        raise ApiError(f"{label} already exists.", code="resource_already_exists", param="id")
    doc = new_document(ctx, kind, fields | clocks.mark(ctx, fields))
    ctx.tx.insert(ctx.scope, doc)
    if event:
        events.emit(ctx, event, render(doc))
    return doc


def load(ctx: Context, kind: str, id: str, *, param: str = "id", in_path: bool = False, deleted: bool = False) -> Doc:
    """The object, or the error Stripe gives. `in_path` makes it a 404 instead of a 400. A deleted object is
    an error too unless `deleted` asks for its stub."""
    doc = ctx.tx.get(ctx.scope, kind, id)
    if doc is None or (doc.get("deleted") is True and not deleted):
        raise no_such(KINDS[kind].label, id, param=param, in_path=in_path, other_mode=_other_mode(ctx, kind, id))
    clocks.follow(ctx, doc)
    return doc


def find(ctx: Context, kind: str, id: str | None) -> Doc | None:
    """The object if it exists and is not deleted."""
    doc = ctx.tx.get(ctx.scope, kind, id) if id else None
    if doc is None or doc.get("deleted") is True:
        return None
    clocks.follow(ctx, doc)
    return doc


def query(ctx: Context, kind: str, **filters: Any) -> list[Doc]:
    """All objects whose indexed fields have these values (a list: one of these), newest first. For a field
    with a dot use ctx.tx.page."""
    return ctx.tx.page(ctx.scope, kind, filters)


def update(ctx: Context, doc: Doc, changes: Doc, *, event: str | None = None, without: tuple[str, ...] = ()) -> Doc:
    """Set top-level fields, and take those away that it is `without` from now on. Emits `event` with
    previous_attributes when something that is shown has changed."""
    changed = ordered({name: value for name, value in {**doc, **changes}.items() if name not in without})
    if changed == doc:
        return doc
    clocks.check_still(ctx)
    if ctx.clock and changes.get("customer"):
        changed["_clock"] = ctx.clock
    ctx.tx.save(ctx.scope, changed)
    if event:
        before, after = render(doc), render(changed)
        named = changes | dict.fromkeys(without)
        if previous := events.previous_attributes(_among(before, named), _among(after, named)):
            events.emit(ctx, event, after, previous=previous)
    return changed


def _among(doc: Doc, names: Doc) -> Doc:
    return {name: doc[name] for name in names if name in doc}


def announce(ctx: Context, type: str, doc: Doc, *, previous: Doc | None = None) -> None:
    """Emit an event about an object as it is now, for types that no `update` gives by itself."""
    events.emit(ctx, type, render(doc), previous=previous)


def delete(ctx: Context, doc: Doc, *, event: str | None = None) -> Doc:
    """The object leaves every list; what stays is {"id", "object", "deleted": true}."""
    clocks.check_still(ctx)
    stub = {"id": doc["id"], "object": doc["object"], "deleted": True}
    ctx.tx.delete(ctx.scope, doc, stub)
    if event:
        events.emit(ctx, event, render(doc))
    return stub


def _other_mode(ctx: Context, kind: str, id: str) -> str:
    other = Scope(ctx.account, not ctx.livemode)
    if ctx.tx.get(str(other), kind, id) is None:
        return ""
    return "live" if other.livemode else "test"
