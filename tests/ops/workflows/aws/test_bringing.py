"""State machines out of CloudFormation templates, whoever wrote them, and out of stacks."""

import json
from io import BytesIO, StringIO
from secrets import token_hex

import boto3
import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber
from django.core.management import CommandError, call_command
from hypothesis import given, settings

from ops.effects import aws as aws_calls
from ops.models import StaffAct, StateMachine
from ops.rules.cloudformation.written import Unreadable, read_template
from ops.workflows.aws.template import moves_into_stack, resources
from ops.workflows.aws.template_reading import machines_of
from tests.aws import CREDENTIALS
from tests.ops.workflows.aws.here import HERE
from tests.ops.workflows.aws.test_moving import nested
from tests.ops.workflows.moving import definition, machine_of

REFUND = "arn:aws:states:local:000000000000:activity:refund-invoice"
LOCAL = "arn:aws:states:local:000000000000:"
THERE = "arn:${AWS::Partition}:states:${AWS::Region}:${AWS::AccountId}"
PAY = definition(Pay={"Type": "Task", "Resource": REFUND, "End": True})


def machine(**properties):
    return {"Type": "AWS::StepFunctions::StateMachine", "Properties": {"StateMachineName": "pay", **properties}}


def one(properties, *, values=None, fetch=None, **others):
    """The definition of the one machine, or the sentence why it cannot come."""
    told, flaws = machines_of({"Resources": {"Pay": machine(**properties), **others}}, values or {}, fetch)
    return told[0].definition if told else flaws[0]


def sending(queue):
    return definition(
        Send={"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "Parameters": {"QueueUrl": queue},
              "End": True},
    )  # fmt: skip


LIVE = json.dumps(PAY).replace(REFUND, f"{THERE}:activity:refund-invoice")
ACTIVITY = {"Type": "AWS::StepFunctions::Activity", "Properties": {"Name": "refund-invoice"}}


TEXT, NAMED = json.dumps(PAY), json.dumps(PAY).replace(REFUND, "${arn}")
JOINED = ["", [TEXT.partition(REFUND)[0], {"Ref": "Activity"}, TEXT.partition(REFUND)[2]]]


# the forms in which one definition stands in templates
@pytest.mark.parametrize(
    "properties",
    [
        {"DefinitionString": TEXT},
        {"DefinitionString": {"Fn::Sub": LIVE}},
        {"DefinitionString": {"Fn::Join": JOINED}},
        {"DefinitionString": NAMED, "DefinitionSubstitutions": {"arn": {"Ref": "Activity"}}},
        {"Definition": PAY},
        {"Definition": json.loads(NAMED), "DefinitionSubstitutions": {"arn": {"Fn::GetAtt": ["Activity", "Arn"]}}},
        {"Definition": definition(Pay={"Type": "Task", "Resource": {"Ref": "Activity"}, "End": True})},
    ],
)
def test_every_form_of_a_definition_is_read(properties):
    assert one(properties, Activity=ACTIVITY) == PAY


def test_substitutions_may_be_numbers_and_what_has_no_value_is_left():
    text = json.dumps(definition(Rest={"Type": "Wait", "Seconds": 7, "Next": "${end}"})).replace("7", "${seconds}")
    read = one({"DefinitionString": text, "DefinitionSubstitutions": {"seconds": 30}})
    assert read["States"]["Rest"] == {"Type": "Wait", "Seconds": 30, "Next": "${end}"}


def test_a_definition_in_s3_is_fetched_from_there():
    asked = []

    def fetch(place):
        asked.append(place)
        return json.dumps(PAY)

    where = {"Bucket": "definitions", "Key": "pay.asl.json", "Version": "7"}
    assert one({"DefinitionS3Location": where}, fetch=fetch) == PAY
    assert asked == [{"bucket": "definitions", "key": "pay.asl.json", "version": "7"}]


def test_another_machine_of_the_template_is_known_by_its_name():
    start = {"StateMachineArn": "${Other}", "Input.$": "$"}
    text = definition(Start={"Type": "Task", "Resource": "arn:aws:states:::states:startExecution", "Parameters": start,
                             "End": True})  # fmt: skip
    other = machine(StateMachineName="other", DefinitionString=json.dumps(PAY))
    read = one({"DefinitionString": {"Fn::Sub": json.dumps(text)}}, Other=other)
    assert read["States"]["Start"]["Parameters"]["StateMachineArn"] == f"{LOCAL}stateMachine:other"


