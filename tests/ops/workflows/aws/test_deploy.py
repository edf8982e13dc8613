"""State machines on an AWS that moto plays: made, found again, changed and pruned."""

import json
from datetime import UTC, datetime
from io import StringIO

import boto3
import pytest
from django.core.management import CommandError, call_command

from ops.effects import aws as aws_calls
from ops.workflows.machines import save_version
from ops.workflows.models import StateMachine
from tests.ops.workflows.aws.here import HERE
from tests.ops.workflows.moving import machine_of

NOTICE = "arn:aws:states:local:000000000000:activity:open-finding"
ALL = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
NOW = datetime(2026, 3, 1, tzinfo=UTC)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def own_aws(states_aws):
    aws_calls.made.cache_clear()
    yield
    aws_calls.made.cache_clear()


def refunding():
    queue = "https://sqs.us-east-1.amazonaws.com/123456789012/refunds"
    return machine_of(
        Tell={"Type": "Task", "Resource": NOTICE, "TimeoutSeconds": 60, "Next": "Send"},
        Send={
            "Type": "Task",
            "Resource": "arn:aws:states:::sqs:sendMessage",
            "Parameters": {"QueueUrl": queue, "MessageBody.$": "$"},
            "End": True,
        },
    )


def deploy(*arguments):
    out = StringIO()
    call_command("workflows", "deploy", *arguments, "--json", stdout=out)
    return json.loads(out.getvalue())


def acts(told):
    return {(part["kind"], part["name"]): part["act"] for part in told["parts"]}


def test_a_machine_is_made_with_role_log_group_and_activities_and_found_again():
    name = refunding().name
    tried = acts(deploy(name, "--dry-run"))
    assert tried[("state machine", name)] == "make"
    assert deploy(name)["account"] == HERE.account
    assert set(acts(deploy(name)).values()) == {"keep"}

    states = boto3.client("stepfunctions")
    made = states.describe_state_machine(stateMachineArn=HERE.machine(name))
    assert made["roleArn"] == HERE.role(name)
    assert made["loggingConfiguration"]["level"] == "ALL"
    assert json.loads(made["definition"])["States"]["Tell"]["Resource"] == HERE.activity("open-finding")
    assert states.describe_activity(activityArn=HERE.activity("open-finding"))
    policy = boto3.client("iam").get_role_policy(RoleName=f"kessai-{name}", PolicyName="calls")["PolicyDocument"]
    allowed = {str(each["Action"]): each["Resource"] for each in policy["Statement"]}
    assert allowed["sqs:SendMessage"] == ["arn:aws:sqs:us-east-1:123456789012:refunds"]


def versions_of(name):
    """What the alias starts: each version's share and its first state."""
    states = boto3.client("stepfunctions")
    alias = states.describe_state_machine_alias(stateMachineAliasArn=f"{HERE.machine(name)}:live")
    found = {}
    for route in alias["routingConfiguration"]:
        made = states.describe_state_machine(stateMachineArn=route["stateMachineVersionArn"])
        found[json.loads(made["definition"])["StartAt"]] = route["weight"]
    return found


def test_a_new_version_takes_its_share_and_then_all():
    machine = machine_of(Old={"Type": "Succeed"})
    deploy(machine.name)
    old = machine.current
    new = save_version(machine.name, '{"StartAt": "New", "States": {"New": {"Type": "Succeed"}}}', reason="", now=NOW)
    StateMachine.objects.update(current=old, tried=new, tried_percent=70)
    told = deploy(machine.name)
    assert acts(told)[("state machine", machine.name)] == "change"
    assert versions_of(machine.name) == {"Old": 30, "New": 70}
    assert set(acts(deploy(machine.name)).values()) == {"keep"}
    states = boto3.client("stepfunctions")
    head = states.describe_state_machine(stateMachineArn=HERE.machine(machine.name))["definition"]
    assert json.loads(head)["StartAt"] == "Old"

    StateMachine.objects.update(current=new, tried=None, tried_percent=0)
    deploy(machine.name)
    assert versions_of(machine.name) == {"New": 100}


def test_what_was_changed_on_aws_by_hand_is_seen_and_set_right():
    machine = machine_of(Begin={"Type": "Succeed"})
    deploy(machine.name)
    role = f"kessai-{machine.name}"
    boto3.client("iam").put_role_policy(RoleName=role, PolicyName="calls", PolicyDocument=json.dumps(ALL))
    told = deploy(machine.name)
    assert acts(told)[("role", machine.name)] == "change"
    assert set(acts(deploy(machine.name)).values()) == {"keep"}


def test_pruning_takes_away_what_is_not_here_any_more_and_asks_first():
    stays, goes = refunding(), machine_of(Begin={"Type": "Succeed"})
    states = boto3.client("stepfunctions")
    states.create_state_machine(
        name="theirs", definition='{"StartAt":"A","States":{"A":{"Type":"Succeed"}}}', roleArn=HERE.role("x")
    )
    deploy()
    StateMachine.objects.filter(pk=goes.pk).update(current=None)
    goes.versions.all().delete()
    goes.delete()
    with pytest.raises(
        CommandError, match=f"state machine {goes.name}, role {goes.name}, log group {goes.name}.*Say --yes"
    ):
        deploy("--prune")
    deploy("--prune", "--yes")
    names = {each["name"] for each in states.list_state_machines()["stateMachines"]}
    assert {"theirs", stays.name} <= names
    assert goes.name not in names


def test_a_machine_that_somebody_else_made_is_left_alone():
    machine = machine_of(Begin={"Type": "Succeed"})
    states = boto3.client("stepfunctions")
    theirs = '{"StartAt":"Theirs","States":{"Theirs":{"Type":"Succeed"}}}'
    states.create_state_machine(name=machine.name, definition=theirs, roleArn=HERE.role("x"))
    with pytest.raises(CommandError, match="was not made from here"):
        deploy(machine.name)
    assert states.describe_state_machine(stateMachineArn=HERE.machine(machine.name))["definition"] == theirs


def test_what_cannot_move_is_said_before_anything_is_done():
    effect = NOTICE.replace("open-finding", "make-coffee")
    start = {"StateMachineArn": "arn:aws:states:local:000000000000:stateMachine:elsewhere"}
    machine = machine_of(
        Brew={"Type": "Task", "Resource": effect, "Next": "Start"},
        Start={"Type": "Task", "Resource": "arn:aws:states:::states:startExecution", "Parameters": start, "End": True},
    )
    with pytest.raises(CommandError) as refused:
        deploy(machine.name)
    assert [line.partition(": ")[2][:59] for line in str(refused.value).splitlines()[:-1]] == [
        "/States/Brew calls the effect make-coffee, which is not reg",
        "it starts elsewhere, which is not there: deploy it too.",
    ]
    names = {each["name"] for each in boto3.client("stepfunctions").list_state_machines()["stateMachines"]}
    assert machine.name not in names
