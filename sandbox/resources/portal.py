"""The billing portal: configurations and sessions. The page is in hosted/portal.py, its acts in portal_acts.py."""

import base64
from typing import Any

from sandbox import objects
from sandbox.billing import items
from sandbox.context import Context
from sandbox.documents import merge_metadata, random_text
from sandbox.errors import ApiError, missing
from sandbox.kinds import Doc, kind
from sandbox.pagination import list_page, listing
from sandbox.params import Array, Bool, Enum, Hash, Ignored, Int, Metadata, Param, Shape, Str, Url
from sandbox.resources import portal_flows
from sandbox.routes import route


def _products(ctx: Context, configuration: Doc) -> Any:
    stored = ctx.tx.get(ctx.scope, "billing_portal.configuration", configuration["id"])
    return (stored or {}).get("_products") or None


CONFIGURATION = kind(
    "billing_portal.configuration",
    prefix="bpc",
    label="configuration",
    indexed=("active", "is_default"),
    includable={"features.subscription_update.products": _products},
)
SESSION = kind(
    "billing_portal.session",
    prefix="bps",
    label="session",
    indexed=("customer", "_secret"),
    expandable={"configuration": "billing_portal.configuration"},
)
PRODUCT: Shape = {
    "adjustable_quantity": Hash({"enabled": Bool(required=True), "maximum": Int(min=1), "minimum": Int(min=0)}),
    "prices": Array(Str(), required=True),
    "product": Str(required=True),
}
CONDITION: Shape = {"type": Enum("decreasing_item_amount", "shortening_interval", required=True)}
MOST_PRODUCTS = 10
FEATURES: Shape = {
    "customer_update": Hash({"allowed_updates": Array(Str(), unset=True), "enabled": Bool()}),
    "invoice_history": Hash({"enabled": Bool(required=True)}),
    "payment_method_update": Hash({"enabled": Bool(required=True), "payment_method_configuration": Ignored()}),
    "subscription_cancel": Hash(
        {
            "cancellation_reason": Hash(
                {
                    "enabled": Bool(required=True),
                    "feedback_options": Array(Str(), unset=True),
                    "options": Array(Str(), unset=True),
                }
            ),
            "enabled": Bool(),
            "mode": Enum("at_period_end", "immediately"),
            "proration_behavior": Enum("always_invoice", "create_prorations", "none"),
        }
    ),
    "subscription_update": Hash(
        {
            "billing_cycle_anchor": Enum("now", "unchanged"),
            "default_allowed_updates": Array(Enum("price", "promotion_code", "quantity"), unset=True),
            "enabled": Bool(),
            "products": Array(Hash(PRODUCT), unset=True),
            "proration_behavior": Enum("always_invoice", "create_prorations", "none"),
            "schedule_at_period_end": Hash({"conditions": Array(Hash(CONDITION), unset=True)}),
            "trial_update_behavior": Enum("continue_trial", "end_trial"),
        }
    ),
}
PROFILE: Shape = {
    "headline": Str(unset=True, max_length=60),
    "privacy_policy_url": Url(),
    "terms_of_service_url": Url(),
}
CONFIGURE: dict[str, Param] = {
    "business_profile": Hash(PROFILE),
    "default_return_url": Url(unset=True),
    "features": Hash(FEATURES),
    "login_page": Ignored(),
    "metadata": Metadata(),
    "name": Str(unset=True),
}
OPEN: dict[str, Param] = {
    "configuration": Str(),
    "customer": Str(),
    "customer_account": Ignored(),
    "flow_data": Hash(portal_flows.FLOW),
    "locale": Str(),
    "on_behalf_of": Ignored(),
    "return_url": Url(),
}


@route("POST", "/v1/billing_portal/configurations", params=CONFIGURE)
def create_configuration(ctx: Context, params: dict[str, Any]) -> Doc:
    """Create a portal configuration"""
    if "features" not in params:
        raise missing("features")
    return _new_configuration(ctx, params, default=False)


def _new_configuration(ctx: Context, params: dict[str, Any], *, default: bool) -> Doc:
    fields: Doc = {
        "active": True,
        "application": None,
        "business_profile": {"headline": None, "privacy_policy_url": None, "terms_of_service_url": None},
        "default_return_url": None,
        "features": _features({}),
        "is_default": default,
        "login_page": {"enabled": False, "url": None},
        "metadata": {},
        "name": None,
        "updated": ctx.now,
    }
    fields |= _changes(ctx, fields | {"features": _features({}), "_products": []}, params)
    return objects.create(ctx, "billing_portal.configuration", fields, event="billing_portal.configuration.created")


def _features(given: Doc) -> Doc:
    """All features, off unless given."""
    off: Doc = {
        "customer_update": {"allowed_updates": [], "enabled": False},
        "invoice_history": {"enabled": False},
        "payment_method_update": {"enabled": False, "payment_method_configuration": None},
        "subscription_cancel": {
            "cancellation_reason": {"enabled": False, "feedback_options": None, "options": []},
            "enabled": False,
            "mode": "at_period_end",
            "proration_behavior": "none",
        },
        "subscription_update": {
            "billing_cycle_anchor": None,
            "default_allowed_updates": [],
            "enabled": False,
            "proration_behavior": "none",
            "schedule_at_period_end": {"conditions": []},
            "trial_update_behavior": "end_trial",
        },
    }
    return {name: feature | (given.get(name) or {}) for name, feature in off.items()}


