"""An answer with expanded references, parted into the object with ids and the objects that were inside it. Pure."""

from typing import Any

from billing.mirror.kinds import Kind, Ref, kind_for
from billing.mirror.layout import Data

# Where Stripe has whole objects inside an object without being asked (its OpenAPI description; Stripe docs: "The
# Subscription item object", "The Issuing card object", …). Everything else with an id and a kind was expanded.
BY_NATURE = {
    "price", "plan", "tax_rates", "default_tax_rates", "discount", "balance_transactions", "entitlement_feature",
    "feature", "card", "cardholder", "source", "file", "result", "last_payment_error", "last_setup_error", "token",
    "alert", "meter", "suppliers", "pending_update", "phases", "external_accounts",
}  # fmt: skip
# Under these keys a whole object may be meant either way: Stripe's own, by the kind of the object around it.
EXPANDED_ONLY = {("discount", "coupon"), ("promotion_code", "coupon")}


def collapse(kind: Kind, data: Data) -> tuple[Data, list[tuple[Ref, Data]]]:
    """Return the object as it is without expansions, and each object that was expanded in it, collapsed too."""
    inner: list[tuple[Ref, Data]] = []
    return {key: collapsed(key, value, inner) for key, value in data.items()}, inner


def collapsed(key: str, value: Any, inner: list[tuple[Ref, Data]]) -> Any:
    if isinstance(value, list):
        if not value or not isinstance(value[0], (dict, list)):
            return value
        return [collapsed(key, one, inner) for one in value]
    if not isinstance(value, dict):
        return value
    name, object_id = value.get("object"), value.get("id")
    if isinstance(name, str) and isinstance(object_id, str) and key not in BY_NATURE and key != "data":
        whole, further = collapse(kind_for(name), value)
        inner.extend([*further, (Ref(name, object_id), whole)])
        return object_id
    return {key: collapsed(key, one, inner) for key, one in value.items()}
