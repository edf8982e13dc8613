"""Portal sessions that are for one thing alone. Source: Stripe docs, "Customer portal deep links"; API reference,
"Create a portal session" (flow_data)."""

from typing import Any

from sandbox import objects
from sandbox.billing import portal_plans, redeeming
from sandbox.context import Context
from sandbox.errors import ApiError, missing
from sandbox.kinds import Doc
from sandbox.params import Array, Enum, Hash, Int, Shape, Str, Url

COMPLETION: Shape = {
    "hosted_confirmation": Hash({"custom_message": Str(max_length=500)}),
    "redirect": Hash({"return_url": Url(required=True)}),
    "type": Enum("hosted_confirmation", "portal_homepage", "redirect", required=True),
}
ITEM: Shape = {"id": Str(required=True), "price": Str(), "quantity": Int(min=0)}
CONFIRM: Shape = {
    "discounts": Array(Hash({"coupon": Str(), "promotion_code": Str()})),
    "items": Array(Hash(ITEM), required=True),
    "subscription": Str(required=True),
}
RETENTION: Shape = {
    "coupon_offer": Hash({"coupon": Str(required=True)}, required=True),
    "type": Enum("coupon_offer", required=True),
}
OF_SUBSCRIPTION = ("subscription_cancel", "subscription_update", "subscription_update_confirm")
FLOW: Shape = {
    "after_completion": Hash(COMPLETION),
    "subscription_cancel": Hash({"subscription": Str(required=True), "retention": Hash(RETENTION)}),
    "subscription_update": Hash({"subscription": Str(required=True)}),
    "subscription_update_confirm": Hash(CONFIRM),
    "type": Enum("customer_update", "payment_method_update", *OF_SUBSCRIPTION, required=True),
}


def check(ctx: Context, flow: dict[str, Any], customer: Doc, configuration: Doc) -> None:
    """Raises for what this customer could not do in this portal."""
    type = flow["type"]
    _check_enabled(type, configuration)
    for name in OF_SUBSCRIPTION:
        if name in flow and name != type:
            raise ApiError(f"You can only pass `flow_data[{name}]` when `flow_data[type]` is `{name}`.",
                           param=f"flow_data[{name}]")  # fmt: skip
    completion = flow.get("after_completion") or {}
    if completion.get("type") == "redirect" and "redirect" not in completion:
        raise missing("flow_data[after_completion][redirect]")
    if type not in OF_SUBSCRIPTION:
        return
    if type not in flow:
        raise missing(f"flow_data[{type}]")
    subscription = _own(ctx, flow[type]["subscription"], customer, f"flow_data[{type}][subscription]")
    if type == "subscription_cancel":
        _check_cancelable(subscription)
        offer = (flow[type].get("retention") or {}).get("coupon_offer")
        if offer:
            path = "flow_data[subscription_cancel][retention][coupon_offer][coupon]"
            redeeming.usable_coupon(ctx, offer["coupon"], path)
    else:
        _check_updatable(ctx, flow, subscription, configuration)


def _check_enabled(type: str, configuration: Doc) -> None:
    name = "subscription_update" if type == "subscription_update_confirm" else type
    if not configuration["features"][name]["enabled"]:
        raise ApiError(f"This feature in the portal configuration is disabled: {name}.", param="flow_data[type]")


def _own(ctx: Context, id: str, customer: Doc, path: str) -> Doc:
    subscription = objects.load(ctx, "subscription", id, param=path)
    if subscription["customer"] != customer["id"]:
        raise ApiError("The subscription does not belong to the customer.", param=path)
    return subscription


def _check_cancelable(subscription: Doc) -> None:
    if subscription["cancel_at_period_end"] or subscription["status"] == "canceled":
        raise ApiError(
            "The subscription cannot be canceled because it is already set to be canceled at period end.",
            param="flow_data[subscription_cancel][subscription]",
        )


def _check_updatable(ctx: Context, flow: dict[str, Any], subscription: Doc, configuration: Doc) -> None:
    path = f"flow_data[{flow['type']}]"
    why_not = portal_plans.obstacle(subscription)
    if why_not:
        raise ApiError(f"The subscription cannot be updated in the portal: {why_not.value}.",
                       param=f"{path}[subscription]")  # fmt: skip
    if flow["type"] == "subscription_update":
        return
    given = flow["subscription_update_confirm"]
    if len(given["items"]) != 1:
        raise ApiError("You must specify exactly one item to update.", param=f"{path}[items]")
    wanted = given["items"][0]
    if wanted["id"] != subscription["items"]["data"][0]["id"]:
        raise ApiError("The item does not belong to the subscription.", param=f"{path}[items][0][id]")
    portal_plans.planned(ctx, configuration, subscription, wanted.get("price"), wanted.get("quantity"),
                         f"{path}[items][0]")  # fmt: skip
    for number, one in enumerate(given.get("discounts") or []):
        redeeming.named(ctx, one, subscription["customer"], f"{path}[discounts][{number}]", None)


def shown(given: dict[str, Any]) -> Doc:
    """The `flow` of a session."""
    completion = given.get("after_completion") or {"type": "portal_homepage"}
    cancel, update = given.get("subscription_cancel"), given.get("subscription_update")
    confirm = given.get("subscription_update_confirm")
    return {
        "after_completion": {"hosted_confirmation": None, "redirect": None, **completion},
        "subscription_cancel": {"retention": None, **cancel} if cancel else None,
        "subscription_update": {"subscription": update["subscription"]} if update else None,
        "subscription_update_confirm": _confirm(confirm) if confirm else None,
        "type": given["type"],
    }


def _confirm(given: dict[str, Any]) -> Doc:
    discounts = [{"coupon": None, "promotion_code": None} | one for one in given.get("discounts") or []]
    wanted = given["items"][0]
    item = {"id": wanted["id"], "price": wanted.get("price")}
    if "quantity" in wanted:
        item["quantity"] = wanted["quantity"]
    return {"discounts": discounts or None, "items": [item], "subscription": given["subscription"]}
