"""What a state machine's role may do on AWS: just what its definition calls, on just what it names.

Step Functions docs, "IAM policies for integrated services": the actions of each integration. An activity needs none.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import botocore.session
from botocore.exceptions import UnknownServiceError

from ops.workflows.aws.moving import Task, tasks_of
from ops.workflows.aws.places import Place
from ops.workflows.integrations import BOTO, INTEGRATION, SERVICES, SYNC, TOKEN

Json = Any
Statement = dict[str, Any]
VERSION = "2012-10-17"
QUEUE_URL = re.compile(r"https?://(?P<host>[^/]+)/(?P<account>\d{12})/(?P<name>[\w.-]+)/?")
QUALIFIER = re.compile(r"(?<=:stateMachine:)([^:]+):[^:]+$")
REGION_OF_HOST = re.compile(r"sqs\.([a-z0-9-]+)\.")
# Services that IAM calls by another name than requests are signed with (service authorization reference).
PREFIXES = {"monitoring": "cloudwatch"}
# Calls that IAM allows under another name than the API's.
ACTIONS = {
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:ListObjects": "s3:ListBucket",
    "s3:HeadObject": "s3:GetObject",
    "s3:HeadBucket": "s3:ListBucket",
    "lambda:Invoke": "lambda:InvokeFunction",
}
# By IAM's prefix and the argument that names what is called: the resource. Where only a run tells the name, it is *.
RESOURCES = {
    ("ec2", "InstanceIds"): "arn:{p}:ec2:{r}:{a}:instance/{name}",
    ("cloudformation", "StackName"): "arn:{p}:cloudformation:{r}:{a}:stack/{name}/*",
    ("dynamodb", "TableName"): "arn:{p}:dynamodb:{r}:{a}:table/{name}",
    ("secretsmanager", "SecretId"): "arn:{p}:secretsmanager:{r}:{a}:secret:{name}*",
    ("logs", "LogGroupName"): "arn:{p}:logs:{r}:{a}:log-group:{name}:*",
    ("ssm", "Name"): "arn:{p}:ssm:{r}:{a}:parameter/{name}",
    ("lambda", "FunctionName"): "arn:{p}:lambda:{r}:{a}:function:{name}",
}
# EC2's questions know no resources: they are allowed for all or not at all.
WHOLE = ("ec2:Describe", "cloudformation:List", "s3:ListAllMyBuckets")
# Deliveries of logs know no resources either (Step Functions docs, "Using CloudWatch Logs to log execution history").
LOGGING = [
    "logs:CreateLogDelivery",
    "logs:CreateLogStream",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutLogEvents",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
]


class Unknown(LookupError):
    """The message says what calls something that nothing is known about."""


def policy_of(name: str, definition: Mapping[str, Json], place: Place) -> dict[str, Any]:
    """The policy of the role of a machine with this definition, as `move_of` gives it. Raises Unknown."""
    statements: list[Statement] = [{"Effect": "Allow", "Action": LOGGING, "Resource": "*"}]
    for task in tasks_of(definition):
        statements += statements_of(task, place)
    statements += list(of_distributed_maps(name, definition, place))
    return {"Version": VERSION, "Statement": merged(statements)}


def trust_of(place: Place) -> dict[str, Any]:
    """Who may take the role: Step Functions, for state machines of this place (AWS docs, "Confused deputy problem")."""
    condition = {
        "StringEquals": {"aws:SourceAccount": place.account},
        "ArnLike": {"aws:SourceArn": place.machine("*")},
    }
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "states.amazonaws.com"},
        "Action": "sts:AssumeRole",
        "Condition": condition,
    }
    return {"Version": VERSION, "Statement": [statement]}


def statements_of(task: Task, place: Place) -> Sequence[Statement]:
    if ":activity:" in task.resource:
        return []
    if not task.resource.startswith(INTEGRATION):
        if ":lambda:" in task.resource:
            return [allow("lambda:InvokeFunction", task.resource, f"{task.resource}:*")]
        raise Unknown(f"{task.path} calls {task.resource}: what its role must be allowed is not known.")
    name, how = parted(task.resource)
    special = SPECIAL.get(name)
    if special:
        return special(task, place, how)
    service, _, action = name.removeprefix("aws-sdk:").partition(":")
    return [of_call(task, place, service, action)]


def parted(resource: str) -> tuple[str, str]:
    """`sqs:sendMessage.waitForTaskToken` → what is called, and how its end is known."""
    name = resource.removeprefix(INTEGRATION)
    how = next((way for way in (TOKEN, *SYNC) if name.endswith(way)), "")
    return name.removesuffix(how), how


def allow(action: str | list[str], *resources: str, **more: Any) -> Statement:
    return {"Effect": "Allow", "Action": action, "Resource": sorted(set(resources)), **more}


def of_call(task: Task, place: Place, service: str, action: str) -> Statement:
    """What one call of AWS's API needs."""
    prefix, operation = permission_of(SERVICES.get(service, service), action, task)
    allowed = ACTIONS.get(f"{prefix}:{operation}", f"{prefix}:{operation}")
    if allowed.startswith(WHOLE):
        return allow(allowed, "*")
    return allow(allowed, *resources_of(task, place, prefix, allowed))


