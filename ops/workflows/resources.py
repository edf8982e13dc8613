"""What a Task's Resource calls: an effect of the portal, an integration of Step Functions, any call of AWS's.

`arn:aws:states:local:000000000000:activity:NAME` is an effect; `arn:aws:states:::…` and functions are `integrations`.
"""

from datetime import datetime

from billing.stripe_accounts import UnknownAccount
from ops.effects.known import by_arn
from ops.effects.known import is_at_home as ends_here
from ops.effects.outcome import Done, Outcome, Refused, Retry
from ops.effects.registry import ARN, Call
from ops.rules.patterns import InvalidPattern
from ops.workflows import integrations
from ops.workflows.asl.written import written
from ops.workflows.made import Later, Made
from ops.workflows.waits import wanted as waits
from ops.workflows.waits.register import Waiter, foreign_token, wait_for


def is_at_home(resource: str) -> bool:
    """Whether a call ends inside this database: it is made at once, without a thread of its own."""
    if resource == waits.ARN or integrations.is_at_home(resource):
        return True
    effect = by_arn(resource)
    return effect is not None and ends_here(effect)


def make(made: Made, *, now: datetime) -> Outcome | Later:
    """Make a call. What raises is a mistake of ours: it is tried again, as after any trouble."""
    try:
        if made.resource == waits.ARN:
            return await_event(made, now=now)
        if made.resource.startswith(ARN):
            return call_effect(made, now=now)
        if integrations.knows(made.resource):
            return integrations.call(made, now=now)
    except Exception as error:
        return Retry(f"{type(error).__name__}: the call ended in an error that nobody expected.")
    return Refused(f"States.Runtime: nothing here calls {made.resource}.")


def await_event(made: Made, *, now: datetime) -> Outcome | Later:
    """Wait until an event comes that fits a pattern; the event is the result."""
    try:
        wanted = waits.read_wanted(made.arguments)
    except InvalidPattern as error:
        return Refused(f"InvalidPattern: {error}")
    except waits.InvalidWait as error:
        return Refused(f"InvalidInput: {error}")
    waiter = Waiter(
        made.call or None,
        foreign_token=foreign_token(made.task),
        event_id=made.event_id,
        started_at=made.started_at,
        until=made.until,
    )
    try:
        event = wait_for(wanted, waiter, now=now)
    except UnknownAccount as error:
        return Refused(f"UnknownAccount: {error}")
    return Later() if event is None else Done(event)


def call_effect(made: Made, *, now: datetime) -> Outcome | Later:
    effect = by_arn(made.resource)
    if effect is None:
        return Refused(f"States.Runtime: no effect is registered under {made.resource}.")
    call = Call(
        key=made.key,
        now=now,
        cause=made.machine,
        event_id=made.event_id,
        customer_id=made.customer_id,
        call_id=made.call,
        task_id=made.task,
        until=made.until,
        step=f"{made.key.rpartition(':')[0]}:{made.state}",
        depth=made.depth + 1,
    )
    return effect.call(written(made.arguments), call)
