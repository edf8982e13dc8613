"""Integrations of Step Functions: the optimised ones, functions, and any call of AWS's.

`arn:aws:states:::sqs:sendMessage` and the like are the optimised integrations, in the shapes of Step Functions docs,
"Integrating optimized services"; `arn:aws:states:::aws-sdk:ec2:stopInstances` is any call of boto3's.
"""

import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError
from django.conf import settings

from ops.effects import aws, http
from ops.effects.outcome import Done, Outcome, Refused
from ops.workflows import children
from ops.workflows.asl.written import written
from ops.workflows.machines import ARN as MACHINE
from ops.workflows.made import Later, Made

Json = Any
INTEGRATION = "arn:aws:states:::"
FUNCTION = re.compile(r"arn:[\w-]+:lambda:[\w-]*:\w*:function:.+")
START = "states:startExecution"
MOST_OBJECTS = 100_000  # of a bucket, for one Map
TOKEN, SYNC = ".waitForTaskToken", (".sync:2", ".sync")


def knows(resource: str) -> bool:
    """Whether a resource is an integration of Step Functions, or a function."""
    return resource.startswith(INTEGRATION) or FUNCTION.fullmatch(resource) is not None


def is_at_home(resource: str) -> bool:
    """Whether a call may end inside this database. A machine on AWS is refused, or asked without a thread."""
    return resource.startswith(f"{INTEGRATION}{START}")


def call(made: Made, *, now: datetime) -> Outcome | Later:
    """Call an integration by its resource name, with arguments as Step Functions takes them."""
    if not made.resource.startswith(INTEGRATION):
        return with_payload_alone(invoke(made.resource, {"Payload": made.arguments}))
    name = made.resource.removeprefix(INTEGRATION).removesuffix(TOKEN)
    plain = next((name.removesuffix(way) for way in SYNC if name.endswith(way)), name)
    if plain == START:
        return start_execution(made, waits=plain != name, now=now)
    if plain != name:
        return Refused(
            f"States.Runtime: nothing here waits for {plain} to be done. Call it without .sync, and wait for its "
            "event with the activity await-event."
        )
    if plain == "http:invoke":
        return http.invoke(made.arguments, key=made.key, now=now)
    special = INTEGRATIONS.get(plain)
    if special:
        return special(made.arguments or {})
    service, _, action = plain.removeprefix("aws-sdk:").partition(":")
    return call_aws(SERVICES.get(service, service), action, made.arguments)


def start_execution(made: Made, *, waits: bool, now: datetime) -> Outcome | Later:
    """A machine of this portal is started here; one on AWS there, where it is not waited for."""
    named = str((made.arguments or {}).get("StateMachineArn", ""))
    if named.startswith(MACHINE):
        return children.start_execution(made, now=now)
    if waits:
        return Refused(
            f"States.Runtime: {named or 'the state machine'} is on AWS, and nothing here waits for its executions. "
            "Start it without .sync, and wait for its event (source aws.states) with the activity await-event."
        )
    return call_aws("sfn", "startExecution", made.arguments)


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
    """An answer of boto3's as JSON."""
    return json.loads(json.dumps(value, default=as_text))


def as_text(odd: Any) -> str:
    """What JSON has no form for: moments, and bodies that are streams or bytes."""
    if hasattr(odd, "isoformat"):
        return str(odd.isoformat())
    if hasattr(odd, "read"):
        odd = odd.read()
    return odd.decode(errors="replace") if isinstance(odd, bytes) else str(odd)


def send_message(arguments: Json) -> Outcome:
    """`sqs:sendMessage` takes a body that need not be a text."""
    return call_aws("sqs", "sendMessage", with_text(arguments, "MessageBody"))


def publish(arguments: Json) -> Outcome:
    return call_aws("sns", "publish", with_text(arguments, "Message"))


def with_text(arguments: Json, name: str) -> Json:
    """Arguments of which one, that AWS takes as a text, may be any JSON."""
    return {**arguments, name: text_of(arguments[name])} if name in arguments else arguments


def text_of(value: Json) -> str:
    return value if isinstance(value, str) else written(value)


def put_events(arguments: Json) -> Outcome:
    """`events:putEvents` fails as a whole where an entry was not taken (docs, "Add EventBridge events")."""
    entries = [with_text({"Detail": {}, **entry}, "Detail") for entry in arguments.get("Entries", [])]
    outcome = call_aws("events", "putEvents", {**arguments, "Entries": entries})
    if isinstance(outcome, Done) and outcome.result.get("FailedEntryCount"):
        return Refused(f"EventBridge.FailedEntry: {written(outcome.result)}")
    return outcome


def invoke_function(arguments: Json) -> Outcome:
    return invoke(str(arguments.get("FunctionName", "")), arguments)


def invoke(function: str, arguments: Json) -> Outcome:
    """`lambda:invoke`: the payload as JSON both ways; what the function raised is the error (docs, "Invoke Lambda")."""
    payload = arguments.get("Payload")
    given = {**arguments, "FunctionName": function, "Payload": text_of({} if payload is None else payload).encode()}
    outcome = call_aws("lambda", "invoke", given)
    if not isinstance(outcome, Done):
        return outcome
    told = outcome.result
    result = parsed(told.pop("Payload", ""))
    if told.pop("FunctionError", None):
        name = result.get("errorType", "Lambda.Unknown") if isinstance(result, dict) else "Lambda.Unknown"
        return Refused(f"{name}: {written(result)}")
    return Done({**told, "Payload": result})


def with_payload_alone(outcome: Outcome) -> Outcome:
    """A function that is a Task's resource itself: its result is what it returned."""
    return Done(outcome.result["Payload"]) if isinstance(outcome, Done) else outcome


def parsed(text: str) -> Json:
    try:
        return json.loads(text) if text else None
    except ValueError:
        return text


def list_objects(arguments: Json) -> Outcome:
    """`s3:listObjectsV2` of an ItemReader: every page of it."""
    contents: list[Json] = []
    more: Json = {}
    while True:
        outcome = call_aws("s3", "listObjectsV2", {**arguments, **more})
        if not isinstance(outcome, Done):
            return outcome
        contents += outcome.result.get("Contents", [])
        if not outcome.result.get("IsTruncated") or len(contents) >= MOST_OBJECTS:
            return Done({"Contents": contents, "KeyCount": len(contents)})
        more = {"ContinuationToken": outcome.result["NextContinuationToken"]}


INTEGRATIONS: dict[str, Callable[[Json], Outcome]] = {
    "sqs:sendMessage": send_message,
    "sns:publish": publish,
    "events:putEvents": put_events,
    "lambda:invoke": invoke_function,
    "s3:listObjectsV2": list_objects,
}