def permission_of(service: str, action: str, task: Task) -> tuple[str, str]:
    """IAM's prefix of a service and the name of the operation; both are AWS's own, as boto knows them."""
    try:
        prefix, operations = known_service(BOTO.get(service, service))
    except UnknownServiceError:
        raise Unknown(f"{task.path} calls {service}, which is no service that is known here.")
    operation = next((name for name in operations if name.lower() == action.lower()), None)
    if operation is None:
        raise Unknown(f"{task.path} calls {service}:{action}, which AWS does not have.")
    return prefix, operation


@lru_cache(maxsize=64)
def known_service(service: str) -> tuple[str, tuple[str, ...]]:
    model = botocore.session.get_session().get_service_model(service)
    signing = str(model.signing_name)
    return PREFIXES.get(signing, signing), tuple(model.operation_names)


def resources_of(task: Task, place: Place, prefix: str, allowed: str) -> list[str]:
    """The resources that an AWS call names: those that stand in the definition, or any of their kind."""
    if prefix == "s3":
        bucket = task.literal("Bucket") or "*"
        return [f"arn:{place.partition}:s3:::{bucket}" + ("" if allowed == "s3:ListBucket" else "/*")]
    for argument, arn in (("QueueUrl", queue_arn), ("TopicArn", plain), ("StateMachineArn", plain)):
        if argument in task.given or f"{argument}.$" in task.given:
            return [arn(task.literal(argument), place, prefix)]
    for (service, argument), form in RESOURCES.items():
        if service == prefix and (argument in task.given or f"{argument}.$" in task.given):
            return [filled(form, name, place) for name in names_in(task, argument)]
    return ["*"]


def names_in(task: Task, argument: str) -> list[str]:
    """The names that an argument holds; * where a run tells them."""
    value = task.given.get(argument)
    names = value if isinstance(value, list) else [value]
    literal = [name for name in names if isinstance(name, str) and not name.startswith("{%")]
    return literal if value is not None and len(literal) == len(names) else ["*"]


def filled(form: str, name: str, place: Place) -> str:
    if name.startswith("arn:"):
        return name
    return (
        form.replace("{p}", place.partition)
        .replace("{r}", place.region)
        .replace("{a}", place.account)
        .replace("{name}", name)
    )


def queue_arn(url: str | None, place: Place, _prefix: str = "") -> str:
    found = QUEUE_URL.fullmatch(url or "")
    if not found:
        return f"arn:{place.partition}:sqs:{place.region}:{place.account}:*"
    region = REGION_OF_HOST.search(found["host"])
    return f"arn:{place.partition}:sqs:{region[1] if region else place.region}:{found['account']}:{found['name']}"


def plain(arn: str | None, place: Place, prefix: str) -> str:
    return arn or f"arn:{place.partition}:{prefix}:{place.region}:{place.account}:*"


