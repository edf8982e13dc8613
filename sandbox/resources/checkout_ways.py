"""Which ways to pay go with a checkout session, and what the session shows of them. Pure.

Sources: Stripe docs, "Konbini payments" and "Bank transfers" (product support); API reference "Create a session".
"""

from typing import Any

from sandbox.errors import ApiError
from sandbox.kinds import Doc
from sandbox.resources import method_options
from sandbox.resources.payment_methods import USED_ONCE


def check(params: dict[str, Any], currency: str) -> None:
    """Not every way to pay goes with every mode and currency."""
    types = params.get("payment_method_types") or []
    for name in types:
        if name in USED_ONCE and params["mode"] != "payment":
            raise ApiError(
                f"The payment method `{name}` cannot be used in `{params['mode']}` mode.", param="payment_method_types"
            )
    if "customer_balance" in types and "customer" not in params:
        raise ApiError(
            "You must provide a `customer` when using the payment method `customer_balance`.",
            code="parameter_missing",
            param="customer",
        )
    if params["mode"] != "setup":
        method_options.check_currency(types, currency)
    data = params.get("payment_intent_data") or {}
    capture_method, usage = data.get("capture_method"), data.get("setup_future_usage")
    method_options.check_use(types, capture_method=capture_method, usage=usage, inside="payment_intent_data")


def options(params: dict[str, Any]) -> Doc:
    """What a session shows of the ways to pay."""
    given, shown = params.get("payment_method_options") or {}, {}
    types = params.get("payment_method_types") or ["card"]
    if "card" in types:
        asked = (given.get("card") or {}).get("request_three_d_secure", "automatic")
        shown["card"] = {"request_three_d_secure": asked}
    if "konbini" in types:
        shown["konbini"] = {"expires_after_days": (given.get("konbini") or {}).get("expires_after_days")}
    if "customer_balance" in types:
        shown["customer_balance"] = {"setup_future_usage": "none", **(given.get("customer_balance") or {})}
    return shown
