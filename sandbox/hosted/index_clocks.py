"""Test clocks on the front page: their time, who lives in it, what comes next there, and buttons that advance it."""

from typing import Any

from sandbox import clocks, jobs, objects
from sandbox.billing.periods import months_later
from sandbox.context import Context, Scope
from sandbox.engine import Engine
from sandbox.errors import ApiError
from sandbox.hosted import index_words as words
from sandbox.kinds import Doc
from sandbox.resources.test_clocks import advance_test_clock
from sandbox.routes import PageRequest, act

STEPS = (("A day", 86400), ("A week", 7 * 86400))


def test_clocks(ctx: Context, limit: int) -> list[dict[str, Any]]:
    """The newest, each with its customers and with how far its buttons go."""
    return [_shown(ctx, clock) for clock in ctx.tx.page(ctx.scope, clocks.CLOCK, limit=limit)]


def _shown(ctx: Context, clock: Doc) -> dict[str, Any]:
    now = clock["frozen_time"]
    job = ctx.tx.sql("SELECT due_at, kind FROM jobs WHERE clock=? ORDER BY due_at LIMIT 1", clock["id"]).fetchone()
    return {
        "clock": clock,
        "customers": ctx.tx.page(ctx.scope, "customer", {"test_clock": clock["id"]}),
        "steps": [*((name, now + seconds) for name, seconds in STEPS), ("A month", months_later(now, 1))],
        "next": {"at": max(job[0], now + 1), "what": words.job(job[1])} if job else None,
    }


@act("POST", "/_sandbox/test_clocks/{id}/advance")
def advance(engine: Engine, request: PageRequest, id: str) -> Doc:
    """Advance a test clock to {"to": unix seconds}, and answer when it is there, with the events on the way."""
    with engine.store.write() as tx:
        scope = tx.locate(clocks.CLOCK, id)
        if scope is None:
            raise ApiError(f"No such test clock: '{id}'", status=404, param="id")
        last = tx.sql("SELECT max(seq) FROM objects").fetchone()[0]
        advance_test_clock(engine.context(tx, Scope.parse(scope)), {"frozen_time": _target(request)}, id)
    jobs.run_due(engine)
    with engine.store.read() as tx:
        clock = objects.load(engine.context(tx, Scope.parse(scope)), clocks.CLOCK, id)
        told = tx.sql(
            "SELECT json_extract(o.body, '$.type'), count(*) FROM object_index i JOIN objects o ON o.seq=i.seq WHERE "
            "i.scope=? AND i.kind='event' AND i.field='_clock' AND i.value=? AND i.seq>? GROUP BY 1 ORDER BY 1",
            scope, id, last,
        ).fetchall()  # fmt: skip
    engine.work.set()
    return {"now": clock["frozen_time"], "status": clock["status"], "name": clock["name"], "events": dict(told)}


def _target(request: PageRequest) -> int:
    given = str(request.form.get("to", ""))
    if not given.isdecimal():
        raise ApiError('Say how far: {"to": unix seconds}.', param="to")
    return int(given)
