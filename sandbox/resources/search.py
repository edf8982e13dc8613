"""Search: GET /v1/customers/search and its like. What was written a moment ago is found at once.

Source: Stripe docs, "Search" (query fields, pages, `total_count`).
"""

import base64
import binascii
from typing import Any

from sandbox.billing import items
from sandbox.context import Context
from sandbox.errors import ApiError
from sandbox.kinds import KINDS, Doc
from sandbox.params import Int, Param, Str
from sandbox.routes import Handler, route
from sandbox.searching import Type, parse

CARD = tuple(
    f"payment_method_details.{source}.{name}"
    for source in ("card", "card_present", "interac_present")
    for name in ("brand", "exp_month", "exp_year", "fingerprint", "last4")
)


def _type(kind: str, name: str) -> Type:
    """An invoice's status is a string, every other one a token."""
    if name in STRINGS or (kind, name) == ("invoice", "status"):
        return Type.STRING
    return Type.NUMERIC if name in NUMERIC else Type.TOKEN


NAMES: dict[str, tuple[str, ...]] = {
    "charge": ("amount", "billing_details.address.postal_code", "created", "currency", "customer", "disputed",
               "metadata", "refunded", "status", *CARD),
    "customer": ("created", "email", "metadata", "name", "phone"),
    "invoice": ("created", "currency", "customer", "last_finalization_error_code", "last_finalization_error_type",
                "metadata", "number", "receipt_number", "status", "subscription", "total"),
    "payment_intent": ("amount", "created", "currency", "customer", "metadata", "status"),
    "price": ("active", "currency", "lookup_key", "metadata", "product", "type"),
    "product": ("active", "description", "metadata", "name", "shippable", "url"),
    "subscription": ("canceled_at", "created", "metadata", "status"),
}  # fmt: skip
"""What each kind can be searched by. Source: Stripe docs, "Query fields for each resource"."""
STRINGS = (
    "description", "email", "lookup_key", "name", "number", "phone", "product", "receipt_number", "subscription", "url",
)  # fmt: skip
NUMERIC = ("amount", "canceled_at", "created", "total")
FIELDS = {kind: {name: _type(kind, name) for name in names} for kind, names in NAMES.items()}
PARAMS: dict[str, Param] = {"query": Str(required=True), "limit": Int(min=1, max=100), "page": Str()}


def _search(kind: str) -> Handler:
    def search(ctx: Context, params: dict[str, Any]) -> Doc:
        query = parse(params["query"], FIELDS[kind], f"{kind}s")
        condition, values = query.sql()
        entry = query.entry(kind, KINDS[kind].indexed)
        begin, limit = _offset(params.get("page")), params.get("limit", 10)
        found = ctx.tx.matching(ctx.scope, kind, condition, values, entry=entry, limit=limit + 1, offset=begin)
        more = len(found) > limit
        return {
            "object": "search_result",
            "data": [_as_shown(ctx, doc) for doc in found[:limit]],
            "has_more": more,
            "next_page": base64.b64encode(str(begin + limit).encode()).decode() if more else None,
            "url": f"/v1/{kind}s/search",
            "_total_count": lambda: ctx.tx.count_matching(ctx.scope, kind, condition, values, entry=entry),
        }

    search.__doc__ = f"Search {kind.replace('_', ' ')}s"
    return search


def _as_shown(ctx: Context, doc: Doc) -> Doc:
    return items.refreshed(ctx, doc) if doc["object"] == "subscription" else doc


def _offset(page: str | None) -> int:
    if page is None:
        return 0
    try:
        return max(int(base64.b64decode(page, validate=True)), 0)
    except (binascii.Error, ValueError):
        raise ApiError(f"Invalid page: {page}", param="page") from None


for _kind in FIELDS:
    route("GET", f"/v1/{_kind}s/search", params=PARAMS)(_search(_kind))
