"""Step Functions as its API tells of itself, for what moto does not do: redrives, Map Runs, refusals, time-outs.

A real client of botocore whose requests are checked against the service's model and answered before they go out; so
are the answers. `Played.asked` is what it was asked.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import Mock

import boto3
from botocore.exceptions import ClientError, ConnectTimeoutError
from botocore.validate import validate_parameters

from ops.effects import aws as aws_calls
from ops.workflows.aws.models import DeployedMachine
from tests.aws import CREDENTIALS
from tests.ops.workflows.aws.here import HERE

BEGAN = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)


class Refusal(Exception):
    """AWS refuses: its code, its sentence, and the HTTP status."""

    def __init__(self, code: str, said: str = "No.", status: int = 400) -> None:
        self.code, self.said, self.status = code, said, status


class TimedOut(Exception):
    """AWS does not answer in time."""


class Played:
    """Answers by the name of the operation: a value, an exception, or a function of the request's parameters."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.states = boto3.client("stepfunctions", config=aws_calls.CONFIG, **CREDENTIALS)
        self.states.meta.events.register("before-call.stepfunctions", self.answer)
        self.states.meta.events.register("before-call.sfn", self.answer)

    def answer(self, model: Any, params: dict[str, Any], **_more: Any) -> Any:
        given = json.loads(params["body"])
        self.asked.append((model.name, given))
        answer = self.answers[model.name]
        try:
            said = answer(given) if callable(answer) else answer
            if isinstance(said, Exception):
                raise said
        except Refusal as refusal:
            told = {"Error": {"Code": refusal.code, "Message": refusal.said}}
            return Mock(status_code=refusal.status), told | {"ResponseMetadata": {"HTTPStatusCode": refusal.status}}
        except TimedOut:
            raise ConnectTimeoutError(endpoint_url="https://states.us-east-1.amazonaws.com")
        validate_parameters(said, model.output_shape)
        return Mock(status_code=200), {**said, "ResponseMetadata": {"HTTPStatusCode": 200}}

    def names(self) -> list[str]:
        return [name for name, _ in self.asked]