def test_what_only_aws_knows_must_be_given():
    url = {"Fn::Sub": json.dumps(sending("https://sqs.${AWS::Region}.amazonaws.com/${AWS::AccountId}/q"))}
    assert "give --parameter AWS::Region=…" in one({"DefinitionString": url})
    values = {"AWS::Region": "eu-west-1", "AWS::AccountId": "123456789012"}
    assert one({"DefinitionString": url}, values=values) == sending(
        "https://sqs.eu-west-1.amazonaws.com/123456789012/q"
    )
    written_out = json.dumps(PAY).replace("local:000000000000", "eu-west-1:123456789012")
    assert one({"DefinitionString": written_out}, values=values) == PAY


@pytest.mark.parametrize(
    ("properties", "said"),
    [
        ({}, "has no DefinitionString"),
        ({"DefinitionString": "no JSON: ["}, "cannot come"),
        ({"DefinitionString": "[]"}, "is no object"),
        ({"DefinitionString": {"Fn::If": ["Live", "{}", "{}"]}}, "Fn::If is not read here"),
        ({"DefinitionString": {"Ref": "Definition"}}, "what Definition will be is only known on AWS"),
        ({"DefinitionS3Location": {"Bucket": "b"}}, "its form is none of CloudFormation's"),
        ({"DefinitionSubstitutions": [1], "DefinitionString": 5}, "is no object"),
    ],
)
def test_what_cannot_come_says_why(properties, said):
    sentence = one(properties)
    assert sentence.startswith("Pay cannot come: ")
    assert said in sentence


def test_a_template_may_be_yaml_with_short_forms():
    text = """
AWSTemplateFormatVersion: 2010-09-09
Resources:
  Refund: {Type: AWS::StepFunctions::Activity, Properties: {Name: refund-invoice}}
  Pay:
    Type: AWS::StepFunctions::StateMachine
    Properties:
      StateMachineName: pay
      DefinitionSubstitutions: {arn: !GetAtt Refund.Arn}
      Definition:
        StartAt: Pay
        States:
          Pay: {Type: Task, Resource: "${arn}", End: true}
"""
    template = read_template(text)
    assert template["AWSTemplateFormatVersion"] == "2010-09-09"
    told, flaws = machines_of(template, {}, None)
    assert ([each.definition for each in told], flaws) == ([PAY], [])


@pytest.mark.parametrize("text", ["{ a: [", "[" * 100_000, "a: !!python/object:os.system {}"])
def test_what_is_no_template_is_refused(text):
    with pytest.raises(Unreadable):
        read_template(text)


@settings(max_examples=30, deadline=None)
@given(nested)
def test_what_goes_into_a_stack_comes_back_as_it_was(state):
    before = definition(Only=state)
    moves = moves_into_stack({"pay": before}, effects={"refund-invoice"}, connections=[])
    if any(move.cannot for move in moves):
        return
    template = json.loads(json.dumps({"Resources": resources(moves, [])}))
    told, flaws = machines_of(template, {}, None)
    assert ([each.definition for each in told], flaws) == ([before], [])


