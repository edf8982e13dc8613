"""The sandbox's own address space, `/_sandbox/…`: JSON in and out, no key. For tests and demos, not part of Stripe."""

import json
from collections import Counter
from typing import Any

from sandbox import API_VERSION, faults, jobs, keys, store, webhooks
from sandbox.context import Context
from sandbox.engine import Engine
from sandbox.errors import ApiError
from sandbox.kinds import Doc
from sandbox.params import Ignored
from sandbox.resources.webhook_endpoints import new_endpoint
from sandbox.routes import ROUTES, PageRequest, act, page
from sandbox.store import Transaction

FARTHEST = 10 * 366 * 24 * 3600
"""Seconds that one step may take the sandbox's time forward."""


@page("GET", "/_sandbox/health")
def health(ctx: Context, request: PageRequest) -> Doc:
    """Is it up, what time is it there?"""
    return {"status": "ok", "now": ctx.now, "api_version": API_VERSION}


@page("GET", "/_sandbox/unsupported")
def unsupported(ctx: Context, request: PageRequest) -> Doc:
    """What was asked for in vain: unknown addresses, and parameters that have no effect here."""
    rows = ctx.tx.sql("SELECT what, name, count, last_at FROM unsupported ORDER BY what, count DESC, name").fetchall()
    shown = [{"what": what, "name": name, "count": count, "last_at": last} for what, name, count, last in rows]
    return {
        "urls": [row for row in shown if row["what"] == "url"],
        "parameters": [row for row in shown if row["what"] == "parameter"],
    }


@page("GET", "/_sandbox/supported")
def supported(ctx: Context, request: PageRequest) -> Doc:
    """Every route of the API that is answered, with what it does and its parameters."""
    known = sorted(ROUTES, key=lambda known: (known.parts, known.method))
    return {
        "routes": [
            {
                "method": one.method,
                "path": one.path,
                "summary": (one.handler.__doc__ or "").strip().split("\n")[0],
                "publishable": one.publishable,
                "parameters": sorted(name for name, param in one.params.items() if not isinstance(param, Ignored)),
                "without_effect": sorted(name for name, param in one.params.items() if isinstance(param, Ignored)),
            }
            for one in known
        ]
    }


@page("GET", "/_sandbox/deliveries")
def deliveries(ctx: Context, request: PageRequest) -> Doc:
    """Webhook deliveries with their attempts, newest first; ?event=, ?endpoint=, ?state=, ?limit= narrow the list."""
    wanted = {name: request.query[name] for name in ("event", "endpoint", "state") if name in request.query}
    clauses = "".join(f" AND {name}=?" for name in wanted)
    rows = ctx.tx.sql(
        f"SELECT id, scope, event, endpoint, state, attempts, due_at FROM deliveries WHERE 1{clauses} "  # noqa: S608 (names from a fixed list)
        "ORDER BY id DESC LIMIT ?",
        *wanted.values(), int(request.query.get("limit", 100)),
    ).fetchall()  # fmt: skip
    return {"data": [_delivery(ctx, row) for row in rows]}


def _delivery(ctx: Context, row: tuple[Any, ...]) -> Doc:
    attempts = ctx.tx.sql("SELECT at, status, error, duration_ms FROM attempts WHERE delivery=? ORDER BY id", row[0])
    names = ("id", "scope", "event", "endpoint", "state", "attempts", "due_at")
    event = ctx.tx.get(row[1], "event", row[2])
    return dict(zip(names, row, strict=True)) | {
        "type": event["type"] if event else None,
        "faults": faults.marks_of(ctx.tx, row[0]).get("effects", []),
        "attempts": [
            {"at": at, "status": status, "error": error, "duration_ms": duration}
            for at, status, error, duration in attempts
        ],
    }


@page("POST", "/_sandbox/deliveries/redeliver")
def redeliver(ctx: Context, request: PageRequest) -> Doc:
    """Send again: {"event": "evt_…"} to every endpoint that wants it now, {"delivery": 7} or {"state": "failed"}."""
    if "event" in request.form:
        return {"queued": _redeliver_event(ctx, request.form["event"])}
    column = "id" if "delivery" in request.form else "state"
    value = request.form.get("delivery", request.form.get("state", "failed"))
    changed = ctx.tx.sql(f"UPDATE deliveries SET state='pending', due_at=? WHERE {column}=?", ctx.now, value)  # noqa: S608
    return {"queued": changed.rowcount}


def _redeliver_event(ctx: Context, id: str) -> int:
    scope = ctx.tx.locate("event", id)
    if scope is None:
        raise ApiError(f"No such event: '{id}'", status=404, param="event")
    ctx.enter(scope)
    event = ctx.tx.get(scope, "event", id) or {}
    endpoints = webhooks.endpoints_for(ctx, event["type"])
    for endpoint in endpoints:
        webhooks.queue(ctx, id, endpoint["id"])
    return len(endpoints)


