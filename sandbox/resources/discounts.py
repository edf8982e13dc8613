"""Taking discounts away from customers and subscriptions."""

from typing import Any

from sandbox import objects
from sandbox.billing import discounts
from sandbox.context import Context
from sandbox.errors import ApiError
from sandbox.kinds import Doc
from sandbox.routes import route


@route("DELETE", "/v1/customers/{id}/discount")
def delete_customer_discount(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Take a customer's discount away"""
    customer = objects.load(ctx, "customer", id, param="customer", in_path=True)
    if customer["discount"] is None:
        raise _none(f"customer: {id}")
    return discounts.end(ctx, objects.load(ctx, "discount", customer["discount"]["id"]))


@route("DELETE", "/v1/subscriptions/{id}/discount")
def delete_subscription_discount(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Take a subscription's discounts away"""
    subscription = objects.load(ctx, "subscription", id, in_path=True)
    ended = [discounts.end(ctx, objects.load(ctx, "discount", held)) for held in subscription["discounts"]]
    if not ended:
        raise _none(f"subscription: {id}")
    return ended[0]


def _none(holder: str) -> ApiError:
    return ApiError(f"No active discount for {holder}", status=404, code="resource_missing")
