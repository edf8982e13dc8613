"""List answers: cursor pages of 1 to 100, newest first.

@route("GET", "/v1/prices", params=listing(product=Str(), active=Bool()))
def list_prices(ctx, params): return list_page(ctx, "price", params, {"product": params.get("product"), …})
"""

from collections.abc import Mapping
from typing import Any

from sandbox import clocks
from sandbox.context import Context
from sandbox.errors import ApiError, no_such
from sandbox.kinds import KINDS, Doc
from sandbox.params import RANGE, Int, Param, Str

OWNERS = ("customer", "test_clock", "subscription", "_subscription", "invoice", "payment_intent", "charge", "schedule")
"""Who asks for what belongs to one of these is shown what lives in the time of a test clock too."""
PAGE_PARAMS: dict[str, Param] = {
    "limit": Int(min=1, max=100),
    "starting_after": Str(),
    "ending_before": Str(),
}


def paging(**more: Param) -> dict[str, Param]:
    """The parameters of a list that cannot be narrowed by date, with its own filters."""
    return PAGE_PARAMS | more


def listing(**more: Param) -> dict[str, Param]:
    """The parameters of a list, with its own filters."""
    return PAGE_PARAMS | {"created": RANGE} | more


def list_page(
    ctx: Context,
    kind: str,
    params: Mapping[str, Any],
    filters: Mapping[str, Any] | None = None,
    *,
    url: str = "",
) -> Doc:
    """One page. `filters` are indexed fields; None means not filtered. Raises for a cursor that does not exist."""
    after, before = params.get("starting_after"), params.get("ending_before")
    if after and before:
        raise ApiError("You may only specify one of these parameters: starting_after, ending_before.")
    limit = params.get("limit", 10)
    docs = ctx.tx.page(
        ctx.scope,
        kind,
        filters,
        created=created_range(params.get("created")),
        after=_place(ctx, kind, after, "starting_after"),
        before=_place(ctx, kind, before, "ending_before"),
        limit=limit + 1,
        timeless=_hides_clocks(ctx, kind, filters or {}),
    )
    has_more = len(docs) > limit
    if has_more:
        docs = docs[1:] if before else docs[:limit]
    return list_object(docs, url=url or f"/v1/{kind}s", has_more=has_more)


def _hides_clocks(ctx: Context, kind: str, filters: Mapping[str, Any]) -> bool:
    """Source: API reference, "List all subscriptions" (test_clock)."""
    owned = any(filters.get(name) is not None for name in OWNERS)
    return kind != "event" and not owned and clocks.exist(ctx)


def list_object(docs: list[Doc], *, url: str, has_more: bool = False, **more: Any) -> Doc:
    """A list as a value, also for lists inside objects (`items`, `lines`, `refunds`)."""
    return {"object": "list", "data": docs, "has_more": has_more, "url": url, **more}


def created_range(given: Any) -> dict[str, int]:
    if given is None:
        return {}
    return {"gte": given, "lte": given} if isinstance(given, int) else given


def _place(ctx: Context, kind: str, id: str | None, param: str) -> Any:
    if not id:
        return None
    place = ctx.tx.cursor(ctx.scope, kind, id)
    if place is None:
        raise no_such(KINDS[kind].label, id, param=param)
    return place
