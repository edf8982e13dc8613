"""Sources: the older way to keep a card for a customer. Each is a payment method of the same id, too.

Source: API reference, "Cards" (legacy), "The Customer object" (default_source, sources).
"""

from typing import Any

from sandbox import objects
from sandbox.context import Context
from sandbox.documents import merge_metadata, render
from sandbox.errors import CardError, no_such
from sandbox.kinds import Doc
from sandbox.pagination import list_object, list_page, paging
from sandbox.params import Enum, Int, Metadata, Param, Str
from sandbox.resources.payment_methods import DETACHED, attach, card_of, declined, detach, token_fields
from sandbox.resources.tokens import ADDRESS_LINES, card_object
from sandbox.routes import route

UPDATE: dict[str, Param] = {
    **dict.fromkeys(("name", *ADDRESS_LINES), Str(unset=True)),
    "exp_month": Int(min=1, max=12),
    "exp_year": Int(),
    "metadata": Metadata(),
}


def list_in(ctx: Context, customer: Doc) -> Doc:
    """The first ten, as a customer shows them when asked to."""
    docs = ctx.tx.page(ctx.scope, "card", {"customer": customer["id"]}, limit=11)
    url = f"/v1/customers/{customer['id']}/sources"
    return list_object([render(doc) for doc in docs[:10]], url=url, has_more=len(docs) > 10)


def named(ctx: Context, token: str, *, param: str = "source") -> Doc:
    """The fields of the payment method that a token stands for. Raises CardError for a card whose bank refuses that it
    is kept at all."""
    fields = token_fields(ctx, token, param=param)
    card = card_of(fields)
    if card.code and not card.attachable:
        raise declined(card)
    return fields


def keep(ctx: Context, customer: Doc, fields: Doc, *, metadata: Doc | None = None) -> Doc:
    """The card, kept for a customer; their default when there was none."""
    shown = card_object(ctx, fields) | {"customer": customer["id"], "metadata": merge_metadata({}, metadata)}
    del shown["networks"]
    attach(ctx, objects.create(ctx, "payment_method", fields | {"id": shown["id"]}), customer)
    card = objects.create(ctx, "card", shown, event="customer.source.created")
    if customer["default_source"] is None:
        objects.update(ctx, customer, {"default_source": card["id"]}, event="customer.updated")
    return card


def replace_default(ctx: Context, customer: Doc, fields: Doc) -> Doc:
    """The customer, whose default is a new card now and the old one gone."""
    old = objects.find(ctx, "card", customer["default_source"])
    if old:
        remove(ctx, customer, old)
    fresh = objects.load(ctx, "customer", customer["id"])
    card = keep(ctx, fresh, fields)
    fresh = objects.load(ctx, "customer", customer["id"])
    return objects.update(ctx, fresh, {"default_source": card["id"]}, event="customer.updated")


def remove(ctx: Context, customer: Doc, card: Doc) -> Doc:
    """The stub of the card; what was kept before it becomes the default."""
    stub = objects.delete(ctx, card, event="customer.source.deleted")
    payment_method = objects.find(ctx, "payment_method", card["id"])
    if payment_method and payment_method["customer"]:
        detach(ctx, payment_method)
    fresh = objects.load(ctx, "customer", customer["id"])
    if fresh["default_source"] == card["id"]:
        left = objects.query(ctx, "card", customer=customer["id"])
        default = left[0]["id"] if left else None
        objects.update(ctx, fresh, {"default_source": default}, event="customer.updated")
    return stub


def _after_detaching(ctx: Context, payment_method: Doc, customer: Doc) -> None:
    card = objects.find(ctx, "card", payment_method["id"])
    if card:
        remove(ctx, customer, card)


DETACHED.append(_after_detaching)


def check_default(ctx: Context, customer: Doc, id: str) -> None:
    """Raises when this is no source of the customer's."""
    card = objects.find(ctx, "card", id)
    if card is None or card["customer"] != customer["id"]:
        raise no_such("source", id, param="default_source")


def charged(ctx: Context, customer: Doc, id: str | None) -> Doc:
    """The customer's source that a charge names, else the default one. Raises Stripe's errors when there is none."""
    if id is None and customer["default_source"] is None:
        raise CardError("Cannot charge a customer that has no active card", code="missing", param="card")
    card = objects.find(ctx, "card", id or customer["default_source"])
    if card is None or card["customer"] != customer["id"]:
        message = f"Customer {customer['id']} does not have a linked source with ID {id}."
        raise CardError(message, code="missing", param="source")
    return card


def _owner(ctx: Context, id: str) -> Doc:
    return objects.load(ctx, "customer", id, param="customer", in_path=True)


def _load(ctx: Context, customer: str, id: str) -> Doc:
    owner = _owner(ctx, customer)
    card = objects.find(ctx, "card", id)
    if card is None or card["customer"] != owner["id"]:
        raise no_such("source", id, in_path=True)
    return card


@route("POST", "/v1/customers/{customer}/sources", params={"metadata": Metadata(), "source": Str(required=True)})
def create_source(ctx: Context, params: dict[str, Any], customer: str) -> Doc:
    """Keep a card for a customer, by its token"""
    owner = _owner(ctx, customer)
    return keep(ctx, owner, named(ctx, params["source"]), metadata=params.get("metadata"))


@route("GET", "/v1/customers/{customer}/sources", params=paging(object=Enum("card", "bank_account", "source")))
def list_sources(ctx: Context, params: dict[str, Any], customer: str) -> Doc:
    """List a customer's sources, all of which are cards"""
    _owner(ctx, customer)
    url = f"/v1/customers/{customer}/sources"
    if params.get("object", "card") != "card":
        return list_object([], url=url)
    return list_page(ctx, "card", params, {"customer": customer}, url=url)


@route("GET", "/v1/customers/{customer}/sources/{id}")
def retrieve_source(ctx: Context, params: dict[str, Any], customer: str, id: str) -> Doc:
    """Retrieve a customer's source"""
    return _load(ctx, customer, id)


@route("POST", "/v1/customers/{customer}/sources/{id}", params=UPDATE)
def update_source(ctx: Context, params: dict[str, Any], customer: str, id: str) -> Doc:
    """Update a customer's source"""
    card = _load(ctx, customer, id)
    if "metadata" in params:
        params["metadata"] = merge_metadata(card["metadata"], params["metadata"])
    dates = {name: params[name] for name in ("exp_month", "exp_year") if name in params}
    payment_method = objects.find(ctx, "payment_method", id)
    if dates and payment_method:
        changed = {"card": payment_method["card"] | dates}
        objects.update(ctx, payment_method, changed, event="payment_method.updated")
    return objects.update(ctx, card, params, event="customer.source.updated")


@route("DELETE", "/v1/customers/{customer}/sources/{id}")
def delete_source(ctx: Context, params: dict[str, Any], customer: str, id: str) -> Doc:
    """Delete a customer's source"""
    return remove(ctx, _owner(ctx, customer), _load(ctx, customer, id))
