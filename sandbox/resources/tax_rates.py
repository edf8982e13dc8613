"""Tax rates: percentages that are put on invoices, subscriptions and their items by hand."""

from typing import Any

from sandbox import objects
from sandbox.context import Context
from sandbox.documents import merge_metadata, render
from sandbox.errors import ApiError
from sandbox.kinds import Doc, kind
from sandbox.pagination import list_page, listing
from sandbox.params import Array, Bool, Dec, Enum, Metadata, Param, Str
from sandbox.routes import route

TAX_RATE = kind("tax_rate", prefix="txr", label="tax rate", indexed=("active", "inclusive"))
TYPES = (
    "amusement_tax", "communications_tax", "gst", "hst", "igst", "jct", "lease_tax",
    "mass_transit_parking_tax", "parking_tax", "pst", "qst",
    "retail_delivery_fee", "rst", "sales_tax", "service_tax", "vat",
)  # fmt: skip
WORDS: dict[str, Param] = {
    "active": Bool(),
    "country": Str(max_length=2),
    "description": Str(unset=True),
    "jurisdiction": Str(unset=True, max_length=50),
    "metadata": Metadata(),
    "state": Str(max_length=3),
    "tax_type": Enum(*TYPES),
}
CREATE = WORDS | {
    "display_name": Str(required=True, max_length=50),
    "inclusive": Bool(required=True),
    "percentage": Dec(required=True),
}
UPDATE = WORDS | {"display_name": Str(max_length=50)}
TAX_RATES = Array(Str(), unset=True)
"""The parameter by which other objects name their tax rates."""


@route("POST", "/v1/tax_rates", params=CREATE)
def create_tax_rate(ctx: Context, params: dict[str, Any]) -> Doc:
    """Create a tax rate"""
    if not 0 <= params["percentage"] <= 100:
        raise ApiError("Invalid percentage: must be between 0 and 100", param="percentage")
    nothing = dict.fromkeys(
        ("country", "description", "effective_percentage", "flat_amount", "jurisdiction", "jurisdiction_level",
         "state", "tax_type")
    )  # fmt: skip
    fields = nothing | {"active": True, "rate_type": "percentage"} | params
    fields["percentage"] = float(params["percentage"])
    fields["metadata"] = merge_metadata({}, params.get("metadata"))
    return objects.create(ctx, "tax_rate", fields, event="tax_rate.created")


@route("GET", "/v1/tax_rates", params=listing(active=Bool(), inclusive=Bool()))
def list_tax_rates(ctx: Context, params: dict[str, Any]) -> Doc:
    """List tax rates"""
    return list_page(ctx, "tax_rate", params, {name: params.get(name) for name in ("active", "inclusive")})


@route("GET", "/v1/tax_rates/{id}")
def retrieve_tax_rate(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Retrieve a tax rate"""
    return objects.load(ctx, "tax_rate", id, param="tax_rate", in_path=True)


@route("POST", "/v1/tax_rates/{id}", params=UPDATE)
def update_tax_rate(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Update a tax rate; its percentage stays for ever"""
    rate = objects.load(ctx, "tax_rate", id, param="tax_rate", in_path=True)
    if "metadata" in params:
        params["metadata"] = merge_metadata(rate["metadata"], params["metadata"])
    return objects.update(ctx, rate, params, event="tax_rate.updated")


def named(ctx: Context, ids: list[str] | None, path: str) -> list[Doc]:
    """The rates as they are shown inside other objects. Raises for unknown and archived ones."""
    found = []
    for number, id in enumerate(ids or []):
        rate = objects.load(ctx, "tax_rate", id, param=f"{path}[{number}]")
        if not rate["active"]:
            raise ApiError(f"The tax rate {id} is not active and cannot be used.", param=f"{path}[{number}]")
        found.append(render(rate))
    return found
