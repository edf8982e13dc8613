"""One definition, two engines: the same result, and the same history, here and on an AWS that moto plays."""

import json
from datetime import UTC, datetime
from io import StringIO
from secrets import token_hex

import boto3
import pytest
from django.core.management import call_command
from django.utils import timezone

from ops.effects import aws as aws_calls
from ops.effects.outcome import Done, Refused
from ops.workflows.acts import CannotAct, redrive
from ops.workflows.aws import executions, origins
from ops.workflows.aws.models import DeployedMachine
from ops.workflows.models import Execution, Status
from ops.workflows.resources import make as call_really
from ops.workflows.start import start
from tests.cast import sign_in
from tests.ops.workflows.aws.here import HERE
from tests.ops.workflows.aws.running import ended, served
from tests.ops.workflows.moving import Clock, definition, finish, machine_of

NOW = datetime(2026, 3, 1, tzinfo=UTC)
REFUND = "arn:aws:states:local:000000000000:activity:refund-invoice"
REFUSED = Refused("Stripe.not_paid: The invoice was never paid.")

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def own_aws(states_aws):
    aws_calls.made.cache_clear()
    origins.cause_of.cache_clear()
    yield
    aws_calls.made.cache_clear()


def refund(**more):
    return {"Type": "Task", "Resource": REFUND, **more}


def answering(made, *, now):
    """Refund what was paid; the same however it is asked."""
    return Done({"refund": "re_1", "of": made.arguments}) if made.arguments.get("paid") else REFUSED


QUEUE = "http://127.0.0.1/123456789012/{}"
SEND = "arn:aws:states:::sqs:sendMessage"


def sending(queue, how=""):
    message = {"QueueUrl": QUEUE.format(queue), "MessageBody.$": "$.invoice"}
    return {"Type": "Task", "Resource": SEND + how, "Parameters": message, "ResultPath": None, "End": True}


def cases(queue):
    caught = {"ErrorEquals": ["Stripe.not_paid"], "ResultPath": "$.why", "Next": "Note"}
    retried = {"ErrorEquals": ["Stripe.not_paid"], "IntervalSeconds": 1, "MaxAttempts": 1}
    note = {"Type": "Pass", "Parameters": {"failed.$": "$.why.Error"}, "End": True}
    paid = {"Variable": "$.paid", "BooleanEquals": True, "Next": "Pay"}
    return {
        "a result": definition(Pay=refund(Parameters={"invoice.$": "$.invoice", "paid.$": "$.paid"}, End=True)),
        "whole input": definition(Pay=refund(ResultPath="$.made", OutputPath="$.made", End=True)),
        "jsonata": definition(
            {"QueryLanguage": "JSONata"},
            Pay=refund(
                Arguments={"paid": "{% $states.input.paid %}", "twice": "{% $states.input.amount * 2 %}"},
                Output="{% $states.result.of.twice %}",
                End=True,
            ),
        ),
        "a choice": definition(
            Which={"Type": "Choice", "Choices": [paid], "Default": "Not"},
            Pay=refund(End=True),
            Not={"Type": "Fail", "Error": "Unpaid", "Cause": "Nothing to give back."},
        ),
        "caught": definition(Pay=refund(Catch=[caught], End=True), Note=note),
        "retried and failed": definition(Pay=refund(Retry=[retried], End=True)),
        "each in turn": definition(
            Each={
                "Type": "Map",
                "ItemsPath": "$.items",
                "MaxConcurrency": 1,
                "ItemProcessor": definition(Pay=refund(End=True)),
                "End": True,
            }
        ),
        "a queue of AWS": definition(Send=sending(queue)),
    }  # fmt: skip


INPUTS = [
    {"invoice": "in_1", "paid": True, "amount": 500, "items": [{"paid": True, "n": 1}, {"paid": True, "n": 2}]},
    {"invoice": "in_2", "paid": False, "amount": 0, "items": [{"paid": True}, {"paid": False}]},
]


def make(made, *, now):
    """What effects answer on both engines; calls of AWS are real."""
    return answering(made, now=now) if made.resource == REFUND else call_really(made, now=now)


def types_of(execution):
    return list(execution.history.order_by("number").values_list("type", flat=True))


def shown(execution):
    """What a page shows of an execution's steps, without moments."""
    keys = ("input", "output", "error")
    rows = execution.history.order_by("number")
    return [(row.type, row.name, {key: row.details.get(key) for key in keys}) for row in rows]


