"""Entitlements: features, which products have which, and what each customer may use because of it.

A customer is entitled to the features of the products they subscribe to, from the first payment until the end; a
subscription that is paused or behind with its payments keeps them. Source: Stripe docs, "Entitlements".
"""

from typing import Any

from sandbox import events, objects
from sandbox.context import Context
from sandbox.documents import merge_metadata, render
from sandbox.errors import ApiError
from sandbox.kinds import Doc, kind
from sandbox.pagination import list_object, list_page, paging
from sandbox.params import Bool, Metadata, Param, Str
from sandbox.resources.meters import new_id
from sandbox.routes import route

FEATURE = kind(
    "entitlements.feature", prefix="feat", label="feature", without=("created",), indexed=("_archived", "lookup_key")
)
PRODUCT_FEATURE = kind(
    "product_feature", prefix="prodft", label="product feature", random_length=14, without=("created",),
    indexed=("_product", "_feature"),
)  # fmt: skip
ACTIVE = kind(
    "entitlements.active_entitlement", prefix="ent", label="active entitlement", without=("created",),
    indexed=("_customer", "feature"), expandable={"feature": "entitlements.feature"},
)  # fmt: skip
SUMMARY = "entitlements.active_entitlement_summary"
ENTITLES = ("trialing", "active", "past_due", "paused")
"""The states of a subscription in which its features may be used."""
CREATE: dict[str, Param] = {
    "lookup_key": Str(required=True, max_length=80),
    "metadata": Metadata(),
    "name": Str(required=True, max_length=80),
}
UPDATE: dict[str, Param] = {"active": Bool(), "metadata": Metadata(), "name": Str(max_length=80)}


@route("POST", "/v1/entitlements/features", params=CREATE)
def create_feature(ctx: Context, params: dict[str, Any]) -> Doc:
    """Create a feature"""
    if objects.query(ctx, "entitlements.feature", lookup_key=params["lookup_key"]):
        raise ApiError(
            f"A feature with the lookup key `{params['lookup_key']}` already exists.",
            code="resource_already_exists",
            param="lookup_key",
        )
    fields = {
        "id": new_id(ctx, "feat"),
        "active": True,
        "lookup_key": params["lookup_key"],
        "metadata": merge_metadata({}, params.get("metadata")),
        "name": params["name"],
        "_archived": False,
    }
    return objects.create(ctx, "entitlements.feature", fields)


@route("GET", "/v1/entitlements/features", params=paging(archived=Bool(), lookup_key=Str()))
def list_features(ctx: Context, params: dict[str, Any]) -> Doc:
    """List features; those that are archived only when asked for"""
    filters = {"_archived": params.get("archived", False), "lookup_key": params.get("lookup_key")}
    return list_page(ctx, "entitlements.feature", params, filters, url="/v1/entitlements/features")


