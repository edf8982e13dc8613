"""Deferred work: rows with a due time, run in the order of that time, each by itself.

    @job("subscription.renew")
    def renew(ctx: Context, payload: Doc) -> None: ...

    schedule(ctx, "subscription.renew", due_at=…, name=subscription_id, payload={...})   # replaces one of the same name
    cancel(ctx, "subscription.renew", …, name=subscription_id)

In the handler `ctx.now` is the time the job was due, so that what it makes carries the right date however late it
runs. A job that raises is undone, kept with its error and tried again after a minute, then less and less often.
What is scheduled in the time of a test clock waits for that clock alone.
"""

import json
import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from sandbox import settings
from sandbox.context import Context, Scope
from sandbox.engine import Engine
from sandbox.errors import ApiError
from sandbox.json_text import dumps
from sandbox.kinds import Doc
from sandbox.store import Transaction

Handler = Callable[[Context, Doc], None]
HANDLERS: dict[str, Handler] = {}
BATCH, BATCH_IF_WANTED = 0.25, 0.01
"""Seconds for which jobs share a transaction: many are written at once, and no request waits long for its turn."""
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    id: int
    scope: str
    kind: str
    due_at: int
    payload: str
    attempts: int


def job(kind: str) -> Callable[[Handler], Handler]:
    def register(handler: Handler) -> Handler:
        HANDLERS[kind] = handler
        return handler

    return register


def schedule(ctx: Context, kind: str, *, due_at: int, payload: Doc, name: str = "", first: bool = False) -> None:
    """`name` is the object the job is about: there is at most one job of a kind with a name. `first` says that there
    is none yet, and saves looking for it. What was due before it is scheduled is due now: nothing happens in the past.
    """
    if name and not first:
        cancel(ctx, kind, name=name)
    ctx.tx.sql(
        "INSERT INTO jobs (scope, kind, name, due_at, payload, clock) VALUES (?,?,?,?,?,?)",
        ctx.scope, kind, name, max(due_at, ctx.now), dumps(payload), ctx.clock or "",
    )  # fmt: skip


def cancel(ctx: Context, *kinds: str, name: str) -> None:
    marks = ",".join("?" * len(kinds))
    ctx.tx.sql(f"DELETE FROM jobs WHERE scope=? AND kind IN ({marks}) AND name=?", ctx.scope, *kinds, name)  # noqa: S608


def run_due(engine: Engine) -> int:
    """Run what is due; the number of jobs run: none while time is being advanced, which does the same."""
    if not engine.one_at_a_time.acquire(blocking=False):
        return 0
    try:
        done = 0
        while batch := _run_batch(engine, engine.clock.now(), moving=False):
            done += batch.total()
        return done
    finally:
        engine.one_at_a_time.release()


def advance(engine: Engine, to: int) -> Counter[str]:
    """Move the sandbox's time to `to` (unix seconds) and run on the way what is due, each at its own time. How many of
    each kind were run. Raises ApiError for a time that has been."""
    with engine.one_at_a_time:
        begin = engine.clock.now()
        if to < begin:
            raise ApiError(f"Time only goes forward: it is {begin} already.", param="to")
        done: Counter[str] = Counter()
        engine.clock.stand_at(begin)
        try:
            while batch := _run_batch(engine, to, moving=True):
                done += batch
            _move(engine, to)
        finally:
            engine.clock.go_on()
            with engine.store.write() as tx:
                settings.write(tx, settings.CLOCK_OFFSET, engine.clock.offset)
        return done


def _run_batch(engine: Engine, until: int, *, moving: bool) -> Counter[str]:
    """Run jobs that are due until then, as many as BATCH has time for; what ran, by kind. To be able to undo one job
    costs more than most jobs do, so they are done without that first, and anew with it when one has raised."""
    begin = engine.clock.now()
    try:
        return _run_together(engine, until, moving=moving, guarded=False)
    except _Raised:
        if moving:
            engine.clock.stand_at(begin)
        return _run_together(engine, until, moving=moving, guarded=True)


class _Raised(Exception):
    """A job has raised, and everything that was done with it is undone."""


def _run_together(engine: Engine, until: int, *, moving: bool, guarded: bool) -> Counter[str]:
    done: Counter[str] = Counter()
    with engine.store.write() as tx:
        begun = time.monotonic()
        while (not done or _has_time(engine, begun)) and (found := _next(tx, "", until)):
            if moving:
                _move(engine, found.due_at)
            context = engine.context(tx, Scope.parse(found.scope), now=found.due_at)
            if guarded:
                _run_guarded(engine, context, found)
            else:
                _run_bare(context, found)
            done[found.kind] += 1
        if moving and done:
            settings.write(tx, settings.CLOCK_OFFSET, engine.clock.offset)
    return done


def _run_bare(ctx: Context, found: Job) -> None:
    try:
        _do(ctx, found)
    except Exception as error:
        raise _Raised from error


def _run_guarded(engine: Engine, ctx: Context, found: Job) -> None:
    error = _run(ctx, found)
    if error:
        _keep(ctx.tx, found, error, engine.clock.now() + 60 * 2 ** min(found.attempts, 10))


def _has_time(engine: Engine, begun: float) -> bool:
    return time.monotonic() - begun < (BATCH_IF_WANTED if engine.store.wanted else BATCH)


def _move(engine: Engine, to: int) -> None:
    engine.clock.stand_at(max(engine.clock.now(), to))


def run_clock(ctx: Context, clock: str, until: int, *, limit: int) -> tuple[int, str | None]:
    """Run jobs that wait for a test clock, each at its own time: how many ran, and the error of one that did not."""
    for number in range(limit):
        found = _next(ctx.tx, clock, until)
        if found is None:
            return number, None
        error = _run(replace(ctx, now=found.due_at, clock=clock, request_id=None, idempotency_key=None), found)
        if error:
            _keep(ctx.tx, found, error, found.due_at)
            return number, error
    return limit, None


def _next(tx: Transaction, clock: str, until: int) -> Job | None:
    row: tuple[Any, ...] | None = tx.sql(
        "SELECT id, scope, kind, due_at, payload, attempts FROM jobs WHERE clock=? AND due_at<=? "
        "ORDER BY due_at, id LIMIT 1",
        clock, until,
    ).fetchone()  # fmt: skip
    return Job(*row) if row else None


def _run(ctx: Context, found: Job) -> str | None:
    """Do it and forget it. When it raises nothing of it stays, and the error is returned."""
    ctx.tx.sql("SAVEPOINT job")
    try:
        _do(ctx, found)
    except Exception as error:
        log.exception("job %s of kind %s failed", found.id, found.kind)
        ctx.tx.sql("ROLLBACK TO job")
        return repr(error)
    finally:
        ctx.tx.sql("RELEASE job")
    return None


def _do(ctx: Context, found: Job) -> None:
    ctx.tx.sql("DELETE FROM jobs WHERE id=?", found.id)
    HANDLERS[found.kind](ctx, json.loads(found.payload))


def _keep(tx: Transaction, failed: Job, error: str, again: int) -> None:
    tx.sql("UPDATE jobs SET attempts=attempts+1, error=?, due_at=? WHERE id=?", error, again, failed.id)