def _changes(ctx: Context, configuration: Doc, params: dict[str, Any]) -> Doc:
    changes: Doc = {name: params[name] for name in ("active", "default_return_url", "name") if name in params}
    if "business_profile" in params:
        changes["business_profile"] = configuration["business_profile"] | params["business_profile"]
    if "features" in params:
        changes |= _new_features(ctx, configuration, params["features"])
    if "metadata" in params:
        changes["metadata"] = merge_metadata(configuration["metadata"], params["metadata"])
    return changes | {"updated": ctx.now}


def _new_features(ctx: Context, configuration: Doc, given: dict[str, Any]) -> Doc:
    old, products = configuration["features"], configuration["_products"]
    update = dict(given.get("subscription_update") or {})
    if "products" in update:
        products = _checked_products(ctx, update.pop("products") or [])
    for name in ("default_allowed_updates", "schedule_at_period_end"):
        if name in update:
            update[name] = update[name] or []
    if "schedule_at_period_end" in update:
        update["schedule_at_period_end"] = {
            "conditions": (update["schedule_at_period_end"] or {}).get("conditions") or []
        }
    features = {name: old[name] | (given.get(name) or {}) for name in old}
    features["subscription_update"] = old["subscription_update"] | update
    reason = old["subscription_cancel"]["cancellation_reason"] | features["subscription_cancel"]["cancellation_reason"]
    features["subscription_cancel"] = features["subscription_cancel"] | {"cancellation_reason": reason}
    if features["subscription_update"]["enabled"] and not products:
        raise missing("features[subscription_update][products]")
    if features["subscription_update"]["enabled"] and not features["subscription_update"]["default_allowed_updates"]:
        raise missing("features[subscription_update][default_allowed_updates]")
    return {"features": features, "_products": products}


def _checked_products(ctx: Context, given: list[dict[str, Any]]) -> list[Doc]:
    """Raises for prices that cannot be switched to: of another product, of one time, no longer sold."""
    path = "features[subscription_update][products]"
    if len(given) > MOST_PRODUCTS:
        raise ApiError(f"You can specify at most {MOST_PRODUCTS} products.", param=path)
    made = []
    for number, one in enumerate(given):
        objects.load(ctx, "product", one["product"], param=f"{path}[{number}][product]")
        for place, id in enumerate(one["prices"]):
            param = f"{path}[{number}][prices][{place}]"
            price = items.price_for(ctx, {"price": id}, param)
            if price["product"] != one["product"]:
                raise ApiError(f"The price {id} does not belong to the product {one['product']}.", param=param)
        adjustable = one.get("adjustable_quantity") or {"enabled": False}
        made.append(one | {"adjustable_quantity": {"maximum": None, "minimum": 1} | adjustable})
    return made


def default_configuration(ctx: Context) -> Doc:
    """The account's default: everything that a customer may safely do for themselves. Made when first needed."""
    for known in objects.query(ctx, "billing_portal.configuration", is_default=True):
        return known
    on: Doc = {
        "customer_update": {"allowed_updates": ["email", "name"], "enabled": True},
        "invoice_history": {"enabled": True},
        "payment_method_update": {"enabled": True},
        "subscription_cancel": {"enabled": True},
    }
    return _new_configuration(ctx, {"features": on}, default=True)


@route("GET", "/v1/billing_portal/configurations", params=listing(active=Bool(), is_default=Bool()))
def list_configurations(ctx: Context, params: dict[str, Any]) -> Doc:
    """List portal configurations"""
    filters = {"active": params.get("active"), "is_default": params.get("is_default")}
    return list_page(ctx, "billing_portal.configuration", params, filters, url="/v1/billing_portal/configurations")


@route("GET", "/v1/billing_portal/configurations/{id}")
def retrieve_configuration(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Retrieve a portal configuration"""
    return objects.load(ctx, "billing_portal.configuration", id, param="configuration", in_path=True)


@route("POST", "/v1/billing_portal/configurations/{id}", params=CONFIGURE | {"active": Bool()})
def update_configuration(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Update a portal configuration"""
    known = objects.load(ctx, "billing_portal.configuration", id, param="configuration", in_path=True)
    if known["is_default"] and params.get("active") is False:
        raise ApiError("The default configuration cannot be deactivated.", param="active")
    return objects.update(ctx, known, _changes(ctx, known, params), event="billing_portal.configuration.updated")


@route("POST", "/v1/billing_portal/sessions", params=OPEN)
def create_session(ctx: Context, params: dict[str, Any]) -> Doc:
    """Create a portal session"""
    if "customer" not in params:
        raise missing("customer")
    customer = objects.load(ctx, "customer", params["customer"], param="customer")
    configuration = _configuration(ctx, params.get("configuration"))
    flow = params.get("flow_data")
    if flow:
        portal_flows.check(ctx, flow, customer, configuration)
    secret = random_text(40)
    named = f"{ctx.account},{'live' if ctx.livemode else 'test'},{secret}"
    token = base64.urlsafe_b64encode(named.encode()).decode().rstrip("=")
    return objects.create(
        ctx,
        "billing_portal.session",
        {
            "configuration": configuration["id"],
            "customer": customer["id"],
            "customer_account": None,
            "flow": portal_flows.shown(flow) if flow else None,
            "locale": params.get("locale"),
            "on_behalf_of": None,
            "return_url": params.get("return_url") or configuration["default_return_url"],
            "url": f"{ctx.base_url}/p/session/{'live' if ctx.livemode else 'test'}_{token}",
            "_secret": secret,
        },
        event="billing_portal.session.created",
    )


def _configuration(ctx: Context, id: str | None) -> Doc:
    if id is None:
        return default_configuration(ctx)
    found = objects.load(ctx, "billing_portal.configuration", id, param="configuration")
    if not found["active"]:
        raise ApiError("The configuration is not active.", param="configuration")
    return found
