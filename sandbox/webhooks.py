"""Webhook delivery: which endpoints want an event, the signature, attempts and retries.

A delivery is a row: pending → delivered, failed (attempts used up) or canceled (endpoint gone or disabled); lost when
a fault was asked for that keeps it from being made.
Each attempt is a row too. Sources: Stripe docs, "Receive Stripe events in your webhook endpoint" (retries),
"Resolve webhook signature verification errors" (scheme).
"""

import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass

import httpx

from sandbox import eventbridge, faults
from sandbox.context import Context, Scope
from sandbox.documents import random_text, render
from sandbox.engine import Engine
from sandbox.kinds import Doc, kind

ENDPOINT = kind("webhook_endpoint", prefix="we", label="webhook endpoint", indexed=("status", "url"))
TEST_RETRY_DELAYS = (10, 600, 7200)
"""Seconds. Stripe retries three times over a few hours in test mode."""
TRICKLES = 10
"""The parts in which a slow delivery sends its body."""
USER_AGENT = "Stripe/1.0 (+https://stripe.com/docs/webhooks)"


@dataclass(frozen=True)
class Outcome:
    """What the receiver did: a status, or the error that kept it from answering."""

    status: int | None
    error: str | None
    duration_ms: int

    @property
    def delivered(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def new_secret() -> str:
    return "whsec_" + random_text(32)


def endpoints_for(ctx: Context, type: str) -> list[Doc]:
    """Addresses and buses that want events of this type."""
    receivers = ("webhook_endpoint", "event_destination")
    enabled = [doc for kind in receivers for doc in ctx.tx.listed(ctx.scope, kind, status="enabled")]
    return [endpoint for endpoint in enabled if {"*", type} & set(endpoint["enabled_events"])]


def queue(ctx: Context, event_id: str, endpoint_id: str) -> None:
    """One delivery, unless a fault was asked for."""
    for planned in faults.plan_deliveries(ctx, event_id, endpoint_id):
        made = ctx.tx.sql(
            "INSERT INTO deliveries (scope, event, endpoint, state, due_at) VALUES (?,?,?,?,?)",
            ctx.scope, event_id, endpoint_id, planned.state, planned.due_at,
        )  # fmt: skip
        if planned.marks:
            faults.mark(ctx, int(made.lastrowid or 0), planned.marks)


def signature(payload: bytes, secrets: list[str], timestamp: int) -> str:
    """`t=…,v1=…`, one v1 for each secret in force."""
    signed = f"{timestamp}.".encode() + payload
    marks = [hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest() for secret in secrets]
    return ",".join([f"t={timestamp}", *(f"v1={mark}" for mark in marks)])


@dataclass(frozen=True)
class Sending:
    """One attempt as plain values."""

    url: str
    body: bytes
    signature: str
    trickle: float
    """Seconds over which the body is sent."""


@dataclass(frozen=True)
class OnBus:
    """One attempt to put an event on a bus of EventBridge."""

    destination: Doc
    event: Doc


def deliver(engine: Engine, client: httpx.Client, delivery: int) -> None:
    """Make one attempt and write down what came of it. The network is called outside of any transaction."""
    sending = _prepare(engine, delivery)
    if sending is None:
        with engine.store.write() as tx:
            tx.sql("UPDATE deliveries SET state='canceled' WHERE id=? AND state='pending'", delivery)
        return
    outcome = _post(client, sending, engine.timeout) if isinstance(sending, Sending) else _put(sending)
    with engine.store.write() as tx:
        _record(engine, Context(tx, engine.clock.now(), Scope("", livemode=False), ""), delivery, outcome)


def _prepare(engine: Engine, delivery: int) -> "Sending | OnBus | None":
    with engine.store.read() as tx:
        row = tx.sql("SELECT scope, event, endpoint, attempts FROM deliveries WHERE id=?", delivery).fetchone()
        if row is None:
            return None
        event = tx.get(row[0], "event", row[1]) or tx.get(row[0], "v2.core.event", row[1])
        endpoint = tx.get(row[0], "webhook_endpoint", row[2]) or tx.get(row[0], "event_destination", row[2])
        marks = faults.marks_of(tx, delivery)
        told = _told(engine.context(tx, Scope.parse(row[0])), event, endpoint) if event and endpoint else {}
    if event is None or endpoint is None or endpoint.get("status") != "enabled":
        return None
    if endpoint["object"] == "event_destination":
        return OnBus(endpoint, dict(event.get("_notification") or render(event)))
    body = json.dumps(told, indent=2, ensure_ascii=False).encode()
    forged = row[3] < marks.get("wrong_attempts", 0)
    secrets = [new_secret()] if forged else _secrets(endpoint, engine.clock.now())
    signed = signature(body, secrets, engine.clock.wall())
    return Sending(endpoint["url"], body, signed, marks.get("trickle_seconds", 0.0))


def _told(ctx: Context, event: Doc, endpoint: Doc) -> Doc:
    """What an endpoint is sent: the event in the endpoint's version, or what a thin event keeps to be sent."""
    if "_notification" in event:
        return dict(event["_notification"])
    from sandbox import older_shapes  # which knows of prices, whose changes are events

    ctx.api_version = endpoint.get("api_version") or ctx.api_version
    return {**older_shapes.dressed(ctx, render(event)), "api_version": ctx.api_version}


def _secrets(endpoint: Doc, now: int) -> list[str]:
    """The newest first; an older one counts until it expires."""
    return [held["secret"] for held in endpoint["_secrets"] if held["expires_at"] is None or held["expires_at"] > now]


def _post(client: httpx.Client, sending: Sending, timeout: float) -> Outcome:
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "Content-Length": str(len(sending.body)),
        "Stripe-Signature": sending.signature,
        "User-Agent": USER_AGENT,
        "Accept": "*/*; q=0.5, application/xml",
        "Cache-Control": "no-cache",
    }
    begun = time.monotonic()
    status, error = None, None
    content = _trickle(sending.body, sending.trickle) if sending.trickle else sending.body
    try:
        status = client.post(sending.url, content=content, headers=headers, timeout=timeout).status_code
    except (httpx.HTTPError, httpx.InvalidURL) as failure:
        error = f"{type(failure).__name__}: {failure}"
    return Outcome(status, error, int((time.monotonic() - begun) * 1000))


