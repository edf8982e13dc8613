"""Rules and state machines in one stack: valid by cfn-lint, made and run by an AWS that moto plays, and back."""

import json
from datetime import UTC, datetime
from io import StringIO
from secrets import token_hex

import boto3
import pytest
from cfnlint.api import ManualArgs, lint
from django.core.management import CommandError, call_command

from ops.effects import aws as aws_calls
from ops.effects.destinations.models import Authorization, Connection
from ops.effects.outcome import Done
from ops.rules.cloudformation.reading import documents_of
from ops.rules.documents import document_of
from ops.workflows.aws.stacking import stack_of
from ops.workflows.aws.template_reading import machines_of
from ops.workflows.machines import save_version
from tests.ops.rules.made import make_rule, target
from tests.ops.workflows.aws.here import HERE
from tests.ops.workflows.aws.running import run, served
from tests.ops.workflows.moving import World, definition

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LOCAL = "arn:aws:states:local:000000000000:"
REFUND = f"{LOCAL}activity:refund-invoice"
PAID = {"source": ["stripe.com"], "detail-type": ["invoice.paid"]}

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def own_aws(states_aws):
    aws_calls.made.cache_clear()
    yield
    aws_calls.made.cache_clear()


@pytest.fixture
def refunds():
    """A machine that a rule starts, which starts another, and calls an API with a connection."""
    Connection.objects.create(name="crm", authorization=Authorization.API_KEY, identity="X-Key", sealed_secret="x")
    child = {"Pay": {"Type": "Task", "Resource": REFUND, "TimeoutSeconds": 60, "End": True}}
    call = {
        "ApiEndpoint": "https://crm.example/notes",
        "Method": "POST",
        "Authentication": {"ConnectionArn": "arn:aws:events:local:000000000000:connection/crm"},
        "RequestBody": {"text": "Not filled in: ${AWS::Region}"},
    }
    start = {"StateMachineArn": f"{LOCAL}stateMachine:pay-back", "Input.$": "$"}
    parent = {
        "Call": {"Type": "Task", "Resource": "arn:aws:states:::http:invoke", "Parameters": call, "Next": "Start"},
        "Start": {
            "Type": "Task",
            "Resource": "arn:aws:states:::states:startExecution",
            "Parameters": start,
            "End": True,
        },
    }
    written = {"pay-back": definition(**child), "refunds": definition(**parent)}
    for name, each in written.items():
        save_version(name, json.dumps(each), reason="a test", now=NOW)
    make_rule("paid", PAID, targets=[target("machine", f"{LOCAL}stateMachine:refunds")])
    return written


def template(*arguments):
    out = StringIO()
    call_command("workflows", "deploy", *arguments, "--cloudformation", "--json", stdout=out)
    return json.loads(out.getvalue())["template"]


def test_a_machine_goes_along_with_the_rules_that_start_it_and_all_that_it_starts(refunds):
    made = template("refunds")
    found = lint(json.dumps(made), config=ManualArgs(regions=["us-east-1"]))
    assert [f"{each.rule.id} {each.message} {each.path}" for each in found] == []
    parts = made["Resources"]
    assert {"Rulepaid", "Machinerefunds", "Machinepayx2dback", "Activityrefundx2dinvoice", "Connectioncrm"} <= set(
        parts
    )
    [called] = parts["Rulepaid"]["Properties"]["Targets"]
    where = "arn:${AWS::Partition}:states:${AWS::Region}:${AWS::AccountId}:stateMachine:refunds"
    assert called["Arn"] == {"Fn::Sub": f"{where}:live"}
    [policy] = parts["Rolepaid"]["Properties"]["Policies"]
    assert policy["PolicyDocument"]["Statement"][0]["Resource"] == [{"Fn::Sub": where}]
    allowed = {
        str(each["Action"]): each["Resource"]
        for each in parts["MachineRolerefunds"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    }
    assert allowed["states:StartExecution"] == [{"Fn::Sub": where.replace("refunds", "pay-back")}]
    assert allowed["events:RetrieveConnectionCredentials"] == [{"Fn::GetAtt": ["Connectioncrm", "Arn"]}]


def test_the_stack_comes_back_as_it_was(refunds):
    made = template("refunds")
    told, flaws = machines_of(made, {}, fetch=None)
    assert ({each.name: each.definition for each in told}, flaws) == (refunds, [])
    [document], flaws = documents_of(made)
    assert flaws == []
    assert document["Targets"] == [{"Id": "machine", "Arn": f"{LOCAL}stateMachine:refunds"}]


def test_aws_makes_the_stack_and_its_rule_starts_a_machine_that_calls_our_effect():
    name = f"pay-{token_hex(4)}"
    save_version(
        name, json.dumps(definition(Pay={"Type": "Task", "Resource": REFUND, "End": True})), reason="", now=NOW
    )
    rule = make_rule("paid", PAID, targets=[target("machine", f"{LOCAL}stateMachine:{name}")])
    body = stack_of([document_of(rule)]).body
    bus = f"bus-{token_hex(4)}"
    boto3.client("cloudformation").create_stack(
        StackName=f"stack-{token_hex(4)}",
        TemplateBody=json.dumps(body),
        Capabilities=["CAPABILITY_NAMED_IAM"],
        Parameters=[{"ParameterKey": "BusName", "ParameterValue": bus}],
    )
    states = boto3.client("stepfunctions")
    made = states.describe_state_machine(stateMachineArn=HERE.machine(name))
    assert json.loads(made["definition"])["States"]["Pay"]["Resource"] == HERE.activity("refund-invoice")
    [called] = boto3.client("events").list_targets_by_rule(Rule="paid", EventBusName=bus)["Targets"]
    assert called["Arn"] == f"{HERE.machine(name)}:live"
    role = boto3.client("iam").get_role(RoleName=f"kessai-{name}")["Role"]
    assert role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] == {"Service": "states.amazonaws.com"}
    if HERE.activity("refund-invoice") not in [each["activityArn"] for each in states.list_activities()["activities"]]:
        states.create_activity(name="refund-invoice")  # moto's stacks know no activities, versions and aliases
    with served("refund-invoice", make=World(Done({"refund": "re_1"}))):
        said = run(HERE.machine(name), {"invoice": "in_1"})
    assert json.loads(said["output"]) == {"refund": "re_1"}


def test_a_machine_that_is_not_here_is_said_and_nothing_is_written():
    make_rule("paid", PAID, targets=[target("machine", f"{LOCAL}stateMachine:never-made")])
    with pytest.raises(CommandError, match="no state machine never-made with a version here"):
        call_command("rules", "to-cloudformation", "paid", stdout=StringIO())
