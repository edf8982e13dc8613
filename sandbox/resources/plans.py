"""Plans: recurring prices by their older name. A plan and the price of the same id are one object."""

from typing import Any

from sandbox import objects
from sandbox.billing.items import plan_of
from sandbox.context import Context
from sandbox.documents import merge_metadata
from sandbox.errors import ApiError, missing
from sandbox.kinds import Doc, kind
from sandbox.pagination import list_page, listing
from sandbox.params import Array, Bool, Dec, Enum, Hash, Int, Metadata, OneOf, Shape, Str
from sandbox.resources.prices import CREATE as PRICE
from sandbox.resources.prices import INTERVALS, PRODUCT_DATA, TIER, new_price
from sandbox.resources.products import create_product
from sandbox.routes import route

PLAN = kind(
    "plan",
    prefix="plan",
    expandable={"product": "product"},
    includable={"tiers": lambda ctx, plan: _stored(ctx, plan["id"])["_tiers"]},
)
CREATE: Shape = {
    "active": Bool(),
    "amount": Int(min=0),
    "amount_decimal": Dec(),
    "billing_scheme": PRICE["billing_scheme"],
    "currency": Str(required=True),
    "id": Str(max_length=200),
    "interval": INTERVALS,
    "interval_count": Int(min=1),
    "metadata": Metadata(),
    "meter": Str(),
    "nickname": Str(),
    "product": OneOf(Hash(PRODUCT_DATA), Str()),
    "tiers": Array(Hash(TIER)),
    "tiers_mode": PRICE["tiers_mode"],
    "transform_usage": PRICE["transform_quantity"],
    "trial_period_days": Int(min=0),
    "usage_type": Enum("licensed", "metered"),
}
UPDATE: Shape = {
    "active": Bool(),
    "metadata": Metadata(),
    "nickname": Str(unset=True),
    "product": Str(),
    "trial_period_days": Int(min=0),
}
RECURRING = ("interval", "interval_count", "meter", "trial_period_days", "usage_type")
RENAMED = {"amount": "unit_amount", "amount_decimal": "unit_amount_decimal", "transform_usage": "transform_quantity"}


@route("POST", "/v1/plans", params=CREATE)
def create_plan(ctx: Context, params: dict[str, Any]) -> Doc:
    """Create a plan, which is a recurring price"""
    id = params.get("id")
    if id and objects.find(ctx, "price", id):
        raise ApiError("Plan already exists.", code="resource_already_exists")
    product = _product(ctx, params)
    recurring = {name: params[name] for name in RECURRING if params.get(name)}
    given = {RENAMED.get(name, name): value for name, value in params.items() if name not in RECURRING}
    plan = plan_of(new_price(ctx, given | {"product": product, "recurring": recurring}))
    objects.announce(ctx, "plan.created", plan)
    return plan


def _product(ctx: Context, params: dict[str, Any]) -> str:
    given = params.get("product")
    if given is None:
        raise missing("product")
    if isinstance(given, dict):
        given = create_product(ctx, given)["id"]
    return str(objects.load(ctx, "product", given, param="product")["id"])


@route("GET", "/v1/plans", params=listing(active=Bool(), product=Str()))
def list_plans(ctx: Context, params: dict[str, Any]) -> Doc:
    """List plans"""
    filters = {"active": params.get("active"), "product": params.get("product"), "type": "recurring"}
    page = list_page(ctx, "price", params, filters, url="/v1/plans")
    return page | {"data": [plan_of(price) for price in page["data"]]}


@route("GET", "/v1/plans/{id}")
def retrieve_plan(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Retrieve a plan"""
    return plan_of(_stored(ctx, id))


def _stored(ctx: Context, id: str) -> Doc:
    price = objects.find(ctx, "price", id)
    if price is None or price["recurring"] is None:
        raise ApiError(f"No such plan: '{id}'", status=404, code="resource_missing", param="plan")
    return price


@route("POST", "/v1/plans/{id}", params=UPDATE)
def update_plan(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Update a plan"""
    price = _stored(ctx, id)
    changes: Doc = {name: params[name] for name in ("active", "nickname") if name in params}
    if "metadata" in params:
        changes["metadata"] = merge_metadata(price["metadata"], params["metadata"])
    if "product" in params:
        changes["product"] = objects.load(ctx, "product", params["product"], param="product")["id"]
    if "trial_period_days" in params:
        changes["recurring"] = price["recurring"] | {"trial_period_days": params["trial_period_days"] or None}
    changed = objects.update(ctx, price, changes, event="price.updated")
    return plan_of(changed)


@route("DELETE", "/v1/plans/{id}")
def delete_plan(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Delete a plan; who subscribed to it stays"""
    price = _stored(ctx, id)
    objects.announce(ctx, "plan.deleted", plan_of(price))
    objects.delete(ctx, price, event="price.deleted")
    return {"id": id, "object": "plan", "deleted": True}
