"""The sandbox's front page: its clock, who is in it, what happened last, and buttons that make things happen."""

import time
from dataclasses import asdict
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from sandbox import API_VERSION, faults, routes
from sandbox.billing.periods import months_later
from sandbox.context import Context
from sandbox.hosted import index_words as words
from sandbox.hosted.card_form import TEST_CARDS
from sandbox.hosted.index_clocks import test_clocks
from sandbox.hosted.index_customer import customer_panel, waiting_payments, what_comes
from sandbox.hosted.index_search import find
from sandbox.hosted.words import tools
from sandbox.kinds import Doc
from sandbox.pages import show
from sandbox.routes import PageRequest, page

COUNTED = ("customer", "subscription", "invoice", "payment_intent", "event")
NEWEST, MOST_WAITING = 12, 4
LATELY = 1000
"""Objects of all kinds among which the last events are looked for."""
STEPS = (("An hour", 3600), ("A day", 86400), ("A week", 7 * 86400))
KEPT = ("scope", "show", "q", "customer")
"""What of the address stays when a button was pressed."""
SCOPES = """
WITH RECURSIVE found(scope) AS (
  SELECT min(scope) FROM objects
  UNION ALL SELECT (SELECT min(scope) FROM objects WHERE scope > found.scope) FROM found WHERE found.scope IS NOT NULL)
SELECT scope FROM found WHERE scope IS NOT NULL LIMIT 50
"""


@page("GET", "/")
def show_index(ctx: Context, request: PageRequest) -> Response:
    """The front page; ?scope= chooses account and mode, ?customer= opens one, ?show= and ?q= choose the list"""
    asked = {name: str(value) for name, value in request.query.items()}
    scopes = [row[0] for row in ctx.tx.sql(SCOPES)]
    ctx.enter(_known(ctx, asked.get("scope", "")) or _busiest(ctx))
    asked["scope"] = ctx.scope
    customer = ctx.tx.get(ctx.scope, "customer", asked.get("customer", ""))
    return show(
        "index.html",
        **tools("en"),
        words=words,
        now=ctx.now,
        base_url=request.base_url,
        version=API_VERSION,
        scope=ctx.scope,
        scopes=[*scopes, *([] if ctx.scope in scopes else [ctx.scope])],
        told=asked.get("told"),
        problem=asked.get("problem"),
        back="/?" + urlencode({name: asked[name] for name in KEPT if asked.get(name)}),
        can=can,
        clock=_clock(ctx),
        counts=[(kind, ctx.tx.count(ctx.scope, kind)) for kind in COUNTED],
        test_clocks=test_clocks(ctx, NEWEST),
        people=_people(ctx, asked),
        panel=customer_panel(ctx, customer) if customer and not customer.get("deleted") else None,
        waiting=waiting_payments(ctx, MOST_WAITING),
        events=[_event(event) for event in _last_events(ctx)],
        endpoints=ctx.tx.page(ctx.scope, "webhook_endpoint", limit=NEWEST),
        deliveries=_deliveries(ctx),
        rules=[asdict(rule) for rule in faults.rules(ctx.tx)],
        unsupported=_unsupported(ctx),
        cards=TEST_CARDS,
    )


def can(method: str, path: str) -> bool:
    """Whether the sandbox answers there; a button without its route is not shown."""
    return routes.match(method, path) is not None


def _known(ctx: Context, scope: str) -> str | None:
    """The scope when it has something; there may be more of them than the page lists."""
    return scope if ctx.tx.sql("SELECT 1 FROM objects WHERE scope=? LIMIT 1", scope).fetchone() else None


def _busiest(ctx: Context) -> str:
    """The scope in which something happened last; the default account's when nothing has."""
    row = ctx.tx.sql("SELECT scope FROM objects ORDER BY seq DESC LIMIT 1").fetchone()
    return str(row[0]) if row else ctx.scope


