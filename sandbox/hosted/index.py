"""The sandbox's front page: what it is, what it holds, what happened last."""

import datetime
from typing import Any

from starlette.responses import Response

from sandbox import API_VERSION
from sandbox.context import Context
from sandbox.hosted.card_form import TEST_CARDS
from sandbox.hosted.words import tools
from sandbox.kinds import Doc
from sandbox.pages import show
from sandbox.routes import PageRequest, page

COUNTED = ("customer", "subscription", "invoice", "payment_intent", "checkout.session", "product", "price", "event")
NEWEST = 12
SCOPES = """
WITH RECURSIVE found(scope) AS (
  SELECT min(scope) FROM objects
  UNION ALL SELECT (SELECT min(scope) FROM objects WHERE scope > found.scope) FROM found WHERE found.scope IS NOT NULL)
SELECT scope FROM found WHERE scope IS NOT NULL LIMIT 50
"""


@page("GET", "/")
def show_index(ctx: Context, request: PageRequest) -> Response:
    """The front page; ?scope= chooses the account and mode"""
    scopes = [row[0] for row in ctx.tx.sql(SCOPES)]
    scope = str(request.query.get("scope", ""))
    scope = scope if scope in scopes else _busiest(ctx, scopes)
    ctx.enter(scope)
    return show(
        "index.html",
        **tools("en"),
        base_url=request.base_url,
        version=API_VERSION,
        now=_moment(ctx.now),
        scope=scope,
        scopes=scopes,
        counts=[(kind, ctx.tx.count(scope, kind)) for kind in COUNTED],
        events=[_event(event) for event in ctx.tx.page(scope, "event", limit=NEWEST)],
        sessions=ctx.tx.page(scope, "checkout.session", {"status": "open"}, limit=NEWEST),
        invoices=ctx.tx.page(scope, "invoice", {"status": "open"}, limit=NEWEST),
        endpoints=ctx.tx.page(scope, "webhook_endpoint", limit=NEWEST),
        deliveries=_deliveries(ctx, scope),
        unsupported=_unsupported(ctx),
        cards=TEST_CARDS,
    )


def _busiest(ctx: Context, scopes: list[str]) -> str:
    """The scope in which something happened last; the default account's when nothing has."""
    row = ctx.tx.sql("SELECT scope FROM objects ORDER BY seq DESC LIMIT 1").fetchone()
    return str(row[0]) if row and row[0] in scopes else ctx.scope


def _event(event: Doc) -> dict[str, Any]:
    about = event["data"]["object"]
    return {"type": event["type"], "at": _moment(event["created"]), "about": about.get("id", ""), "id": event["id"]}


def _moment(at: int) -> str:
    return datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _deliveries(ctx: Context, scope: str) -> list[dict[str, Any]]:
    rows = ctx.tx.sql(
        "SELECT id, event, endpoint, state, attempts FROM deliveries WHERE scope=? ORDER BY id DESC LIMIT ?",
        scope,
        NEWEST,
    ).fetchall()
    return [_delivery(ctx, scope, *row) for row in rows]


def _delivery(
    ctx: Context, scope: str, id: int, event: str, endpoint: str, state: str, attempts: int
) -> dict[str, Any]:
    last = ctx.tx.sql("SELECT status, error, at FROM attempts WHERE delivery=? ORDER BY id DESC LIMIT 1", id).fetchone()
    sent, target = ctx.tx.get(scope, "event", event), ctx.tx.get(scope, "webhook_endpoint", endpoint)
    return {
        "type": sent["type"] if sent else event,
        "url": (target or {}).get("url", endpoint),
        "state": state,
        "attempts": attempts,
        "answer": (last[0] or last[1]) if last else None,
    }


def _unsupported(ctx: Context) -> list[tuple[str, str, int]]:
    return ctx.tx.sql(
        "SELECT what, name, count FROM unsupported ORDER BY what DESC, count DESC, name LIMIT 40"
    ).fetchall()
