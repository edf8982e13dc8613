"""How prorations are reckoned and shown. Source: Stripe docs, "Compare classic and flexible billing mode"; changelog
2025-09-30, "Adds the ability to itemize proration discount amounts".
"""

from typing import Any

from sandbox.errors import ApiError
from sandbox.kinds import Doc
from sandbox.params import Enum, Hash

BILLING_MODE = Hash(
    {
        "flexible": Hash({"proration_discounts": Enum("included", "itemized")}),
        "type": Enum("classic", "flexible", required=True),
    }
)

MIGRATE = Hash(
    {
        "flexible": Hash({"proration_discounts": Enum("included", "itemized")}),
        "type": Enum("flexible", required=True),
    },
    required=True,
)


def chosen(params: dict[str, Any]) -> Doc:
    """The `billing_mode` of a new subscription or schedule: flexible, with discounts included in prorations."""
    given = params.get("billing_mode") or {"type": "flexible"}
    if given["type"] == "classic":
        if "flexible" in given:
            raise ApiError(
                "You can only pass `billing_mode[flexible]` when `billing_mode[type]` is `flexible`.",
                param="billing_mode[flexible]",
            )
        return {"flexible": None, "type": "classic"}
    return {"flexible": {"proration_discounts": "included"} | given.get("flexible", {}), "type": "flexible"}


def is_flexible(subscription: Doc) -> bool:
    return bool(subscription["billing_mode"]["type"] == "flexible")


def itemizes(subscription: Doc) -> bool:
    """Whether prorations show their whole amount and, beside it, what discounts take off."""
    return bool((subscription["billing_mode"]["flexible"] or {}).get("proration_discounts") == "itemized")


def migrated(subscription: Doc, params: dict[str, Any], now: int) -> Doc:
    """The `billing_mode` after a migration to flexible mode, from which there is no way back, as from itemized
    discounts. Source: API reference, "Migrate a subscription"."""
    wanted = chosen(params)
    if itemizes(subscription) and wanted["flexible"]["proration_discounts"] == "included":
        raise ApiError(
            "You cannot migrate a subscription from `itemized` to `included`.",
            param="billing_mode[flexible][proration_discounts]",
        )
    same = {
        "flexible": subscription["billing_mode"]["flexible"],
        "type": subscription["billing_mode"]["type"],
    } == wanted
    return subscription["billing_mode"] if same else wanted | {"updated_at": now}