class Stage(Played):
    """Some executions with their histories, told as AWS tells them; what is added is answered from then on."""

    def __init__(self) -> None:
        super().__init__()
        self.runs: dict[str, dict[str, Any]] = {}  # executions, by their ARNs
        self.events: dict[str, list[dict[str, Any]]] = {}
        self.definition = {"StartAt": "Pay", "States": {"Pay": {"Type": "Succeed"}}}
        self.answers |= {
            "ListExecutions": self.list_executions,
            "GetExecutionHistory": self.get_history,
            "DescribeExecution": self.describe,
            "DescribeStateMachineForExecution": self.describe_machine,
        }

    def add(self, machine: str, name: str, *, map_run: str = "", **more: Any) -> str:
        arn = HERE.machine(machine).replace(":stateMachine:", ":execution:") + f":{name}"
        if map_run:
            arn = map_run.replace(":mapRun:", ":execution:").rpartition(":")[0] + f":{name}"
        self.runs[arn] = {
            "executionArn": arn,
            "stateMachineArn": HERE.machine(machine),
            "name": name,
            "status": "RUNNING",
            "startDate": BEGAN,
            "redriveCount": 0,
            **({"mapRunArn": map_run} if map_run else {}),
            **more,
        }
        self.events[arn] = []
        return arn

    def tell(self, arn: str, type_: str, **details: Any) -> None:
        events = self.events[arn]
        number = len(events) + 1
        key = details.pop("key", None)
        event = {"id": number, "previousEventId": number - 1, "type": type_}
        event["timestamp"] = BEGAN + timedelta(seconds=number)
        events.append({**event, **({key: details} if key else {})})

    def begin(self, arn: str, state: str = "Pay", given: str = "{}") -> None:
        self.tell(arn, "ExecutionStarted", key="executionStartedEventDetails", input=given)
        self.tell(arn, "TaskStateEntered", key="stateEnteredEventDetails", name=state, input=given)

    def fail(self, arn: str, error: str = "Stripe.card_declined") -> None:
        self.tell(arn, "TaskScheduled", key="taskScheduledEventDetails", **SCHEDULED)
        self.tell(arn, "TaskFailed", key="taskFailedEventDetails", resourceType="sqs", resource="x", error=error)
        self.tell(arn, "ExecutionFailed", key="executionFailedEventDetails", error=error, cause="It was declined.")
        self.runs[arn] |= {"status": "FAILED", "stopDate": self.events[arn][-1]["timestamp"]}

    def redrive(self, arn: str) -> None:
        count = self.runs[arn]["redriveCount"] + 1
        self.tell(arn, "ExecutionRedriven", key="executionRedrivenEventDetails", redriveCount=count)
        at = self.events[arn][-1]["timestamp"]
        self.runs[arn] |= {"status": "RUNNING", "redriveCount": count, "redriveDate": at}
        self.runs[arn].pop("stopDate", None)
        self.tell(arn, "TaskScheduled", key="taskScheduledEventDetails", **SCHEDULED)

    def succeed(self, arn: str, state: str = "Pay") -> None:
        self.tell(
            arn, "TaskSucceeded", key="taskSucceededEventDetails", resourceType="sqs", resource="x", output='"paid"'
        )
        self.tell(arn, "TaskStateExited", key="stateExitedEventDetails", name=state, output='"paid"')
        self.tell(arn, "ExecutionSucceeded", key="executionSucceededEventDetails", output='"paid"')
        self.runs[arn] |= {"status": "SUCCEEDED", "stopDate": self.events[arn][-1]["timestamp"]}

    def list_executions(self, given: dict[str, Any]) -> dict[str, Any]:
        kind = given.get("statusFilter")
        by = "mapRunArn" if "mapRunArn" in given else "stateMachineArn"
        found = [
            run
            for run in self.runs.values()
            if run.get(by) == given[by] and bool(run.get("mapRunArn")) == (by == "mapRunArn")
        ]
        found = [run for run in found if kind in (None, run["status"])]
        found.sort(key=lambda run: run["startDate"], reverse=True)
        start, size = int(given.get("nextToken", 0)), given["maxResults"]
        page = [{key: value for key, value in run.items() if key in LISTED} for run in found[start : start + size]]
        more = {"nextToken": str(start + size)} if start + size < len(found) else {}
        return {"executions": page, **more}

    def get_history(self, given: dict[str, Any]) -> dict[str, Any]:
        if given["executionArn"] not in self.events:
            raise Refusal("ExecutionDoesNotExist", "Execution Does Not Exist")
        return {"events": list(reversed(self.events[given["executionArn"]]))}

    def describe(self, given: dict[str, Any]) -> dict[str, Any]:
        run = self.runs.get(given["executionArn"])
        if run is None:
            raise Refusal("ExecutionDoesNotExist", "Execution Does Not Exist")
        broken = run["status"] in ("FAILED", "TIMED_OUT", "ABORTED")
        said = {"redriveStatus": "REDRIVABLE" if broken else "NOT_REDRIVABLE", "input": "{}"}
        return {**said, **run}

    def describe_machine(self, given: dict[str, Any]) -> dict[str, Any]:
        return {
            "stateMachineArn": self.runs[given["executionArn"]]["stateMachineArn"],
            "name": "m",
            "definition": json.dumps(self.definition),
            "roleArn": HERE.role("m"),
            "updateDate": BEGAN,
        }


SCHEDULED = {"resourceType": "sqs", "resource": "sendMessage", "region": "us-east-1", "parameters": "{}"}
LISTED = (
    "executionArn", "stateMachineArn", "name", "status", "startDate", "stopDate", "mapRunArn", "itemCount",
    "stateMachineVersionArn", "stateMachineAliasArn", "redriveCount", "redriveDate",
)  # fmt: skip


def on(monkeypatch: Any, played: Played) -> Played:
    """Let the portal speak with it, whichever client it takes."""
    for name in ("client", "patient"):
        monkeypatch.setattr(aws_calls, name, lambda service, region: played.states)
    return played


def deployed_of(machine: Any) -> DeployedMachine:
    return DeployedMachine.objects.create(machine=machine, arn=HERE.machine(machine.name))


def code_of(function: Callable[[], Any]) -> str:
    """The code with which botocore refuses."""
    try:
        function()
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""
