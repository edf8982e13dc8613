"""Subscription items, each a part of its subscription. The routes; changes are made by billing/changing.py."""

from typing import Any

from sandbox import clocks, objects
from sandbox.billing import changing, items, lifecycle
from sandbox.context import Context
from sandbox.errors import ApiError, no_such
from sandbox.kinds import Doc
from sandbox.pagination import list_object, listing
from sandbox.params import Bool, Ignored, Param, Str, Timestamp
from sandbox.resources.subscriptions import BEHAVIOR, PRORATION
from sandbox.routes import route

HOW: dict[str, Param] = {
    "payment_behavior": BEHAVIOR,
    "proration_behavior": PRORATION,
    "proration_date": Timestamp(),
}
CREATE = items.ITEM | HOW | {"subscription": Str(required=True)}
UPDATE = items.ITEM | HOW | {"off_session": Bool()}
DELETE = HOW | {"clear_usage": Ignored()}


def _split(params: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is said of the item, and how the change is to be made."""
    how = {name: value for name, value in params.items() if name in HOW or name == "off_session"}
    return {name: value for name, value in params.items() if name in items.ITEM}, how


def holder(ctx: Context, id: str) -> tuple[Doc, Doc]:
    """The subscription that has the item, and the item. Raises Stripe's 404."""
    for subscription in objects.query(ctx, "subscription", _items=id):
        clocks.follow(ctx, subscription)
        for item in subscription["items"]["data"]:
            if item["id"] == id:
                return subscription, item
    raise ApiError(f"Invalid subscription_item id: {id}", status=404)


@route("POST", "/v1/subscription_items", params=CREATE)
def create_subscription_item(ctx: Context, params: dict[str, Any]) -> Doc:
    """Add an item to a subscription"""
    subscription = objects.load(ctx, "subscription", params["subscription"], param="subscription", in_path=True)
    if subscription["status"] in lifecycle.ENDED:
        raise no_such("subscription", subscription["id"], param="subscription", in_path=True)
    item, how = _split(params)
    changed = changing.change(ctx, subscription, how | {"items": [item]})
    before = {known["id"] for known in subscription["items"]["data"]}
    return next(known for known in changed["items"]["data"] if known["id"] not in before)


@route("GET", "/v1/subscription_items", params=listing(subscription=Str(required=True)))
def list_subscription_items(ctx: Context, params: dict[str, Any]) -> Doc:
    """List a subscription's items"""
    subscription = objects.load(ctx, "subscription", params["subscription"], param="subscription")
    limit, known = params.get("limit", 10), subscription["items"]["data"]
    ids = [item["id"] for item in known]
    after = params.get("starting_after")
    if after and after not in ids:
        raise no_such("subscription_item", after, param="starting_after")
    rest = known[ids.index(after) + 1 :] if after else known
    return list_object(rest[:limit], url="/v1/subscription_items", has_more=len(rest) > limit)


@route("GET", "/v1/subscription_items/{id}")
def retrieve_subscription_item(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Retrieve a subscription item"""
    return holder(ctx, id)[1]


@route("POST", "/v1/subscription_items/{id}", params=UPDATE)
def update_subscription_item(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Update a subscription item"""
    subscription, _ = holder(ctx, id)
    item, how = _split(params)
    changed = changing.change(ctx, subscription, how | {"items": [item | {"id": id}]})
    return next(known for known in changed["items"]["data"] if known["id"] == id)


@route("DELETE", "/v1/subscription_items/{id}", params=DELETE)
def delete_subscription_item(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Remove an item from its subscription"""
    subscription, _ = holder(ctx, id)
    if len(subscription["items"]["data"]) == 1:
        raise ApiError(items.NO_ITEM_LEFT, param="item")
    how = {name: value for name, value in params.items() if name != "clear_usage"}
    changing.change(ctx, subscription, how | {"items": [{"id": id, "deleted": True}]})
    return {"id": id, "object": "subscription_item", "deleted": True}
