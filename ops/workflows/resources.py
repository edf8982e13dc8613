"""What a Task's Resource calls: an effect of the portal, an integration of Step Functions, any call of AWS's.

`arn:aws:states:local:000000000000:activity:NAME` is an effect; `arn:aws:states:::sqs:sendMessage` and the like are the
optimised integrations; `arn:aws:states:::aws-sdk:ec2:stopInstances` is any call of boto3's.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError
from django.conf import settings

from ops.effects import access, aws, email, instances, local, provisions, stacks, stripe
from ops.effects.outcome import Done, Outcome, Refused, Retry
from ops.effects.registry import ARN, Call, by_arn
from ops.rules.patterns import InvalidPattern
from ops.workflows.asl.written import written
from ops.workflows.waits import wanted as waits
from ops.workflows.waits.register import Waiter, wait_for

Json = Any
# Importing a module of effects registers them.
REGISTERED = (access, email, instances, local, provisions, stacks, stripe)
AT_HOME = frozenset(module.__name__ for module in (access, local, provisions))
INTEGRATION = "arn:aws:states:::"
WAYS = (".waitForTaskToken", ".sync:2", ".sync")


@dataclass(frozen=True, slots=True)
class Made:
    """A call as it is made: what, with what, under which key, and what it goes back to."""

    key: str
    machine: str
    state: str
    resource: str
    arguments: Json
    event_id: str = ""
    customer_id: str = ""
    depth: int = 0
    call: int = 0  # the row's id
    started_at: datetime | None = None  # the execution
    until: datetime | None = None  # the Task's time-out


@dataclass(frozen=True, slots=True)
class Later:
    """The call has begun something that will answer it: nothing is to be done for it until then."""


def is_at_home(resource: str) -> bool:
    """Whether a call ends inside this database: it is made at once, without a thread of its own."""
    if resource == waits.ARN:
        return True
    effect = by_arn(resource)
    return effect is not None and effect.run.__module__ in AT_HOME


def make(made: Made, *, now: datetime) -> Outcome | Later:
    """Make a call. What raises is a mistake of ours: it is tried again, as after any trouble."""
    try:
        if made.resource == waits.ARN:
            return await_event(made, now=now)
        if made.resource.startswith(ARN):
            return call_effect(made, now=now)
        if made.resource.startswith(INTEGRATION):
            return call_integration(made)
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
    waiter = Waiter(made.call, event_id=made.event_id, started_at=made.started_at, until=made.until)
    event = wait_for(wanted, waiter, now=now)
    return Later() if event is None else Done(event)


def call_effect(made: Made, *, now: datetime) -> Outcome:
    effect = by_arn(made.resource)
    if effect is None:
        return Refused(f"States.Runtime: no effect is registered under {made.resource}.")
    call = Call(
        key=made.key,
        now=now,
        cause=made.machine,
        event_id=made.event_id,
        customer_id=made.customer_id,
        step=f"{made.key.rpartition(':')[0]}:{made.state}",
        depth=made.depth + 1,
    )
    return effect.call(written(made.arguments), call)


def call_integration(made: Made) -> Outcome:
    name = made.resource.removeprefix(INTEGRATION)
    for way in WAYS:
        name = name.removesuffix(way)
    special = INTEGRATIONS.get(name)
    if special:
        return special(made)
    if name.startswith("aws-sdk:"):
        service, _, action = name.removeprefix("aws-sdk:").partition(":")
        return call_aws(service, action, made.arguments)
    service, _, action = name.partition(":")
    return call_aws(SERVICES.get(service, service), action, made.arguments)


SERVICES = {"states": "sfn"}
BOTO = {
    "sfn": "stepfunctions",
    "cloudwatchlogs": "logs",
    "eventbridge": "events",
    "cognitoidentityprovider": "cognito-idp",
}


def call_aws(service: str, action: str, arguments: Json) -> Outcome:
    """Call AWS as `aws-sdk` integrations do: arguments and results in the API's own names, errors as Service.Code."""
    try:
        client = aws.client(BOTO.get(service, service), settings.AWS_REGION)
        method = getattr(client, snake_case(action))
    except (AttributeError, BotoCoreError):
        return Refused(f"States.Runtime: AWS has no call {service}:{action} that is known here.")
    try:
        answer = method(**(arguments or {}))
    except aws.AwsTrouble as error:
        return with_service(service, aws.outcome_of(error))
    return Done(jsonable({name: value for name, value in answer.items() if name != "ResponseMetadata"}))


def snake_case(action: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])|(?<=[A-Z])([A-Z])(?=[a-z])", r"_\1\2", action).lower()


def with_service(service: str, outcome: Outcome) -> Outcome:
    """Errors are told under the service's name, as Step Functions tells them: Ec2.IncorrectInstanceState."""
    if isinstance(outcome, Refused):
        return Refused(f"{service.capitalize()}.{outcome.error}")
    return outcome


def jsonable(value: Json) -> Json:
    """An answer of boto3's as JSON: moments as texts."""
    return json.loads(json.dumps(value, default=lambda odd: odd.isoformat() if hasattr(odd, "isoformat") else str(odd)))


def send_message(made: Made) -> Outcome:
    """`sqs:sendMessage` takes a body that need not be a text."""
    return call_aws("sqs", "sendMessage", with_text(made.arguments, "MessageBody"))


def publish(made: Made) -> Outcome:
    return call_aws("sns", "publish", with_text(made.arguments, "Message"))


def with_text(arguments: Json, name: str) -> Json:
    """Arguments of which one, that AWS takes as a text, may be any JSON."""
    given = arguments or {}
    return {**given, name: text_of(given[name])} if name in given else given


def text_of(value: Json) -> str:
    return value if isinstance(value, str) else written(value)


def put_events(made: Made) -> Outcome:
    entries = [
        {
            **entry,
            "Detail": entry["Detail"] if isinstance(entry.get("Detail"), str) else written(entry.get("Detail", {})),
        }
        for entry in (made.arguments or {}).get("Entries", [])
    ]
    return call_aws("events", "putEvents", {"Entries": entries})


INTEGRATIONS: dict[str, Callable[[Made], Outcome]] = {
    "sqs:sendMessage": send_message,
    "sns:publish": publish,
    "events:putEvents": put_events,
}