def _clock(ctx: Context) -> dict[str, Any]:
    ahead = ctx.now - int(time.time())
    job = ctx.tx.sql(
        "SELECT due_at, kind FROM jobs WHERE clock='' AND due_at>? ORDER BY due_at LIMIT 1", ctx.now
    ).fetchone()
    steps = [(name, ctx.now + seconds) for name, seconds in STEPS]
    return {
        "ahead": ahead if abs(ahead) > 60 else 0,
        "steps": [*steps, ("A month", months_later(ctx.now, 1))],
        "next": {"at": job[0], "what": words.job(job[1])} if job else None,
    }


def _people(ctx: Context, asked: dict[str, str]) -> dict[str, Any]:
    kind = "subscription" if asked.get("show") == "subscriptions" else "customer"
    text = asked.get("q", "").strip()
    found = find(ctx, kind, text, asked.get("after", ""))
    rows = [_subscription_row(ctx, doc) if kind == "subscription" else _customer_row(ctx, doc) for doc in found.docs]
    more = {"scope": ctx.scope, "show": f"{kind}s", "q": text, "after": found.after}
    return {
        "kind": kind,
        "q": text,
        "rows": rows,
        "more": "/?" + urlencode({name: value for name, value in more.items() if value}) if found.after else None,
        "paged": bool(asked.get("after")),
    }


def _customer_row(ctx: Context, customer: Doc) -> dict[str, Any]:
    held = ctx.tx.page(ctx.scope, "subscription", {"customer": customer["id"]}, limit=3)
    return {"customer": customer, "subscriptions": [_subscription_row(ctx, one, customer) for one in held]}


def _subscription_row(ctx: Context, subscription: Doc, customer: Doc | None = None) -> dict[str, Any]:
    owner = customer or ctx.tx.get(ctx.scope, "customer", subscription["customer"]) or {}
    prices = [item["price"] for item in subscription["items"]["data"]]
    products = [ctx.tx.get(ctx.scope, "product", price["product"]) or {} for price in prices]
    return {
        "subscription": subscription,
        "customer": owner,
        "plan": ", ".join(product.get("name") or product.get("id", "") for product in products),
        "next": what_comes(ctx, subscription),
    }


def _last_events(ctx: Context) -> list[Doc]:
    """Those that were stored last, whatever their date: test clocks have dates of their own."""
    rows = ctx.tx.sql(
        "SELECT id FROM objects WHERE seq > (SELECT max(seq) FROM objects) - ? AND scope=? AND kind='event' "
        "ORDER BY seq DESC LIMIT ?",
        LATELY, ctx.scope, NEWEST,
    ).fetchall()  # fmt: skip
    events = [ctx.tx.get(ctx.scope, "event", id) for (id,) in rows]
    return [event for event in events if event] or ctx.tx.page(ctx.scope, "event", limit=NEWEST)


def _event(event: Doc) -> dict[str, Any]:
    about = event["data"]["object"]
    return {
        "type": event["type"],
        "at": event["created"],
        "about": about.get("id", ""),
        "id": event["id"],
        "clocked": bool(event.get("_clock")),
    }


def _deliveries(ctx: Context) -> list[dict[str, Any]]:
    rows = ctx.tx.sql(
        "SELECT id, event, endpoint, state, attempts FROM deliveries WHERE scope=? ORDER BY id DESC LIMIT ?",
        ctx.scope,
        NEWEST,
    ).fetchall()
    return [_delivery(ctx, *row) for row in rows]


def _delivery(ctx: Context, id: int, event: str, endpoint: str, state: str, attempts: int) -> dict[str, Any]:
    last = ctx.tx.sql("SELECT status, error, at FROM attempts WHERE delivery=? ORDER BY id DESC LIMIT 1", id).fetchone()
    sent, target = ctx.tx.get(ctx.scope, "event", event), ctx.tx.get_any(ctx.scope, endpoint)
    return {
        "id": id,
        "type": sent["type"] if sent else event,
        "url": (target or {}).get("url", endpoint),
        "state": state,
        "attempts": attempts,
        "answer": (last[0] or last[1]) if last else None,
        "faults": faults.marks_of(ctx.tx, id).get("effects", []),
    }


def _unsupported(ctx: Context) -> list[tuple[str, str, int]]:
    return ctx.tx.sql(
        "SELECT what, name, count FROM unsupported ORDER BY what DESC, count DESC, name LIMIT 40"
    ).fetchall()