def brought(*arguments):
    out, err = StringIO(), StringIO()
    call_command("workflows", "from-cloudformation", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


@pytest.fixture
def file(tmp_path):
    """A template with a machine, as a file; `file(definition, name)` writes another."""

    def write(given=PAY, name="stack.json", **properties):
        path = tmp_path / name
        path.write_text(json.dumps({"Resources": {"Pay": machine(DefinitionString=json.dumps(given), **properties)}}))
        return str(path)

    return write


@pytest.mark.django_db
def test_a_machine_comes_back_as_a_version_once(file, olga):
    out, _ = brought(file(), "--by", olga.email, "--reason", "It was lost.")
    assert "pay: made, version 1" in out
    current = StateMachine.objects.get(name="pay").current
    assert (json.loads(current.definition), current.reason, current.changed_by) == (PAY, "It was lost.", olga)
    assert StaffAct.objects.get().subject_id == "pay"
    assert "pay: kept" in brought(file())[0]
    changed = {**PAY, "Comment": "changed"}
    assert "pay: changed, version 2" in brought(file(changed))[0]
    assert current.machine.versions.count() == 2


@pytest.mark.django_db
def test_a_dry_run_shows_what_differs_and_changes_nothing(file):
    brought(file())
    changed = file({**PAY, "Comment": "changed"})
    out, _ = brought(changed, "--dry-run")
    assert '+  "Comment": "changed"' in out
    told = json.loads(brought(changed, "--dry-run", "--json")[0])
    assert [(each["name"], each["did"]) for each in told["machines"]] == [("pay", "changed")]
    assert StateMachine.objects.get(name="pay").versions.count() == 1


@pytest.mark.django_db
def test_a_version_can_be_tried_on_a_part(file):
    brought(file())
    brought(file({**PAY, "Comment": "tried"}), "--percent", "10")
    machine = StateMachine.objects.get(name="pay")
    assert (machine.current.number, machine.tried.number, machine.tried_percent) == (1, 2, 10)


@pytest.mark.django_db
def test_a_definition_with_flaws_is_refused_with_all_others(file, tmp_path):
    wrong = definition(Pay={"Type": "Task", "Resource": REFUND, "Next": "Gone"})
    both = {"Good": machine(StateMachineName="good", Definition=PAY), "Pay": machine(Definition=wrong)}
    (tmp_path / "both.json").write_text(json.dumps({"Resources": both}))
    with pytest.raises(CommandError, match=r"pay: .*Gone"):
        brought(str(tmp_path / "both.json"))
    assert not StateMachine.objects.exists()
    assert "good: made" in brought(str(tmp_path / "both.json"), "--only", "good")[0]


@pytest.mark.django_db
def test_a_definition_in_s3_comes_with_its_template(file, tmp_path, monkeypatch):
    store = boto3.client("s3", **CREDENTIALS)
    monkeypatch.setattr(aws_calls, "patient", lambda service, region: store)
    where = {"Bucket": "definitions", "Key": "pay.asl.json"}
    (tmp_path / "s3.json").write_text(json.dumps({"Resources": {"Pay": machine(DefinitionS3Location=where)}}))
    with Stubber(store) as stub:
        text = json.dumps(PAY).encode()
        stub.add_response("get_object", {"Body": StreamingBody(BytesIO(text), len(text))}, where)
        assert "pay: made" in brought(str(tmp_path / "s3.json"))[0]
        stub.add_client_error("get_object", "AccessDenied", "Access Denied")
        with pytest.raises(CommandError, match=r"s3://definitions/pay.asl.json cannot be read: .*AccessDenied"):
            brought(str(tmp_path / "s3.json"))


@pytest.mark.django_db
def test_sam_may_name_a_file_beside_it(tmp_path):
    (tmp_path / "pay.asl.json").write_text(json.dumps(PAY).replace(REFUND, "${arn}"))
    properties = {"Name": "pay", "DefinitionUri": "pay.asl.json", "DefinitionSubstitutions": {"arn": REFUND}}
    sam = {"Resources": {"Pay": {"Type": "AWS::Serverless::StateMachine", "Properties": properties}}}
    (tmp_path / "sam.json").write_text(json.dumps(sam))
    assert "pay: made" in brought(str(tmp_path / "sam.json"))[0]
    assert json.loads(StateMachine.objects.get().current.definition) == PAY


@pytest.mark.django_db
def test_a_stack_on_aws_gives_its_machines_back(states_aws):
    aws_calls.made.cache_clear()
    name = machine_of(Pay={"Type": "Task", "Resource": REFUND, "TimeoutSeconds": 60, "End": True}).name
    out = StringIO()
    call_command("workflows", "deploy", name, "--cloudformation", "--json", stdout=out)
    stack = f"stack-{token_hex(4)}"
    boto3.client("cloudformation").create_stack(
        StackName=stack,
        TemplateBody=json.dumps(json.loads(out.getvalue())["template"]),
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    assert f"{name}: kept" in brought(stack)[0]
    StateMachine.objects.filter(name=name).update(current=None)
    assert f"{name}: changed, version 2" in brought(stack)[0]
    versions = StateMachine.objects.get(name=name).versions.order_by("number")
    assert json.loads(versions[0].definition) == json.loads(versions[1].definition)
    with pytest.raises(CommandError, match="There is no file never-made"):
        brought("never-made")
    # moto keeps a stack's policies as no JSON, which whoever prunes would stumble over.
    boto3.client("stepfunctions").delete_state_machine(stateMachineArn=HERE.machine(name))
    aws_calls.made.cache_clear()