@page("POST", "/_sandbox/webhook_endpoints")
def put_endpoint(ctx: Context, request: PageRequest) -> Doc:
    """An endpoint with a secret of one's choice: {"url", "secret", "enabled_events"?, "key"?}. The same url again
    replaces the secret, so that a start script may call this each time."""
    given = request.form
    for name in ("url", "secret"):
        if not given.get(name):
            raise ApiError(f"Missing required param: {name}.", code="parameter_missing", param=name)
    if "key" in given:
        ctx.enter(str(keys.identify(f"Bearer {given['key']}", ctx.tx).scope))
    events = given.get("enabled_events", ["*"])
    secrets = [{"secret": given["secret"], "expires_at": None}]
    for endpoint in ctx.tx.page(ctx.scope, "webhook_endpoint", {"url": given["url"]}, limit=1):
        known = endpoint | {"_secrets": secrets, "enabled_events": events, "status": "enabled"}
        ctx.tx.save(ctx.scope, known)
        return {"id": known["id"], "url": known["url"]}
    endpoint = new_endpoint(ctx, {"url": given["url"], "enabled_events": events}, given["secret"])
    return {"id": endpoint["id"], "url": endpoint["url"]}


@page("POST", "/_sandbox/webhook_endpoints/{id}/roll_secret")
def roll_secret(ctx: Context, request: PageRequest, id: str) -> Doc:
    """A new secret; the old one signs too for {"expires_in": seconds}, 0 by default."""
    scope = ctx.tx.locate("webhook_endpoint", id)
    endpoint = ctx.tx.get(scope, "webhook_endpoint", id) if scope else None
    if scope is None or endpoint is None or endpoint.get("deleted"):
        raise ApiError(f"No such webhook endpoint: '{id}'", status=404)
    until = ctx.now + int(request.form.get("expires_in", 0))
    new = {"secret": webhooks.new_secret(), "expires_at": None}
    old = [{"secret": held["secret"], "expires_at": until} for held in endpoint["_secrets"][:1]]
    ctx.tx.save(scope, endpoint | {"_secrets": [new, *old]})
    return {"id": id, "secret": new["secret"]}


@page("POST", "/_sandbox/keys")
def put_key(ctx: Context, request: PageRequest) -> Doc:
    """What a key may do: {"key", "permissions": {"customers": "read", "*": "none"}, "expired": false}."""
    key = request.form.get("key", "")
    if not keys.WELL_FORMED.fullmatch(key):
        raise ApiError("A key looks like rk_test_something.", param="key")
    permissions = json.dumps(request.form.get("permissions", {}))
    ctx.tx.sql("INSERT OR REPLACE INTO api_keys VALUES (?,?,?)", key, permissions, bool(request.form.get("expired")))
    return {"key": keys.masked(key), "permissions": json.loads(permissions)}


@act("POST", "/_sandbox/advance")
def advance(engine: Engine, request: PageRequest) -> Doc:
    """Let time pass: {"to": unix seconds}, {"by": seconds} or {"days": 30}. Everything that is due until then happens,
    in order, before this answers with the jobs and the events that there were. Test clocks stand still."""
    was = engine.clock.now()
    with engine.store.read() as tx:
        before = tx.sql("SELECT coalesce(max(seq), 0) FROM objects").fetchone()[0]
    ran = jobs.advance(engine, _target(request.form, was))
    with engine.store.read() as tx:
        told = _told_since(tx, before)
    engine.work.set()
    return {"was": was, "now": engine.clock.now(), "jobs": dict(sorted(ran.items())), "events": told}


def _told_since(tx: Transaction, before: int) -> dict[str, int]:
    """How many events of each type were stored after the row `before`."""
    told: Counter[str] = Counter()
    added = tx.sql("SELECT scope, min(created) FROM objects WHERE seq>? AND kind='event' GROUP BY scope", before)
    for scope, since in added.fetchall():
        type = ""
        while type := tx.sql(
            "SELECT min(value) FROM object_index WHERE scope=? AND kind='event' AND field='type' AND value>?",
            scope,
            type,
        ).fetchone()[0]:
            told[type] += tx.sql(
                "SELECT count(*) FROM object_index WHERE scope=? AND kind='event' AND field='type' AND value=? "
                "AND created>=? AND seq>?",
                scope, type, since, before,
            ).fetchone()[0]  # fmt: skip
    return {type: count for type, count in sorted(told.items()) if count}


def _target(form: Any, now: int) -> int:
    """Unix seconds. Raises ApiError for anything but one whole number."""
    units = {"to": 1, "by": 1, "days": 24 * 3600}
    given = [name for name in units if name in form]
    if len(given) != 1:
        raise ApiError('Say how far: {"to": unix seconds}, {"by": seconds} or {"days": days}.')
    [name] = given
    try:
        number = int(str(form[name]))
    except ValueError:
        raise ApiError(f"Invalid integer: {form[name]}", param=name) from None
    target = number if name == "to" else now + number * units[name]
    if not now <= target <= now + FARTHEST:
        raise ApiError(f"Time goes forward, up to ten years: it is {now} now.", param=name)
    return target


@act("POST", "/_sandbox/reset")
def reset(engine: Engine, request: PageRequest) -> Doc:
    """Forget everything, the time too."""
    with engine.one_at_a_time, engine.store.write() as tx:
        store.clear(tx)
        engine.clock.offset = 0
    return {"status": "empty"}
