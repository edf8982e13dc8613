"""What a subscription will do by itself next: its planned steps are done as if their time had come.

Only inside a savepoint that is rolled back. What comes is found by the code that will do it: the phases of a schedule,
discounts that end before, trials, cancellations, usage.
"""

import json
from dataclasses import replace

from sandbox import jobs, objects
from sandbox.context import Context
from sandbox.kinds import Doc

KINDS = ("discount.end", "schedule.step", "subscription.pending_update", "subscription.step")
MOST_STEPS = 100


def next_invoice(ctx: Context, subscription: Doc | None, schedule: str | None = None) -> Doc | None:
    """The next invoice that a subscription gets, or that the one gets with which a `schedule` (id) begins; None when it
    ends, pauses or waits before that."""
    latest = subscription["latest_invoice"] if subscription else None
    for _ in range(MOST_STEPS):
        schedule = (subscription or {}).get("schedule") or schedule
        if not _step(ctx, _names(ctx, subscription, schedule)):
            return None
        subscription = _again(ctx, subscription, schedule)
        made = objects.find(ctx, "invoice", (subscription or {}).get("latest_invoice"))
        if made and made["id"] != latest:
            return made
    return None


def _names(ctx: Context, subscription: Doc | None, schedule: str | None) -> list[str]:
    """Of what the steps are planned: the subscription, its schedule, its discounts."""
    if subscription is None:
        return [schedule] if schedule else []
    customer = objects.load(ctx, "customer", subscription["customer"])
    held = [*subscription["discounts"], *([customer["discount"]["id"]] if customer["discount"] else [])]
    held += [id for item in subscription["items"]["data"] for id in item["discounts"]]
    return [subscription["id"], *held, *([schedule] if schedule else [])]


def _step(ctx: Context, names: list[str]) -> bool:
    """Do the first of the steps that are planned at its time; False when there is none."""
    marks = ",".join("?" * len(names)), ",".join("?" * len(KINDS))
    row = ctx.tx.sql(
        f"SELECT id, kind, due_at, payload FROM jobs WHERE scope=? AND name IN ({marks[0]}) "  # noqa: S608
        f"AND kind IN ({marks[1]}) ORDER BY due_at, id LIMIT 1",
        ctx.scope, *names, *KINDS,
    ).fetchone()  # fmt: skip
    if row is None:
        return False
    id, kind, due_at, payload = row
    ctx.tx.sql("DELETE FROM jobs WHERE id=?", id)
    jobs.HANDLERS[kind](replace(ctx, now=max(due_at, ctx.now)), json.loads(payload))
    return True


def _again(ctx: Context, subscription: Doc | None, schedule: str | None) -> Doc | None:
    """The subscription after a step, which may have been its birth."""
    if subscription:
        return objects.load(ctx, "subscription", subscription["id"])
    held = objects.find(ctx, "subscription_schedule", schedule)
    return objects.find(ctx, "subscription", (held or {}).get("subscription"))
