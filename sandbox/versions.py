"""Requests of clients that speak an older version of the API, read as they mean them.

The sandbox keeps and does everything in the words of API_VERSION. What an older client sends in words that are gone
since is translated here; what it expects to read is added by older_shapes.py. Source: Stripe docs, "Changelog", the
pages of the versions named below.
"""

from collections.abc import Callable
from typing import Any

Raw = dict[str, Any]

AUTOMATIC_METHODS = "2023-08-16"
"""Intents accept what the Dashboard enables, unless told which payment methods."""
ASYNC_CAPTURE = "2024-04-10"
"""Intents are captured asynchronously, unless told how."""
LATEST_CHARGE = "2022-11-15"
"""Payment intents no longer embed their charges."""
BASIL = "2025-03-31"
"""Invoices have several payments, subscription items their own periods, prices of lines a place of their own; coupons
are given as discounts alone; `create_preview` is the only preview."""
CLOVER = "2025-09-30"
"""Discounts and promotion codes tell their source; subscriptions are billed flexibly unless told otherwise."""
DAHLIA = "2026-03-25"
"""New words for Checkout's `ui_mode`."""
UI_MODES = {"hosted": "hosted_page", "embedded": "embedded_page", "custom": "elements"}
UPCOMING = "/v1/invoices/upcoming"
PREVIEW = "/v1/invoices/create_preview"
SUBSCRIPTION_DETAILS = (
    "billing_cycle_anchor", "cancel_at", "cancel_at_period_end", "cancel_now", "default_tax_rates", "items",
    "proration_behavior", "proration_date", "resume_at", "start_date", "trial_end",
)  # fmt: skip


def is_before(version: str, change: str) -> bool:
    """Whether a caller's version is older than a change: "2024-06-20" is, "2025-09-30.clover" is not before CLOVER."""
    return version[:10] < change


def address(version: str, method: str, path: str) -> tuple[str, str]:
    """The method and path that answer today what was asked for."""
    if is_before(version, BASIL) and method == "GET" and path == UPCOMING:
        return "POST", PREVIEW
    return method, path


def read(version: str, method: str, path: str, raw: Raw) -> Raw:
    """The parameters in today's words. Method and path are those that were asked for; what lists filter by is as it
    was."""
    if method != "POST" and path != UPCOMING:
        return raw
    for change, translate in TRANSLATIONS.get(_pattern(path), ()):
        if is_before(version, change):
            raw = translate(dict(raw))
    return raw


def _pattern(path: str) -> str:
    """`/v1/customers/cus_1` → `/v1/customers/*`"""
    parts = path.strip("/").split("/")
    known = "/" + "/".join(parts)
    return known if known in TRANSLATIONS or len(parts) < 3 else "/".join(["", *parts[:-1], "*"])


def _ui_mode(raw: Raw) -> Raw:
    return raw | {"ui_mode": UI_MODES.get(raw["ui_mode"], raw["ui_mode"])} if "ui_mode" in raw else raw


def _promotion(raw: Raw) -> Raw:
    coupon = raw.pop("coupon", None)
    return raw if coupon is None else raw | {"promotion": {"type": "coupon", "coupon": coupon}}


def _classic(raw: Raw) -> Raw:
    return {"billing_mode": {"type": "classic"}} | raw


def _discounts(raw: Raw) -> Raw:
    """A coupon or a promotion code as a list of one discount; an empty one takes discounts away."""
    given = {name: raw.pop(name) for name in ("coupon", "promotion_code") if name in raw}
    if not given:
        return raw
    named = [{name: value} for name, value in given.items() if value]
    return raw | {"discounts": {str(number): one for number, one in enumerate(named)} if named else ""}


def _priced(raw: Raw) -> Raw:
    price = raw.pop("price", None)
    unit_amount = raw.pop("unit_amount", None)
    raw = raw if price is None else raw | {"pricing": {"price": price}}
    return raw if unit_amount is None else raw | {"unit_amount_decimal": unit_amount}


def _cards(raw: Raw) -> Raw:
    named = {"payment_method_types", "automatic_payment_methods", "payment_method_configuration"} & set(raw)
    return raw if named else raw | {"payment_method_types": {"0": "card"}}


def _captured_at_once(raw: Raw) -> Raw:
    return {"capture_method": "automatic"} | raw


def _upcoming(raw: Raw) -> Raw:
    """`subscription_items` and its like stand in `subscription_details` since."""
    raw = _discounts(raw)
    details = {name: raw.pop("subscription_" + name) for name in SUBSCRIPTION_DETAILS if "subscription_" + name in raw}
    if not details:
        return raw
    return raw | {"subscription_details": details | raw.get("subscription_details", {})}


TRANSLATIONS: dict[str, list[tuple[str, Callable[[Raw], Raw]]]] = {
    "/v1/checkout/sessions": [(DAHLIA, _ui_mode)],
    "/v1/promotion_codes": [(CLOVER, _promotion)],
    "/v1/subscriptions": [(CLOVER, _classic), (BASIL, _discounts)],
    "/v1/subscriptions/*": [(BASIL, _discounts)],
    "/v1/payment_intents": [(AUTOMATIC_METHODS, _cards), (ASYNC_CAPTURE, _captured_at_once)],
    "/v1/setup_intents": [(AUTOMATIC_METHODS, _cards)],
    "/v1/invoiceitems": [(BASIL, _priced)],
    "/v1/invoiceitems/*": [(BASIL, _priced)],
    UPCOMING: [(BASIL, _upcoming)],
    PREVIEW: [(BASIL, _upcoming)],
}
