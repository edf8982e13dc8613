"""Subscriptions: the routes. How one begins, changes and lives is in sandbox/billing."""

from typing import Any

from sandbox import objects
from sandbox.billing import anchors, billing_modes, changing, items, lifecycle, resuming, scheduling, subscribing
from sandbox.billing.billing_modes import BILLING_MODE
from sandbox.billing.discounts import DISCOUNTS
from sandbox.context import Context
from sandbox.errors import ApiError
from sandbox.kinds import Doc, kind
from sandbox.pagination import list_page, listing, paging
from sandbox.params import (
    Array,
    Bool,
    Enum,
    Hash,
    Ignored,
    Int,
    Metadata,
    OneOf,
    Param,
    Shape,
    Str,
    Timestamp,
)
from sandbox.resources import payment_settings
from sandbox.resources.customers import BEFORE_DELETION
from sandbox.resources.tax_rates import TAX_RATES
from sandbox.routes import route

SUBSCRIPTION = kind(
    "subscription",
    prefix="sub",
    indexed=("customer", "status", "collection_method", "test_clock", "_items", "_prices"),
    expandable={
        "application": "*",
        "customer": "customer",
        "default_payment_method": "payment_method",
        "default_source": "*",
        "discounts": "discount",
        "latest_invoice": "invoice",
        "on_behalf_of": "*",
        "pending_setup_intent": "setup_intent",
        "pending_update.discounts": "discount",
        "schedule": "subscription_schedule",
        "test_clock": "test_helpers.test_clock",
        "transfer_data.destination": "*",
    },
)
SUBSCRIPTION_ITEM = kind(
    "subscription_item", prefix="si", random_length=14, without=("livemode",), expandable={"discounts": "discount"}
)

PRORATION = Enum("create_prorations", "always_invoice", "none")
BEHAVIOR = Enum("allow_incomplete", "error_if_incomplete", "pending_if_incomplete", "default_incomplete")
CANCELLATION: Shape = {
    "comment": Str(unset=True),
    "feedback": Enum(
        "customer_service", "low_quality", "missing_features", "other", "switched_service", "too_complex",
        "too_expensive", "unused", unset=True,
    ),
    "feedback_option": Str(unset=True),
}  # fmt: skip
TRIAL_SETTINGS: Shape = {
    "end_behavior": Hash(
        {"missing_payment_method": Enum("cancel", "create_invoice", "pause", required=True)}, required=True
    )
}
INVOICE_SETTINGS: Shape = {
    "account_tax_ids": Ignored(),
    "custom_fields": Array(Hash({"name": Str(required=True), "value": Str(required=True)}), unset=True),
    "description": Str(unset=True, max_length=1500),
    "footer": Str(unset=True, max_length=5000),
    "issuer": Ignored(),
}
COMMON: dict[str, Param] = {
    "add_invoice_items": Array(
        Hash(
            {
                "discountable": Bool(),
                "discounts": DISCOUNTS,
                "metadata": Metadata(),
                "period": Ignored(),
                "price": Str(),
                "price_data": Hash(items.ONCE_DATA),
                "quantity": Int(min=0),
                "tax_rates": TAX_RATES,
            }
        )
    ),
    "application_fee_percent": Ignored(),
    "automatic_tax": Ignored(),
    "billing_schedules": Ignored(),
    "billing_thresholds": items.THRESHOLDS,
    "cancel_at": OneOf(Enum("max_period_end", "min_period_end"), Timestamp(), unset=True),
    "cancel_at_period_end": Bool(),
    "collection_method": Enum("charge_automatically", "send_invoice"),
    "days_until_due": Int(min=0),
    "default_payment_method": Str(unset=True),
    "default_source": Ignored(),
    "default_tax_rates": TAX_RATES,
    "description": Str(unset=True, max_length=500),
    "discounts": DISCOUNTS,
    "invoice_settings": Hash(INVOICE_SETTINGS),
    "metadata": Metadata(),
    "off_session": Bool(),
    "on_behalf_of": Ignored(),
    "payment_behavior": BEHAVIOR,
    "payment_settings": Hash(payment_settings.OF_SUBSCRIPTION),
    "pending_invoice_item_interval": Ignored(),
    "proration_behavior": PRORATION,
    "transfer_data": Ignored(),
    "trial_end": Timestamp(words=("now",)),
    "trial_from_plan": Bool(),
    "trial_settings": Hash(TRIAL_SETTINGS),
}
CREATE = COMMON | {
    "backdate_start_date": Timestamp(),
    "billing_cycle_anchor": Timestamp(),
    "billing_cycle_anchor_config": anchors.CONFIG,
    "billing_mode": BILLING_MODE,
    "currency": Str(),
    "customer": Str(required=True),
    "customer_account": Ignored(),
    "items": Array(Hash(items.ITEM)),
    "trial_period_days": Int(min=0, max=730),
}
UPDATE = COMMON | {
    "quantity": Int(min=0),
    "billing_cycle_anchor": Enum("now", "unchanged"),
    "cancellation_details": Hash(CANCELLATION),
    "items": Array(Hash(items.CHANGED_ITEM)),
    "pause_collection": Hash(
        {
            "behavior": Enum("keep_as_draft", "mark_uncollectible", "void", required=True),
            "resumes_at": Timestamp(),
        },
        unset=True,
    ),
    "proration_date": Timestamp(),
}
STATUSES = (
    "active", "past_due", "unpaid", "canceled", "incomplete", "incomplete_expired", "trialing", "paused", "all",
    "ended",
)  # fmt: skip
NOT_ENDED = ["active", "past_due", "trialing", "unpaid", "incomplete", "paused"]


