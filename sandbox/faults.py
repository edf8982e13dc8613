"""Trouble on demand: webhooks that come twice, late, in the wrong order, never; an API that refuses or hangs.

A rule says what goes wrong, for whom, and how often (`rate`, `count`). Whether the n-th thing that a rule looks at is
struck depends on the rule's seed and n alone: the same seed gives the same trouble to the same sequence. Deliveries
are drawn when they are queued, in the order of events; calls when they arrive.
Sources: Stripe docs, "Receive Stripe events in your webhook endpoint" (duplicates, no order), "Rate limits",
"Advanced error handling" (Stripe-Should-Retry).
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

from sandbox.context import Context
from sandbox.json_text import dumps
from sandbox.kinds import Doc
from sandbox.store import Transaction


class Effect(StrEnum):
    DUPLICATE = "duplicate"
    """The delivery is made `copies` times."""
    DELAYED = "delayed"
    """It is made `seconds` later."""
    REORDERED = "reordered"
    """It is held until a later one to the same endpoint has been made, or for `seconds` at most."""
    LOST = "lost"
    """It is never made."""
    SLOW = "slow"
    """Its body trickles in over `seconds`."""
    WRONG_SIGNATURE = "wrong_signature"
    """Its first `attempts` are signed with a secret that nobody has."""
    RATE_LIMIT = "rate_limit"
    """The call is answered with 429."""
    SERVER_ERROR = "server_error"
    """The call is answered with 500; with `when` = "after" what it asked for has been done all the same."""
    TIMEOUT = "timeout"
    """No answer for `seconds`, then 504; `when` as above."""
    LATENCY = "latency"
    """The right answer, `seconds` late."""


OF_DELIVERIES = (
    Effect.DUPLICATE, Effect.DELAYED, Effect.REORDERED, Effect.LOST, Effect.SLOW, Effect.WRONG_SIGNATURE,
)  # fmt: skip
SECONDS = {
    Effect.DELAYED: 60.0, Effect.REORDERED: 10.0, Effect.SLOW: 3.0, Effect.TIMEOUT: 90.0, Effect.LATENCY: 1.0,
}  # fmt: skip
"""What a rule without `seconds` means. The official libraries wait 80 seconds for an answer."""


@dataclass(frozen=True)
class Rule:
    """`seen` things were looked at so far, `struck` of them went wrong. None in a filter fits everything."""

    id: int
    effect: Effect
    scope: str | None = None
    endpoint: str | None = None
    """Id or address of an endpoint."""
    types: tuple[str, ...] = ()
    """Patterns of event types."""
    method: str | None = None
    path: str = "*"
    """Pattern of addresses of the API."""
    rate: float = 1.0
    count: int | None = None
    after: int = 0
    """So many are let pass first."""
    seed: int = 0
    seconds: float = 0.0
    copies: int = 2
    attempts: int = 1
    when: str = "before"
    seen: int = 0
    struck: int = 0

    @property
    def strikes(self) -> bool:
        """Whether the next thing is struck. Pure."""
        if self.seen < self.after or (self.count is not None and self.struck >= self.count):
            return False
        return chance(self.seed, self.effect, self.seen) < self.rate


def chance(seed: int, effect: str, number: int) -> float:
    """A number in [0, 1) that these three decide."""
    digest = hashlib.sha256(f"{seed}:{effect}:{number}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def rules(tx: Transaction) -> list[Rule]:
    """Oldest first."""
    found = tx.sql("SELECT id, effect, spec, seen, struck FROM faults ORDER BY id").fetchall()
    return [_rule(*row) for row in found]


def _rule(id: int, effect: str, spec: str, seen: int, struck: int) -> Rule:
    fields = json.loads(spec)
    fields["types"] = tuple(fields.get("types", ()))
    return Rule(id=id, effect=Effect(effect), seen=seen, struck=struck, **fields)


def add(tx: Transaction, effect: Effect, spec: Doc) -> Rule:
    """`spec` has the fields of Rule that differ from their defaults."""
    spec = {"seconds": SECONDS.get(effect, 0.0)} | spec
    id = tx.sql("INSERT INTO faults (effect, spec) VALUES (?,?)", effect.value, dumps(spec)).lastrowid
    return _rule(int(id or 0), effect.value, dumps(spec), 0, 0)


def draw(tx: Transaction, looked_at: Sequence[Rule]) -> list[Rule]:
    """Those of the rules that strike this time. Counts in the same transaction."""
    struck = []
    for rule in looked_at:
        hit = rule.strikes
        tx.sql("UPDATE faults SET seen=seen+1, struck=struck+? WHERE id=?", int(hit), rule.id)
        if hit:
            struck.append(rule)
    return struck


@dataclass(frozen=True)
class Planned:
    """One row to deliver: when, or never, and what happens to its attempts."""

    state: str
    due_at: int
    marks: Doc


def plan_deliveries(ctx: Context, event: str, endpoint: str) -> list[Planned]:
    """What becomes of one event on its way to one endpoint: one row as a rule, more or a lost one when it is struck."""
    known = [rule for rule in rules(ctx.tx) if rule.effect in OF_DELIVERIES]
    if not known:
        return [Planned("pending", ctx.sandbox_now, {})]
    struck = draw(ctx.tx, [rule for rule in known if _concerns(ctx, rule, event, endpoint)])
    return planned(struck, ctx.sandbox_now)


def planned(struck: Sequence[Rule], now: int) -> list[Planned]:
    """Several rules may strike one delivery; a lost one is lost whatever else was meant for it. Pure."""
    effects = {rule.effect: rule for rule in struck}
    if Effect.LOST in effects:
        return [Planned("lost", now, {"effects": ["lost"]})]
    wait = max((rule.seconds for rule in struck if rule.effect in (Effect.DELAYED, Effect.REORDERED)), default=0.0)
    marks: Doc = {"effects": sorted(effect.value for effect in effects)} if effects else {}
    if wrong := effects.get(Effect.WRONG_SIGNATURE):
        marks["wrong_attempts"] = wrong.attempts
    if slow := effects.get(Effect.SLOW):
        marks["trickle_seconds"] = slow.seconds
    twice = effects.get(Effect.DUPLICATE)
    return [Planned("pending", now + round(wait), marks)] * (twice.copies if twice else 1)


def _concerns(ctx: Context, rule: Rule, event: str, endpoint: str) -> bool:
    if rule.scope not in (None, ctx.scope):
        return False
    if rule.endpoint not in (None, endpoint) and rule.endpoint != _address(ctx, endpoint):
        return False
    if not rule.types:
        return True
    type = (ctx.tx.get(ctx.scope, "event", event) or {}).get("type", "")
    return any(fnmatchcase(type, pattern) for pattern in rule.types)


def _address(ctx: Context, endpoint: str) -> str | None:
    return (ctx.tx.get_any(ctx.scope, endpoint) or {}).get("url")


def mark(ctx: Context, delivery: int, marks: Doc) -> None:
    ctx.tx.sql("INSERT INTO delivery_faults VALUES (?,?)", delivery, dumps(marks))


def marks_of(tx: Transaction, delivery: int) -> Doc:
    """`effects`, `wrong_attempts`, `trickle_seconds`; empty for a delivery that nothing was done to."""
    row = tx.sql("SELECT marks FROM delivery_faults WHERE delivery=?", delivery).fetchone()
    marks: Doc = json.loads(row[0]) if row else {}
    return marks


def release_held(tx: Transaction, delivery: int, now: int) -> None:
    """A later delivery was made: what was held back so as to come after it may go."""
    tx.sql(
        "UPDATE deliveries SET due_at=? WHERE state='pending' AND attempts=0 AND due_at>? AND id<? "
        "AND endpoint=(SELECT endpoint FROM deliveries WHERE id=?) AND id IN "
        "(SELECT delivery FROM delivery_faults WHERE marks LIKE '%\"reordered\"%')",
        now, now, delivery, delivery,
    )  # fmt: skip


def for_call(tx: Transaction, scope: str, method: str, path: str) -> list[Rule]:
    """The rules that look at this call of the API."""
    return [rule for rule in rules(tx) if rule.effect not in OF_DELIVERIES and _looks_at(rule, scope, method, path)]


def _looks_at(rule: Rule, scope: str, method: str, path: str) -> bool:
    return rule.scope in (None, scope) and rule.method in (None, method) and fnmatchcase(path, rule.path)
