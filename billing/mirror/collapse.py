"""An answer with expanded references, parted into the object with ids and the objects that were inside it. Pure."""

from typing import Any

from billing.mirror.kinds import Kind, Ref, kind_for
from billing.mirror.layout import Data

# Where Stripe has a whole object inside another without being asked, by the kind of the object around it and the key
# (Stripe's API reference; its published example objects). Everything else that has an id and a kind was expanded.
BY_NATURE = {
    ("billing.alert", "meter"),
    ("billing.alert_triggered", "alert"),
    ("charge", "source"),
    ("climate.product", "suppliers"),
    ("credit_note_line_item", "tax_rates"),
    ("customer", "discount"),
    ("dispute", "balance_transactions"),
    ("entitlements.active_entitlement", "feature"),
    ("invoice", "default_tax_rates"),
    ("invoiceitem", "tax_rates"),
    ("issuing.authorization", "card"),
    ("issuing.card", "cardholder"),
    ("item", "price"),
    ("line_item", "tax_rates"),
    ("product_feature", "entitlement_feature"),
    ("reporting.report_run", "result"),
    ("scheduled_query_run", "file"),
    ("subscription", "default_tax_rates"),
    ("subscription", "discount"),  # of its pending update
    ("subscription", "plan"),
    ("subscription_item", "plan"),
    ("subscription_item", "price"),
    ("subscription_item", "tax_rates"),
    ("subscription_schedule", "default_tax_rates"),
    ("subscription_schedule", "plan"),
    ("subscription_schedule", "tax_rates"),
    ("topup", "source"),
}
# What an error quotes is how the object was then: it is left whole.
QUOTED = {"last_payment_error", "last_setup_error", "last_finalization_error", "setup_error"}


def collapse(kind: Kind, data: Data) -> tuple[Data, list[tuple[Ref, Data]]]:
    """Return the object as it is without expansions, and each object that was expanded in it, collapsed too."""
    inner: list[tuple[Ref, Data]] = []
    return collapsed_values(kind.name, data, inner), inner


def collapsed_values(around: str, data: Data, inner: list[tuple[Ref, Data]]) -> Data:
    """Of the many values of an object few can hold others: only those are looked into."""
    return {
        key: collapsed(around, key, value, inner)
        if (type(value) is dict or type(value) is list) and value and key not in QUOTED
        else value
        for key, value in data.items()
    }


def collapsed(around: str, key: str, value: Any, inner: list[tuple[Ref, Data]]) -> Any:
    """The value without expansions; `around` is the kind of the object that it stands in, at whatever depth."""
    if isinstance(value, list):
        return [collapsed(around, key, one, inner) for one in value] if value else value
    if not isinstance(value, dict) or not value:
        return value
    name, object_id = value.get("object"), value.get("id")
    if not isinstance(name, str) or not isinstance(object_id, str):
        return collapsed_values(around, value, inner)
    if key == "data" or (around, key) in BY_NATURE:
        return collapsed_values(name, value, inner)
    whole, further = collapse(kind_for(name), value)
    inner += [*further, (Ref(name, object_id), whole)]
    return object_id