@route("POST", "/v1/subscriptions", params=CREATE)
def create_subscription(ctx: Context, params: dict[str, Any]) -> Doc:
    """Create a subscription"""
    return subscribing.begin(ctx, params)


@route("GET", "/v1/subscriptions", params=listing(
    automatic_tax=Ignored(), collection_method=Enum("charge_automatically", "send_invoice"), customer=Str(),
    current_period_end=Ignored(), current_period_start=Ignored(), customer_account=Ignored(), plan=Str(),
    price=Str(), status=Enum(*STATUSES), test_clock=Str(),
))  # fmt: skip
def list_subscriptions(ctx: Context, params: dict[str, Any]) -> Doc:
    """List subscriptions; without `status` those that have not ended"""
    if "customer" in params:
        objects.load(ctx, "customer", params["customer"], param="customer", deleted=True)
    status: Any = params.get("status")
    wanted = {None: NOT_ENDED, "all": None, "ended": list(lifecycle.ENDED)}.get(status, status)
    filters = {
        "customer": params.get("customer"),
        "_prices": params.get("price") or params.get("plan"),
        "collection_method": params.get("collection_method"),
        "test_clock": params.get("test_clock"),
        "status": wanted,
    }
    found = list_page(ctx, "subscription", params, filters)
    return found | {"data": items.all_refreshed(ctx, found["data"])}


@route("GET", "/v1/customers/{customer}/subscriptions", params=paging())
def list_subscriptions_of_customer(ctx: Context, params: dict[str, Any], customer: str) -> Doc:
    """List a customer's subscriptions, by the address that an expanded customer tells"""
    objects.load(ctx, "customer", customer, param="customer", in_path=True)
    address, filters = f"/v1/customers/{customer}/subscriptions", {"customer": customer, "status": NOT_ENDED}
    found = list_page(ctx, "subscription", params, filters, url=address)
    return found | {"data": items.all_refreshed(ctx, found["data"])}


@route("GET", "/v1/subscriptions/{id}")
def retrieve_subscription(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Retrieve a subscription"""
    return items.refreshed(ctx, objects.load(ctx, "subscription", id, in_path=True))


@route("POST", "/v1/subscriptions/{id}", params=UPDATE)
def update_subscription(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Update a subscription"""
    subscription = objects.load(ctx, "subscription", id, in_path=True)
    if subscription["status"] in lifecycle.ENDED:
        if set(params) - {"metadata", "cancellation_details"}:
            raise ApiError(
                "A canceled subscription can only update its cancellation_details and metadata.",
                code="invalid_canceled_subscription_fields",
            )
        return changing.change_words(ctx, subscription, params)
    scheduling.check_free(subscription, params)
    return changing.change(ctx, subscription, _of_only_item(subscription, params))


def _of_only_item(subscription: Doc, params: dict[str, Any]) -> dict[str, Any]:
    """A quantity beside the items, as older clients give it, is that of the only item."""
    if "quantity" not in params:
        return params
    held = subscription["items"]["data"]
    if len(held) > 1 or "items" in params:
        message = "You cannot update a subscription's `quantity` when it has several items. Use `items` instead."
        raise ApiError(message, param="quantity")
    changed = {name: value for name, value in params.items() if name != "quantity"}
    return changed | {"items": [{"id": held[0]["id"], "quantity": params["quantity"]}]}


@route("POST", "/v1/subscriptions/{id}/resume", params={
    "billing_cycle_anchor": Enum("now", "unchanged"), "proration_behavior": PRORATION, "proration_date": Timestamp(),
})  # fmt: skip
def resume_subscription(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Resume a paused subscription"""
    return resuming.resume(ctx, objects.load(ctx, "subscription", id, in_path=True), params)


@route("POST", "/v1/subscriptions/{id}/migrate", params={"billing_mode": billing_modes.MIGRATE})
def migrate_subscription(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Migrate a subscription to flexible billing mode"""
    subscription = objects.load(ctx, "subscription", id, in_path=True)
    if subscription["status"] in lifecycle.ENDED:
        raise ApiError("A canceled subscription cannot be migrated.", param="id")
    return lifecycle.updated(ctx, subscription, {"billing_mode": billing_modes.migrated(subscription, params, ctx.now)})


@route("DELETE", "/v1/subscriptions/{id}", params={
    "cancellation_details": Hash(CANCELLATION), "invoice_now": Bool(), "prorate": Bool(),
})  # fmt: skip
def cancel_subscription(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Cancel a subscription now"""
    subscription = objects.load(ctx, "subscription", id, in_path=True)
    if subscription["status"] in lifecycle.ENDED:
        raise ApiError(f"No such subscription: '{id}'", status=404, code="resource_missing", param="id")
    return changing.cancel(ctx, subscription, params)


def _end_with_customer(ctx: Context, customer: Doc) -> None:
    for subscription in objects.query(ctx, "subscription", customer=customer["id"], status=NOT_ENDED):
        lifecycle.end(ctx, subscription, subscription["cancellation_details"] | {"reason": "cancellation_requested"})


BEFORE_DELETION.append(_end_with_customer)
