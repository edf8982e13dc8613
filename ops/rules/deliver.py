"""Calls that are due are made: leased, called with no transaction open, recorded.

Killed between the call and its record, the same call is made again with the same key. What fails is tried again with
growing waits, until it is too old or was tried too often (EventBridge's RetryPolicy); then, or refused for good, it
is a dead letter: a row that stays until somebody redrives it.
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db import connections, transaction

from billing.unusual_json import storable
from ops import metrics
from ops.effects.outcome import Done, Outcome, Refused, Retry
from ops.rules.dead import publish_dead_letter
from ops.rules.due import Claimed, claim
from ops.rules.models import Delivery, DeliveryState
from ops.rules.targets.kinds import AT_HOME, CALLS

log = structlog.get_logger(__name__)

OF_EACH = 4  # calls of one resource at a time: one that hangs, or three, leave room for the others
LOOK_SECONDS = 0.5  # between looks for what has become due, while calls are under way
FIRST_WAIT = timedelta(seconds=5)
# EventBridge tries for a day, 185 times (AWS docs, "Retrying event delivery"): nearly eight minutes on average.
LONGEST_WAIT = timedelta(minutes=8)

Clock = Callable[[], datetime]
Finished = tuple[Claimed, Outcome]


def deliver_due(clock: Clock, *, budget_seconds: float, at_once: int | None = None) -> int:
    """Make due calls until none is left or the budget is used up; return how many were made. Any number may run.

    Must not be called in a transaction.
    """
    end = time.monotonic() + budget_seconds
    at_once = at_once or settings.RULES_CALLS_AT_ONCE
    made = 0
    under_way: dict[Future[Outcome], Claimed] = {}
    with ThreadPoolExecutor(at_once, thread_name_prefix="target") as threads:
        while True:
            if time.monotonic() < end:
                taken = claim(limit=at_once - len(under_way), of_each=OF_EACH, busy=busy(under_way), now=clock())
                made += len(taken)
                record([(each, answer(each)) for each in taken if each.call.kind in AT_HOME], now=clock())
                away = [each for each in taken if each.call.kind not in AT_HOME]
                under_way |= {threads.submit(answer_apart, each): each for each in away}
                if taken and len(under_way) < at_once:
                    continue
            if not under_way:
                return made
            done, _ = wait(under_way, timeout=LOOK_SECONDS, return_when=FIRST_COMPLETED)
            record([(under_way.pop(future), future.result()) for future in done], now=clock())


def busy(under_way: dict["Future[Outcome]", Claimed]) -> list[str]:
    """Resources that have as many calls under way as they may."""
    counted = Counter(each.call.arn for each in under_way.values())
    return [arn for arn, count in counted.items() if count >= OF_EACH]


def answer(claimed: Claimed) -> Outcome:
    """Make one call. A target that raises is a mistake of ours: it is tried again, as after any trouble."""
    call = CALLS.get(claimed.call.kind)
    if call is None:
        return Refused(f"NoSuchTarget: nothing here calls targets of kind {claimed.call.kind}.")
    try:
        with metrics.call_seconds.labels(kind=claimed.call.kind).time():
            return call(claimed.call)
    except Exception as error:
        log.exception("rules:target-raised", key=claimed.call.key, kind=claimed.call.kind)
        return Retry(f"{type(error).__name__}: the call ended in an error that nobody expected; the log has it.")


def answer_apart(claimed: Claimed) -> Outcome:
    """Make one call in a thread of its own, and leave no database connection behind in it."""
    try:
        return answer(claimed)
    finally:
        connections.close_all()


def record(finished: Sequence[Finished], *, now: datetime) -> None:
    """Write what came of calls, with the news of those that were given up."""
    if not finished:
        return
    with transaction.atomic():
        for claimed, outcome in sorted(finished, key=lambda pair: pair[0].pk):
            record_one(claimed, outcome, now=now)


def record_one(claimed: Claimed, outcome: Outcome, *, now: datetime) -> None:
    tried = not (isinstance(outcome, Retry) and not outcome.tried)
    attempts = claimed.attempts + tried
    if isinstance(outcome, Done):
        # Whoever holds the lease by now: it was done.
        done = Delivery.objects.filter(pk=claimed.pk).exclude(state=DeliveryState.DONE)
        done.update(
            state=DeliveryState.DONE,
            attempts=attempts,
            result=storable(outcome.result),
            error="",
            due_at=None,
            claimed_until=None,
            finished_at=now,
        )
        tell(claimed, "done")
        return
    ours = Delivery.objects.filter(pk=claimed.pk, state=DeliveryState.DUE, claimed_until=claimed.until)
    due_at, error = next_try(claimed, outcome, attempts=attempts, now=now), storable(outcome.error)
    if due_at is not None:
        ours.update(attempts=attempts, error=error, due_at=due_at, claimed_until=None)
        tell(claimed, "retry" if tried else "waiting", error=error)
    elif ours.update(
        state=DeliveryState.DEAD,
        attempts=attempts,
        error=error,
        due_at=None,
        claimed_until=None,
        finished_at=now,
    ):
        tell(claimed, "dead", error=error)
        publish_dead_letter(
            rule=claimed.call.rule_name,
            target=claimed.call.target_name,
            arn=claimed.call.arn,
            event_id=claimed.call.event_id,
            customer_id=claimed.call.customer_id,
            error=error,
            attempts=attempts,
            key=claimed.call.key,
            depth=claimed.call.depth,
            now=now,
        )


def next_try(claimed: Claimed, outcome: Outcome, *, attempts: int, now: datetime) -> datetime | None:
    """Return when to try again; None when it is given up: refused for good, tried too often, or too old by then."""
    if not isinstance(outcome, Retry) or attempts > claimed.max_retries:
        return None
    due_at = now + wait_after(attempts, asked=outcome.after)
    return due_at if due_at <= claimed.give_up_at else None


def wait_after(attempts: int, *, asked: timedelta | None) -> timedelta:
    """Exponential, with jitter: those that failed together do not come back together. At least what was asked for."""
    wait = min(FIRST_WAIT * 2.0 ** min(max(attempts - 1, 0), 20), LONGEST_WAIT)
    return max(wait * random.uniform(0.5, 1.0), asked or timedelta())  # noqa: S311 - not a secret


def tell(claimed: Claimed, outcome: str, *, error: str = "") -> None:
    call = claimed.call
    metrics.delivered.labels(kind=call.kind, outcome=outcome).inc()
    say = log.info if outcome == "done" else log.warning
    say(
        "rules:called",
        rule=call.rule_name,
        target=call.target_name,
        event_id=call.event_id,
        outcome=outcome,
        error=error,
    )
