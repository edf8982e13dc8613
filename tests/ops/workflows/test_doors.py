"""Workflows from outside: answers over HTTP, rules that start them, commands."""

import json
from datetime import UTC, datetime
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from ops.effects.outcome import Done, Refused
from ops.rules.targets import state_machine
from ops.rules.targets.call import TargetCall
from ops.workflows.models import Execution, Status, TaskCall
from ops.workflows.start import start
from tests.ops.workflows.moving import Clock, World, finish, machine_of

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ASK = "arn:aws:states:::sqs:sendMessage.waitForTaskToken"


@pytest.fixture
def token(transactional_db) -> str:
    ask = {"Type": "Task", "Resource": ASK, "Parameters": {"Token.$": "$$.Task.Token"}, "End": True}
    start(machine_of(Ask=ask), "ask", {}, now=NOW)
    finish(Clock(NOW), make=World(Done({})))
    return TaskCall.objects.get().arguments["Token"]


def post(token: str, body: object) -> tuple[int, str]:
    text = body if isinstance(body, str) else json.dumps(body)
    answer = Client(enforce_csrf_checks=True).post(f"/callbacks/{token}", text, content_type="application/json")
    return answer.status_code, answer.json()["message"]


def test_an_answer_over_http_is_taken_once(token):
    assert post(token, {"result": {"approved": True}}) == (200, "Taken.")
    assert post(token, {"result": {"approved": False}})[0] == 410
    finish(Clock(NOW))
    assert Execution.objects.get().output == {"approved": True}


def test_an_error_over_http_fails_the_call(token):
    assert post(token, {"error": "Denied", "cause": "too much"})[0] == 200
    finish(Clock(NOW))
    assert Execution.objects.get().error == "Denied"


@pytest.mark.parametrize(
    "body", ["", "[]", "{", "{}", '{"x": 1}', "[" * 200_000, '{"result": "' + "a" * 300_000 + '"}']
)
def test_what_is_no_answer_changes_nothing(token, body):
    assert post(token, body)[0] == 400
    assert Execution.objects.get().status == Status.RUNNING


def test_a_token_of_nobody_is_not_found(db):
    assert post("bm9ib2R5", {"result": 1})[0] == 404


def call_of(name: str, given: str = '{"invoice": "in_1"}') -> TargetCall:
    return TargetCall(
        rule_name="refunds",
        target_name="start",
        kind="state-machine",
        arn=f"arn:aws:states:local:000000000000:stateMachine:{name}",
        input=given,
        parameters={},
        key="rule:refunds:1:start",
        depth=1,
        event_id="evt_1",
        event_type="invoice.paid",
        customer_id="cus_1",
        now=NOW,
    )


def test_a_rule_starts_an_execution_once(db):
    machine = machine_of(Begin={"Type": "Succeed"})
    first, second = (state_machine.call(call_of(machine.name)) for _ in range(2))
    execution = Execution.objects.get()
    assert first == second == Done({"execution": execution.name})
    assert (execution.input, execution.event_id, execution.customer_id) == ({"invoice": "in_1"}, "evt_1", "cus_1")


def test_a_rule_cannot_start_what_is_not_there(db):
    assert isinstance(state_machine.call(call_of("gone")), Refused)


def run(*args: str) -> str:
    out = StringIO()
    call_command(*args, stdout=out)
    return out.getvalue()


def test_a_definition_is_saved_started_and_shown(transactional_db, tmp_path):
    file = tmp_path / "machine.json"
    file.write_text('{"StartAt": "A", "States": {"A": {"Type": "Pass", "Result": 7, "End": true}}}')
    assert json.loads(run("workflows", "save", "seven", str(file), "--reason", "new", "--json"))["version"] == 1
    run("workflows", "start", "seven", "first")
    finish(Clock(NOW))
    shown = json.loads(run("workflows", "show", "seven", "first", "--json"))
    assert shown[0]["output"] == 7
    assert [event["type"] for event in shown[1:]][-1] == "ExecutionSucceeded"
    assert json.loads(run("workflows", "list", "--json"))[0]["executions"]["SUCCEEDED"] == 1


def test_a_definition_that_is_wrong_is_told_and_not_saved(db, tmp_path):
    file = tmp_path / "machine.json"
    file.write_text('{"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "B"}}}')
    with pytest.raises(CommandError, match="Missing 'Next' target: B"):
        run("workflows", "save", "wrong", str(file), "--reason", "new")
    with pytest.raises(CommandError, match="/States/A/Next"):
        run("workflows", "check", str(file))


def test_a_workflow_is_run_in_memory_with_mocks(tmp_path):
    definition = {
        "StartAt": "Pay",
        "States": {"Pay": {"Type": "Task", "Resource": "arn:aws:states:::aws-sdk:ec2:stopInstances", "End": True}},
    }
    for name, content in (("machine", definition), ("mock", {"Pay": {"Return": {"paid": True}}}), ("input", {})):
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    files = {name: str(tmp_path / f"{name}.json") for name in ("machine", "mock", "input")}
    told = run("run_workflow", files["machine"], "--input", files["input"], "--mock", files["mock"])
    assert json.loads(told) == {"status": "SUCCEEDED", "output": {"paid": True}, "error": None, "cause": None}