def _put(sending: OnBus) -> Outcome:
    return Outcome(*eventbridge.put(sending.destination, sending.event))


def _trickle(body: bytes, seconds: float) -> Iterator[bytes]:
    size = -(-len(body) // TRICKLES)
    for start in range(0, len(body), size):
        time.sleep(seconds / TRICKLES)
        yield body[start : start + size]


def _record(engine: Engine, ctx: Context, delivery: int, outcome: Outcome) -> None:
    row = ctx.tx.sql("SELECT scope, event, attempts FROM deliveries WHERE id=?", delivery).fetchone()
    if row is None:
        return
    ctx.enter(row[0])
    attempts = row[2] + 1
    ctx.tx.sql(
        "INSERT INTO attempts (delivery, at, status, error, duration_ms) VALUES (?,?,?,?,?)",
        delivery, ctx.now, outcome.status, outcome.error, outcome.duration_ms,
    )  # fmt: skip
    state, due_at = _next_state(outcome, attempts, ctx.now, engine.retry_delays)
    ctx.tx.sql("UPDATE deliveries SET state=?, attempts=?, due_at=? WHERE id=?", state, attempts, due_at, delivery)
    faults.release_held(ctx.tx, delivery, ctx.now)
    if outcome.delivered:
        _count_down(ctx, row[1])


def _next_state(outcome: Outcome, attempts: int, now: int, delays: tuple[int, ...]) -> tuple[str, int]:
    if outcome.delivered:
        return "delivered", now
    if attempts > len(delays):
        return "failed", now
    return "pending", now + delays[attempts - 1]


def _count_down(ctx: Context, event_id: str) -> None:
    event = ctx.tx.get(ctx.scope, "event", event_id)
    if event is None:
        return
    open = ctx.tx.sql(
        "SELECT count(DISTINCT endpoint) FROM deliveries d WHERE event=? AND NOT EXISTS (SELECT 1 FROM deliveries o "
        "WHERE o.event=d.event AND o.endpoint=d.endpoint AND o.state='delivered')",
        event_id,
    ).fetchone()[0]
    ctx.tx.save(ctx.scope, event | {"pending_webhooks": open, "_delivered": open == 0})