def put_events(task: Task, place: Place, _how: str) -> list[Statement]:
    entries = task.given.get("Entries")
    known = [bus_of(entry) for entry in entries] if isinstance(entries, list) else [None]
    buses = [name if name is not None else "*" for name in known] or ["default"]
    form = f"arn:{place.partition}:events:{place.region}:{place.account}:event-bus/"
    return [allow("events:PutEvents", *(name if name.startswith("arn:") else form + name for name in buses))]


def bus_of(entry: Json) -> str | None:
    """The bus of an entry of putEvents; None where a run tells it."""
    if not isinstance(entry, dict) or "EventBusName.$" in entry:
        return None
    name = entry.get("EventBusName", "default")
    return name if isinstance(name, str) and not name.startswith("{%") else None


def invoke_function(task: Task, place: Place, _how: str) -> list[Statement]:
    function = task.literal("FunctionName") or "*"
    arn = function if function.startswith("arn:") else filled(RESOURCES["lambda", "FunctionName"], function, place)
    return [allow("lambda:InvokeFunction", arn, f"{arn}:*")]


def start_execution(task: Task, place: Place, how: str) -> list[Statement]:
    """With .sync Step Functions looks at the execution, stops it, and is told of its end by a rule of its own."""
    machine = task.literal("StateMachineArn") or place.machine("*")
    unqualified = QUALIFIER.sub(r"\1", machine)  # AWS docs, "Authorization for versions and aliases"
    statements = [allow("states:StartExecution", unqualified)]
    if how.startswith(".sync"):
        executions = unqualified.replace(":stateMachine:", ":execution:") + ":*"
        statements.append(allow(["states:DescribeExecution", "states:StopExecution"], executions))
        rule = f"arn:{place.partition}:events:{place.region}:{place.account}:rule/"
        watching = ["events:DescribeRule", "events:PutRule", "events:PutTargets"]
        statements.append(allow(watching, rule + "StepFunctionsGetEventsForStepFunctionsExecutionRule"))
    return statements


def invoke_http(task: Task, place: Place, _how: str) -> list[Statement]:
    """The endpoint and its method are conditions, credentials a connection's (docs, "Call HTTPS APIs")."""
    authentication = task.given.get("Authentication")
    connection = authentication.get("ConnectionArn") if isinstance(authentication, dict) else None
    named = isinstance(connection, str) and connection.startswith(("arn:", "${"))
    conditions: dict[str, Any] = {}
    for key, argument in (("states:HTTPEndpoint", "ApiEndpoint"), ("states:HTTPMethod", "Method")):
        if literal := task.literal(argument):
            conditions[key] = literal
    condition = {"Condition": {"StringEquals": conditions}} if conditions else {}
    secrets = f"arn:{place.partition}:secretsmanager:{place.region}:{place.account}:secret:events!connection/*"
    return [
        allow("states:InvokeHTTPEndpoint", place.machine("*"), **condition),
        allow("events:RetrieveConnectionCredentials", str(connection) if named else place.connection("*")),
        allow(["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"], secrets),
    ]


SPECIAL: dict[str, Callable[[Task, Place, str], Sequence[Statement]]] = {
    "events:putEvents": put_events,
    "lambda:invoke": invoke_function,
    "states:startExecution": start_execution,
    "http:invoke": invoke_http,
}


def of_distributed_maps(name: str, definition: Mapping[str, Json], place: Place) -> Iterator[Statement]:
    """A distributed Map starts its machine again for its items (docs, "IAM policies for using Distributed Map")."""
    if '"DISTRIBUTED"' not in json.dumps(definition):
        return
    yield allow("states:StartExecution", place.machine(name))
    executions = place.states("execution", f"{name}:*"), place.states("execution", f"{name}/*:*")
    yield allow(["states:DescribeExecution", "states:StopExecution"], *executions)


def merged(statements: Sequence[Statement]) -> list[Statement]:
    """Statements of the same action and condition as one, so that the same definition always gives the same policy."""
    found: dict[str, Statement] = {}
    for statement in statements:
        key = json.dumps([statement["Action"], statement.get("Condition")])
        if key in found and found[key]["Resource"] != "*":
            found[key]["Resource"] = sorted({*found[key]["Resource"], *statement["Resource"]})
        else:
            found.setdefault(key, dict(statement))
    return list(found.values())
