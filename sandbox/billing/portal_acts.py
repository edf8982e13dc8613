"""What a customer does in the billing portal, with all that follows from it.

Source: Stripe docs, "Customer portal": a new default card becomes the customer's default and that of each running
subscription that had one of its own.
"""

from typing import Any

from sandbox import objects
from sandbox.billing import changing
from sandbox.billing.invoicing import LIVE
from sandbox.context import Context
from sandbox.kinds import Doc
from sandbox.resources import setup_intents
from sandbox.resources.payment_methods import detach


def live_subscriptions(ctx: Context, customer: str) -> list[Doc]:
    """Those that a customer can still do something about, oldest first."""
    return objects.query(ctx, "subscription", customer=customer, status=[s for s in LIVE if s != "incomplete"])[::-1]


def cards(ctx: Context, customer: str) -> list[Doc]:
    return objects.query(ctx, "payment_method", customer=customer, type="card")


def add_card(ctx: Context, session: Doc, card: Doc, *, return_url: str) -> Doc:
    """Set a card up for the customer. The setup intent: succeeded, requires_action, or with `last_setup_error`."""
    intent = setup_intents.new_setup_intent(ctx, {"customer": session["customer"], "_portal": session["id"]})
    return setup_intents.confirm(ctx, intent, card, return_url=return_url)


def _is_set_up(ctx: Context, intent: Doc) -> None:
    if intent.get("_portal"):
        card = objects.load(ctx, "payment_method", intent["payment_method"])
        make_default(ctx, objects.load(ctx, "customer", intent["customer"]), card["id"])


setup_intents.LISTENERS.append(_is_set_up)


def make_default(ctx: Context, customer: Doc, payment_method: str) -> None:
    """From now on everything is paid with this card."""
    settings = customer["invoice_settings"] | {"default_payment_method": payment_method}
    objects.update(ctx, customer, {"invoice_settings": settings}, event="customer.updated")
    for subscription in live_subscriptions(ctx, customer["id"]):
        if subscription["default_payment_method"]:
            changing.change(ctx, subscription, {"default_payment_method": payment_method})


def is_default(ctx: Context, customer: Doc, card: Doc) -> bool:
    used = {subscription["default_payment_method"] for subscription in live_subscriptions(ctx, customer["id"])}
    return card["id"] in used | {customer["invoice_settings"]["default_payment_method"]}


def remove_card(ctx: Context, customer: Doc, card: Doc) -> bool:
    """False when something is still paid with it."""
    if is_default(ctx, customer, card):
        return False
    detach(ctx, card)
    return True


def change_details(ctx: Context, customer: Doc, *, name: str, email: str, allowed: list[str]) -> Doc:
    """What the customer says of themselves, as far as the portal's configuration lets them."""
    said = {"name": name, "email": email}
    changes = {field: value or None for field, value in said.items() if field in allowed}
    return objects.update(ctx, customer, changes, event="customer.updated")


def cancel(ctx: Context, subscription: Doc, feature: Doc, reason: dict[str, Any]) -> Doc:
    """As the portal's configuration has it: at the end of the period, or now."""
    details = {name: value for name, value in reason.items() if value}
    if feature["mode"] == "immediately":
        prorate = feature["proration_behavior"] != "none"
        invoiced = feature["proration_behavior"] == "always_invoice"
        return changing.cancel(
            ctx, subscription, {"cancellation_details": details, "prorate": prorate, "invoice_now": invoiced}
        )
    return changing.change(ctx, subscription, {"cancel_at_period_end": True, "cancellation_details": details})


def resume(ctx: Context, subscription: Doc) -> Doc:
    return changing.change(ctx, subscription, {"cancel_at_period_end": False})


def stay(ctx: Context, subscription: Doc, coupon: str) -> Doc:
    """Who wanted to leave takes the coupon that they were offered, besides what they have."""
    held: list[dict[str, str]] = [{"discount": id} for id in subscription["discounts"]]
    return changing.change(ctx, subscription, {"discounts": [*held, {"coupon": coupon}]})