def test_the_same_definitions_with_the_same_effects_end_the_same_and_tell_the_same():
    queue = f"q-{token_hex(4)}"
    boto3.client("sqs").create_queue(QueueName=queue)
    states = boto3.client("stepfunctions")
    machines = {name: made(each) for name, each in cases(queue).items()}
    call_command("workflows", "deploy", "--json", stdout=StringIO())
    started = {}
    with served("refund-invoice", make=make, pollers=2):
        for name, machine in machines.items():
            for number, given in enumerate(INPUTS):
                arn = HERE.machine(machine.name)
                begun = states.start_execution(stateMachineArn=arn, name=f"run-{number}", input=json.dumps(given))
                started[name, number] = begun["executionArn"]
                start(machine, f"run-{number}", given, now=NOW)
        finish(Clock(NOW), make=make)
        there = {key: ended(arn) for key, arn in started.items()}
    tally = executions.read_all(timezone.now)
    assert (tally.listed, tally.ended) == (len(started), len(started))
    for (name, number), said in there.items():
        here = Execution.objects.get(machine=machines[name], name=f"run-{number}", arn="")
        mirrored = Execution.objects.get(arn=said["executionArn"])
        about = (name, number)
        assert said["status"] == here.status, about
        assert json.loads(said.get("output", "null")) == here.output, about
        assert said.get("error") == (here.error or None), about
        assert (mirrored.status, mirrored.output, mirrored.error) == (here.status, here.output, here.error), about
        assert mirrored.input == here.input, about
        assert mirrored.version_id == here.version_id, about
        if name == "a queue of AWS":  # each message has an id of its own
            assert types_of(mirrored) == types_of(here), about
        elif name != "each in turn":  # moto tells of a Map's failure in another order than AWS
            assert shown(mirrored) == shown(here), about
    messages = boto3.client("sqs").receive_message(QueueUrl=QUEUE.format(queue), MaxNumberOfMessages=10)["Messages"]
    assert sorted(message["Body"] for message in messages)[:1] == ["in_1"]


def made(definition_):
    states = definition_.pop("States")
    definition_.pop("StartAt")
    return machine_of(definition_, **states)


def test_executions_there_are_read_once_and_followed_to_their_end():
    machine = machine_of(Pay=refund(End=True))
    call_command("workflows", "deploy", machine.name, "--json", stdout=StringIO())
    states = boto3.client("stepfunctions")
    arn = states.start_execution(stateMachineArn=HERE.machine(machine.name), name="slow", input='{"paid": true}')
    executions.read_all(timezone.now)
    row = Execution.objects.get()
    assert (row.status, row.arn) == (Status.RUNNING, arn["executionArn"])
    assert types_of(row)[:3] == ["ExecutionStarted", "TaskStateEntered", "ActivityScheduled"]
    assert row.history.get(type="ActivityScheduled").details["parameters"] == {"paid": True}
    assert row.history.get(type="ActivityScheduled").details["resource"] == REFUND
    with served("refund-invoice", make=make):
        ended(arn["executionArn"])
    assert executions.read_all(timezone.now).listed == 0
    row.refresh_from_db()
    assert (row.status, row.output["refund"]) == (Status.SUCCEEDED, "re_1")
    before = row.events
    assert executions.read_all(timezone.now).events == 0
    assert row.history.count() == before


def test_one_of_the_same_name_here_is_another_and_acts_of_this_engine_do_not_reach_there():
    machine = machine_of(Begin={"Type": "Succeed"})
    here = start(machine, "same", {}, now=NOW)
    there = Execution.objects.create(
        machine=machine, version=machine.current, name="same", arn="arn:aws:states:us-east-1:1:execution:m:same",
        started_at=NOW, status=Status.FAILED,
    )  # fmt: skip
    assert start(machine, "same", {}, now=NOW) == here
    with pytest.raises(CannotAct, match="runs on AWS"):
        redrive(there, None, reason="", now=NOW)


def test_an_aws_that_cannot_be_read_is_noted_and_stops_no_other(monkeypatch):
    machine = machine_of(Begin={"Type": "Succeed"})
    gone = DeployedMachine.objects.create(machine=machine, arn=HERE.machine("never-made"))
    call_command("workflows", "deploy", machine.name, "--json", stdout=StringIO())
    states = boto3.client("stepfunctions")
    states.start_execution(stateMachineArn=HERE.machine(machine.name), name="one", input="{}")
    assert executions.read_all(timezone.now).listed == 1
    gone.refresh_from_db()
    assert "StateMachineDoesNotExist" in gone.error


def test_a_round_makes_no_more_calls_than_it_may_and_the_next_goes_on():
    machine = machine_of(Begin={"Type": "Succeed"})
    call_command("workflows", "deploy", machine.name, "--json", stdout=StringIO())
    states = boto3.client("stepfunctions")
    for number in range(4):
        arn = states.start_execution(stateMachineArn=HERE.machine(machine.name), name=f"e{number}", input="{}")
        ended(arn["executionArn"])
    rounds = 0
    while Execution.objects.filter(status=Status.SUCCEEDED).count() < 4:
        executions.read_all(timezone.now, allowance=executions.Allowance(4, sleep=lambda _: None))
        rounds += 1
        assert rounds < 8
    assert rounds > 1


def test_an_execution_there_is_shown_among_those_here(olga):
    machine = machine_of(Begin={"Type": "Succeed"})
    call_command("workflows", "deploy", machine.name, "--json", stdout=StringIO())
    states = boto3.client("stepfunctions")
    arn = states.start_execution(stateMachineArn=HERE.machine(machine.name), name="shown", input='{"n": 1}')
    ended(arn["executionArn"])
    executions.read_all(timezone.now)
    row = Execution.objects.get()
    page = sign_in(olga)
    assert '<span class="mode">AWS</span>' in page.get("/admin/ops/execution/").content.decode()
    shown = page.get(f"/admin/ops/execution/{row.pk}/change/").content.decode()
    assert "AWS Step Functions, us-east-1, account 123456789012" in shown
    assert "Begin" in shown
