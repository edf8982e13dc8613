"""Deferred work: rows with a due time, run in the order of that time, each in a transaction of its own.

    @job("subscription.renew")
    def renew(ctx: Context, payload: Doc) -> None: ...

    schedule(ctx, "subscription.renew", due_at=…, name=subscription_id, payload={...})   # replaces one of the same name
    cancel(ctx, "subscription.renew", name=subscription_id)

In the handler `ctx.now` is the time the job was due, so that what it makes carries the right date however late it
runs. A job that raises is kept with its error and tried again after a minute, then less and less often.
"""

import json
import logging
from collections.abc import Callable

from sandbox.context import Context, Scope
from sandbox.engine import Engine
from sandbox.kinds import Doc
from sandbox.store import dumps

Handler = Callable[[Context, Doc], None]
HANDLERS: dict[str, Handler] = {}
log = logging.getLogger(__name__)


def job(kind: str) -> Callable[[Handler], Handler]:
    def register(handler: Handler) -> Handler:
        HANDLERS[kind] = handler
        return handler

    return register


def schedule(ctx: Context, kind: str, *, due_at: int, payload: Doc, name: str = "") -> None:
    """`name` is the object the job is about: there is at most one job of a kind with a name."""
    if name:
        cancel(ctx, kind, name=name)
    ctx.tx.sql(
        "INSERT INTO jobs (scope, kind, name, due_at, payload) VALUES (?,?,?,?,?)",
        ctx.scope, kind, name, due_at, dumps(payload),
    )  # fmt: skip


def cancel(ctx: Context, kind: str, *, name: str) -> None:
    ctx.tx.sql("DELETE FROM jobs WHERE scope=? AND kind=? AND name=?", ctx.scope, kind, name)


def run_due(engine: Engine) -> int:
    """Run what is due; the number of jobs run."""
    done = 0
    while _run_next(engine):
        done += 1
    return done


def _run_next(engine: Engine) -> bool:
    with engine.store.read() as tx:
        row = tx.sql(
            "SELECT id, scope, kind, due_at, payload, attempts FROM jobs WHERE due_at<=? ORDER BY due_at, id LIMIT 1",
            engine.clock.now(),
        ).fetchone()
    if row is None:
        return False
    id, scope, kind, due_at, payload, attempts = row
    try:
        with engine.store.write() as tx:
            if not tx.sql("DELETE FROM jobs WHERE id=?", id).rowcount:
                return True
            HANDLERS[kind](engine.context(tx, Scope.parse(scope), now=due_at), json.loads(payload))
    except Exception as error:
        log.exception("job %s of kind %s failed", id, kind)
        with engine.store.write() as tx:
            tx.sql(
                "UPDATE jobs SET attempts=attempts+1, error=?, due_at=? WHERE id=?",
                repr(error), engine.clock.now() + 60 * 2 ** min(attempts, 10), id,
            )  # fmt: skip
    return True