@route("GET", "/v1/entitlements/features/{id}")
def retrieve_feature(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Retrieve a feature"""
    return objects.load(ctx, "entitlements.feature", id, in_path=True)


@route("POST", "/v1/entitlements/features/{id}", params=UPDATE)
def update_feature(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Update a feature, or archive it with `active=false`"""
    feature = objects.load(ctx, "entitlements.feature", id, in_path=True)
    if "metadata" in params:
        params["metadata"] = merge_metadata(feature["metadata"], params["metadata"])
    if "active" in params:
        params["_archived"] = not params["active"]
    return objects.update(ctx, feature, params)


@route("POST", "/v1/products/{product}/features", params={"entitlement_feature": Str(required=True)})
def create_product_feature(ctx: Context, params: dict[str, Any], product: str) -> Doc:
    """Attach a feature to a product"""
    objects.load(ctx, "product", product, in_path=True)
    id = params["entitlement_feature"]
    feature = objects.load(ctx, "entitlements.feature", id, param="entitlement_feature")
    if not feature["active"]:
        raise ApiError("Archived features cannot be attached to products.", param="entitlement_feature")
    if objects.query(ctx, "product_feature", _product=product, _feature=id):
        raise ApiError(
            f"The feature {id} is already attached to the product {product}.",
            code="resource_already_exists",
            param="entitlement_feature",
        )
    fields = {"entitlement_feature": render(feature), "_feature": id, "_product": product}
    attached = objects.create(ctx, "product_feature", fields)
    _recount_subscribers(ctx, product)
    return attached


@route("GET", "/v1/products/{product}/features", params=paging())
def list_product_features(ctx: Context, params: dict[str, Any], product: str) -> Doc:
    """List a product's features"""
    objects.load(ctx, "product", product, in_path=True)
    url = f"/v1/products/{product}/features"
    found = list_page(ctx, "product_feature", params, {"_product": product}, url=url)
    return found | {"data": [_refreshed(ctx, attached) for attached in found["data"]]}


@route("GET", "/v1/products/{product}/features/{id}")
def retrieve_product_feature(ctx: Context, params: dict[str, Any], product: str, id: str) -> Doc:
    """Retrieve a product's feature"""
    objects.load(ctx, "product", product, in_path=True)
    return _refreshed(ctx, objects.load(ctx, "product_feature", id, in_path=True))


@route("DELETE", "/v1/products/{product}/features/{id}")
def delete_product_feature(ctx: Context, params: dict[str, Any], product: str, id: str) -> Doc:
    """Take a feature from a product"""
    objects.load(ctx, "product", product, in_path=True)
    stub = objects.delete(ctx, objects.load(ctx, "product_feature", id, in_path=True))
    _recount_subscribers(ctx, product)
    return stub


def _refreshed(ctx: Context, attached: Doc) -> Doc:
    """With its feature as it is now."""
    feature = objects.load(ctx, "entitlements.feature", attached["_feature"])
    return attached | {"entitlement_feature": render(feature)}


@route("GET", "/v1/entitlements/active_entitlements", params=paging(customer=Str(required=True)))
def list_active_entitlements(ctx: Context, params: dict[str, Any]) -> Doc:
    """List what a customer may use"""
    objects.load(ctx, "customer", params["customer"], param="customer")
    filters = {"_customer": params["customer"]}
    return list_page(ctx, ACTIVE.name, params, filters, url="/v1/entitlements/active_entitlements")


@route("GET", "/v1/entitlements/active_entitlements/{id}")
def retrieve_active_entitlement(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Retrieve an active entitlement"""
    return objects.load(ctx, ACTIVE.name, id, in_path=True)


def _recount_subscribers(ctx: Context, product: str) -> None:
    prices = [price["id"] for price in objects.query(ctx, "price", product=product)]
    subscribed = objects.query(ctx, "subscription", _prices=prices, status=list(ENTITLES)) if prices else []
    for customer in dict.fromkeys(subscription["customer"] for subscription in subscribed):
        recount(ctx, customer)


def recount(ctx: Context, customer: str) -> None:
    """Bring a customer's entitlements to what their subscriptions give, and tell when that changed."""
    held = {entitlement["feature"]: entitlement for entitlement in objects.query(ctx, ACTIVE.name, _customer=customer)}
    due = _due(ctx, customer)
    if held.keys() == due.keys():
        return
    before = _listed(customer, list(held.values()))
    for feature in held.keys() - due.keys():
        ctx.tx.delete(ctx.scope, held[feature], None)
    for feature, lookup_key in due.items():
        if feature not in held:
            _grant(ctx, customer, feature, lookup_key)
    after = _listed(customer, objects.query(ctx, ACTIVE.name, _customer=customer))
    summary = {"object": SUMMARY, "customer": customer, "entitlements": after, "livemode": ctx.livemode}
    previous = events.previous_attributes({"entitlements": before}, {"entitlements": after})
    events.emit(ctx, f"{SUMMARY}.updated", summary, previous=previous)


def _due(ctx: Context, customer: str) -> dict[str, str]:
    """Feature ids with their lookup keys, by what the customer subscribes to now."""
    products = {
        item["price"]["product"]
        for subscription in objects.query(ctx, "subscription", customer=customer, status=list(ENTITLES))
        for item in subscription["items"]["data"]
    }
    attached = objects.query(ctx, "product_feature", _product=sorted(products)) if products else []
    return {one["_feature"]: one["entitlement_feature"]["lookup_key"] for one in reversed(attached)}


def _grant(ctx: Context, customer: str, feature: str, lookup_key: str) -> None:
    fields = {"id": new_id(ctx, "ent"), "feature": feature, "lookup_key": lookup_key, "_customer": customer}
    objects.create(ctx, ACTIVE.name, fields)


def _listed(customer: str, held: list[Doc]) -> Doc:
    return list_object([render(one) for one in held], url=f"/v1/customer/{customer}/entitlements")


def _subscription_changed(ctx: Context, subscription: Doc) -> None:
    if ctx.tx.listed(ctx.scope, "product_feature") or ctx.tx.page(
        ctx.scope, ACTIVE.name, {"_customer": subscription["customer"]}, limit=1
    ):
        recount(ctx, subscription["customer"])


events.LISTENERS["customer.subscription."].append(_subscription_changed)
