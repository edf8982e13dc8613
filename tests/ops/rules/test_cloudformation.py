"""Rules as an AWS stack, and back: valid by cfn-lint, made and obeyed by moto's AWS, and the same rule again."""

import json
import secrets
from io import StringIO
from pathlib import Path
from typing import Any

import boto3
import pytest
from cfnlint.api import ManualArgs, lint
from django.core.management import CommandError, call_command
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import User
from billing.models import InboxEvent
from ops.effects.destinations.models import Authorization, Connection, ConnectionParameter, Destination
from ops.effects.sealing import seal
from ops.rules.cloudformation.reading import documents_of
from ops.rules.cloudformation.template import Template, template_of
from ops.rules.documents import Document, document_of
from ops.rules.edit import normal, save_rule
from ops.rules.models import Rule, RuleVersion
from ops.rules.patterns import InvalidPattern, compile_pattern
from ops.rules.resources import DESTINATION, FINDING_ARN
from ops.rules.validate import problems_of
from tests.billing.inbox.conftest import aws, aws_url  # noqa: F401 - fixtures
from tests.ops.rules.strategies import few, patterns

ARN = "arn:aws:{}:us-east-1:123456789012:{}"
QUEUE, DEAD, FIFO = (ARN.format("sqs", name) for name in ("paid", "dead", "paid.fifo"))
TOPIC, MACHINE = ARN.format("sns", "paid"), ARN.format("states", "stateMachine:dunning")
BUS = ARN.format("events", "event-bus/product")
PAID = {"source": ["stripe.com"], "detail-type": ["invoice.paid"]}
TELL = {"Id": "tell", "Arn": FINDING_ARN, "Input": '{"title": "An invoice was paid."}'}
NOW = timezone.now()


def a_rule(*targets: Document, **changes: Any) -> Document:
    return {"Name": "paid", "State": "ENABLED", "EventPattern": PAID, "Targets": list(targets), **changes}


def to(arn: str, name: str = "there", **more: Any) -> Document:
    return {"Id": name, "Arn": arn, **more}


def crm(**fields: Any) -> Destination:
    """A destination and its connection as read with their parameters, in no database."""
    connection = Connection(
        pk=1, name="crm-login", authorization=Authorization.BASIC, identity="kessai", sealed_secret="sealed"
    )
    connection._prefetched_objects_cache = {"parameters": ConnectionParameter.objects.none()}  # type: ignore[attr-defined]
    return Destination(**{"name": "crm", "connection": connection, "endpoint": "https://crm.example/*/notes"} | fields)


EVERYTHING = [
    a_rule(
        to(QUEUE, "queue", InputPath="$.detail"),
        to(FIFO, "fifo", SqsParameters={"MessageGroupId": "billing"}, DeadLetterConfig={"Arn": DEAD}),
        to(TOPIC, "topic", RetryPolicy={"MaximumRetryAttempts": 3}),
        to(MACHINE, "machine", Input='{"why": "paid"}'),
        to(BUS, "bus"),
        Name="all.aws_1",
        Description="All that AWS calls.",
        Mode="live",
    ),
    a_rule(
        to(
            DESTINATION + "crm",
            "crm",
            HttpParameters={"PathParameterValues": ["$.detail.id"], "HeaderParameters": {"X-Kind": "paid"}},
            InputTransformer={"InputPathsMap": {"id": "$.detail.id"}, "InputTemplate": '{"note": <id>}'},
        ),
        TELL,
        Name="mixed",
        State="TRIAL",
        Account="",
    ),
    a_rule(TELL, Name="home", State="DISABLED"),
]


@pytest.fixture(scope="module")
def everything() -> Template:
    return template_of(EVERYTHING, [crm(), crm(name="unused")])


def resource(template: Template, name: str) -> Any:
    return template.body["Resources"][name]


def test_cfn_lint_finds_nothing(everything: Template) -> None:
    [one] = EVERYTHING[2:]
    for template in (everything, template_of([one], []), template_of([], [])):
        found = lint(json.dumps(template.body), config=ManualArgs(regions=["us-east-1", "eu-west-1"]))
        assert [f"{each.rule.id} {each.message}" for each in found] == []


def test_a_rule_moves_with_pattern_and_targets_as_they_are(everything: Template) -> None:
    made = resource(everything, "Ruleallx2eawsx5f1")["Properties"]
    assert made["EventBusName"] == {"Ref": "Bus"}
    assert made["State"] == "ENABLED"
    assert made["EventPattern"] == PAID | {"detail": {"livemode": [True, {"exists": False}]}}
    by_id = {target["Id"]: target for target in made["Targets"]}
    own_dead = {"Arn": {"Fn::GetAtt": ["DeadLettersallx2eawsx5f1", "Arn"]}}
    assert by_id["queue"] == to(QUEUE, "queue", InputPath="$.detail", DeadLetterConfig=own_dead)
    assert by_id["fifo"]["DeadLetterConfig"] == {"Arn": DEAD}
    assert by_id["topic"]["RetryPolicy"] == {"MaximumRetryAttempts": 3}
    assert by_id["machine"]["RoleArn"] == {"Fn::GetAtt": ["Roleallx2eawsx5f1", "Arn"]}
    assert "RoleArn" not in by_id["queue"]


def test_a_role_may_do_just_what_its_rule_does(everything: Template) -> None:
    def allowed(name: str) -> dict[str, Any]:
        [policy] = resource(everything, name)["Properties"]["Policies"]
        return {each["Action"]: each["Resource"] for each in policy["PolicyDocument"]["Statement"]}

    assert allowed("Roleallx2eawsx5f1") == {"states:StartExecution": [MACHINE], "events:PutEvents": [BUS]}
    assert allowed("Rolemixed") == {"events:InvokeApiDestination": [{"Fn::GetAtt": ["ApiDestinationcrm", "Arn"]}]}
    assert "Rolehome" not in everything.body["Resources"]
    [trust] = resource(everything, "Rolemixed")["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Condition"]["ArnEquals"]["aws:SourceArn"]["Fn::Sub"].endswith(":rule/${Bus}/mixed")


def test_queues_and_topics_let_in_the_rules_that_send_there_and_nobody_else(everything: Template) -> None:
    found = {}
    for made in everything.body["Resources"].values():
        if made["Type"].endswith("Policy"):
            [statement] = made["Properties"]["PolicyDocument"]["Statement"]
            assert statement["Principal"] == {"Service": "events.amazonaws.com"}
            sources = statement["Condition"]["ArnEquals"]["aws:SourceArn"]
            found[json.dumps(statement["Resource"])] = [each["Fn::Sub"].rpartition("/")[2] for each in sources]
    assert (
        found
        == {
            **{json.dumps(arn): ["all.aws_1"] for arn in (QUEUE, FIFO, DEAD, TOPIC)},
            json.dumps({"Fn::GetAtt": ["PortalQueue", "Arn"]}): ["mixed", "home"],
            json.dumps({"Fn::GetAtt": ["DeadLettersallx2eawsx5f1", "Arn"]}): ["all.aws_1"],
            json.dumps({"Fn::GetAtt": ["DeadLettersmixed", "Arn"]}): ["mixed"],
            json.dumps({"Fn::GetAtt": ["DeadLettershome", "Arn"]}): ["home"],
        }
        or sorted(found) == []
    )


def test_destinations_that_are_called_come_along_with_names_of_secrets_alone(everything: Template) -> None:
    assert "ApiDestinationunused" not in everything.body["Resources"]
    assert everything.secrets == {"kessai/connections/crm-login": ["secret"]}
    assert any("kessai/connections/crm-login" in sentence for sentence in everything.to_do)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (a_rule(to(QUEUE), State="TRIAL"), "no trial"),
        (a_rule(to(QUEUE), Account=""), "one Stripe account (the primary one)"),
        (a_rule(to(QUEUE), Mode="test", EventPattern={"detail": {"livemode": [False]}}), "no place for that"),
        (a_rule(to(QUEUE), EventPattern={"id": [{"prefix": "evt_"}]}), "names id"),
        (a_rule(to(QUEUE), EventPattern={"source": ["kessai"]}), "portal's own"),
        (a_rule(TELL), "open-finding is the portal's own effect"),
        (a_rule(to(DESTINATION + "gone")), "no API destination “gone”"),
        (a_rule(to(TOPIC + ".fifo")), "FIFO topics"),
        (a_rule(to(BUS, InputPath="$.detail")), "as it is"),
        (a_rule(to(QUEUE, Input='"{{resolve:ssm:x}}"')), "CloudFormation would replace"),
        (a_rule(to(FIFO)), "content-based deduplication"),
        (a_rule(to(QUEUE, DeadLetterConfig={"Arn": FIFO})), "no FIFO queue"),
        (
            a_rule(to(QUEUE, InputTransformer={"InputPathsMap": {"n": "$.id"}, "InputTemplate": '"No. <n>"'})),
            "spoils",
        ),
    ],
)
def test_what_cannot_move_is_said(document: Document, words: str) -> None:
    [sentence] = template_of([document], []).cannot_move
    assert sentence.startswith("paid: ")
    assert words in sentence


def test_a_destination_that_eventbridge_cannot_call_stays() -> None:
    made = template_of([a_rule(to(DESTINATION + "crm"))], [crm(endpoint="http://crm.internal/")])
    assert "https addresses alone" in made.cannot_move[0]
    assert not [name for name in made.body["Resources"] if name.startswith(("Api", "Connection", "Role"))]


def test_what_moves_as_it_is_is_not_talked_about() -> None:
    made = template_of([a_rule(to(QUEUE), State="DISABLED", EventPattern={"source": ["product"]})], [])
    assert made.cannot_move == []
    assert [sentence.split()[:3] for sentence in made.to_do] == [["Make", "the", "stack"], ["The", "stack", "replaces"]]


def test_what_a_partner_source_needs_is_said_of_the_rules_that_lack_it() -> None:
    both = {"source": ["stripe.com", {"prefix": "aws.partner/stripe.com/"}]}
    to_do = template_of([a_rule(to(BUS)), a_rule(to(BUS), Name="both", EventPattern=both)], []).to_do
    assert [sentence[-8:] for sentence in to_do if "PartnerSource" in sentence] == ["in paid."]


def test_too_much_for_one_stack_is_said() -> None:
    made = template_of([a_rule(to(QUEUE), Name=f"rule-{number}") for number in range(200)], [])
    assert any("at most 500 resources" in sentence for sentence in made.cannot_move)


def is_valid(pattern: Any) -> bool:
    try:
        compile_pattern(pattern)
    except InvalidPattern:
        return False
    return True


INPUTS = st.sampled_from(
    [
        {},
        {"Input": '{"title": "x"}'},
        {"InputPath": "$.detail"},
        {"InputTransformer": {"InputPathsMap": {"a": "$.a"}, "InputTemplate": '{"title": <a>}'}},
    ]
)
ARNS = st.sampled_from([QUEUE, FIFO, TOPIC, MACHINE, BUS, TOPIC + ".fifo", FINDING_ARN, DESTINATION + "crm"])
TARGETS = st.builds(
    lambda arn, given, retries, dead: to(arn, **given, **retries, **dead),
    ARNS,
    INPUTS,
    st.sampled_from([{}, {"RetryPolicy": {"MaximumEventAgeInSeconds": 60, "MaximumRetryAttempts": 0}}]),
    st.sampled_from([{}, {"DeadLetterConfig": {"Arn": DEAD}}]),
)
ODD = st.sampled_from([{"Ref": ["QUEUE"]}, {"detail": {"Fn::Sub": ["x"]}}, '{"a": [1], "a": [2]}'])
DOCUMENTS = st.builds(
    lambda name, targets, more: {
        "Name": name,
        "Targets": [target | {"Id": f"t{number}"} for number, target in enumerate(targets)],
        **more,
    },
    st.text("abxR29.-_", min_size=1, max_size=8),
    st.lists(TARGETS, max_size=5),
    st.fixed_dictionaries(
        {"EventPattern": st.one_of(patterns().filter(is_valid), ODD)},
        optional={
            "State": st.sampled_from(["ENABLED", "DISABLED", "TRIAL"]),
            "Mode": st.sampled_from(["live", "test", "any"]),
            "Account": st.sampled_from(["", "second"]),
            "Description": st.text("aé 。", min_size=1, max_size=5),
        },
    ),
)


@few
@given(st.lists(DOCUMENTS, max_size=3, unique_by=lambda document: document["Name"]))
def test_a_stack_that_comes_back_says_the_same_rules(documents: list[Document]) -> None:
    template = json.loads(json.dumps(template_of(documents, [crm()]).body))
    back, flaws = documents_of(template)
    assert back == [normal(document) for document in documents]
    assert flaws == ([] if documents else ["The template holds no AWS::Events::Rule."])


def foreign(*targets: Any, **changes: Any) -> dict[str, Any]:
    """A template that somebody else wrote."""
    properties = {"EventPattern": PAID, "Targets": list(targets), **changes}
    return {
        "Parameters": {"Name": {"Type": "String", "Default": "paid"}, "Stage": {"Type": "String"}},
        "Resources": {
            "Paid": {"Type": "AWS::Events::Rule", "Properties": properties},
            "Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": {"Fn::Sub": "${Name}-queue"}}},
            "Nameless": {"Type": "AWS::SQS::Queue"},
            "Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": {"Ref": "Name"}}},
            "Crm": {"Type": "AWS::Events::ApiDestination", "Properties": {"Name": "crm"}},
        },
    }


PLACE = {"AWS::Region": "us-east-1", "AWS::AccountId": "123456789012"}


@pytest.mark.parametrize(
    ("arn", "is_read_as"),
    [
        (QUEUE, QUEUE),
        ({"Fn::GetAtt": ["Queue", "Arn"]}, QUEUE + "-queue"),
        ({"Fn::GetAtt": "Queue.Arn"}, QUEUE + "-queue"),
        ({"Ref": "Topic"}, TOPIC),
        ({"Fn::GetAtt": ["Crm", "Arn"]}, DESTINATION + "crm"),
        ({"Fn::Sub": "arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:${Name}"}, QUEUE),
        ({"Fn::Sub": ["arn:aws:sqs:us-east-1:123456789012:${Q}", {"Q": {"Ref": "Name"}}]}, QUEUE),
        ({"Fn::Join": [":", ["arn:aws:sqs", {"Ref": "AWS::Region"}, "123456789012", "paid"]]}, QUEUE),
    ],
)
def test_functions_are_carried_out_where_the_template_says_enough(arn: Any, is_read_as: str) -> None:
    [document], flaws = documents_of(foreign(to(arn, RoleArn="arn:aws:iam::123456789012:role/x")), PLACE)
    assert document == {"Name": "Paid", "State": "ENABLED", "EventPattern": PAID, "Targets": [to(is_read_as)]}
    assert flaws == []


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (to(ARN.format("lambda", "function:x")), "nothing that a rule can call here"),
        (to(QUEUE, EcsParameters={"TaskCount": 1}), "EcsParameters says what only AWS can do"),
        (to({"Fn::GetAtt": ["Nameless", "Arn"]}), "Nameless has no QueueName"),  # type: ignore[arg-type]
        (to({"Fn::ImportValue": "queue"}), "Fn::ImportValue is not read"),  # type: ignore[arg-type]
        (to({"Ref": "Stage"}), "--parameter Stage="),  # type: ignore[arg-type]
        (to({"Ref": "AWS::StackId"}), "--parameter AWS::StackId="),  # type: ignore[arg-type]
        (to({"Ref": "Nowhere"}), "only known on AWS"),  # type: ignore[arg-type]
        ("a text", "no object"),
        (to(["x"]), "nothing that a rule can call"),  # type: ignore[arg-type]
    ],
)
def test_a_target_that_cannot_come_is_said_and_the_others_come(target: Any, words: str) -> None:
    [document], [flaw] = documents_of(foreign(target, to(QUEUE, "queue")), PLACE)
    assert words in flaw
    assert document["Targets"] == [to(QUEUE, "queue")]


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ([], "holds no AWS::Events::Rule"),
        ({"Resources": {"A": 5}}, "holds no AWS::Events::Rule"),
        ({"Resources": {"A": {"Type": "AWS::Events::Rule", "Properties": {"ScheduleExpression": "rate(1 day)"}}}}, "no pattern"),
        (
            {
                "Resources": {
                    "A": {"Type": "AWS::Events::EventBus", "Properties": {"Name": {"Ref": "A"}}},
                    "B": {"Type": "AWS::Events::Rule", "Properties": {"Name": {"Ref": "A"}, "EventPattern": PAID}},
                }
            },
            "in a circle",
        ),
    ],
)  # fmt: skip
def test_a_template_of_nothing_that_can_come_is_said(template: Any, words: str) -> None:
    documents, [flaw] = documents_of(template)
    assert documents == []
    assert words in flaw


JUNK = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.dictionaries(st.sampled_from(["Ref", "Fn::GetAtt", "Fn::Sub", "Arn", "Id", "Kessai", "x"]), inner, max_size=3),
    ),
    max_leaves=6,
)  # fmt: skip


@few
@given(
    st.dictionaries(st.sampled_from(["Name", "State", "EventPattern", "Targets", "Description"]), JUNK),
    st.dictionaries(st.sampled_from(["Account", "Mode", "State", "ModeInPattern", "Targets"]), JUNK),
)
def test_whatever_a_template_holds_is_read_or_said(properties: Any, kept: Any) -> None:
    rule = {"Type": "AWS::Events::Rule", "Properties": properties, "Metadata": {"Kessai": kept}}
    documents, flaws = documents_of({"Resources": {"A": rule}})
    assert len(documents) + len(flaws) >= 1
    assert json.dumps(documents)


@pytest.fixture
def stack(aws: str) -> Any:  # noqa: F811
    """Make a stack on an AWS that moto plays; returns its outputs."""
    formation = boto3.client("cloudformation")

    def make(body: dict[str, Any], **parameters: str) -> dict[str, str]:
        name = f"rules-{secrets.token_hex(4)}"
        formation.create_stack(
            StackName=name,
            TemplateBody=json.dumps(body),
            Capabilities=["CAPABILITY_IAM"],
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        )
        [made] = formation.describe_stacks(StackName=name)["Stacks"]
        assert made["StackStatus"] == "CREATE_COMPLETE"
        return {each["OutputKey"]: each["OutputValue"] for each in made["Outputs"]}

    return make


def test_aws_makes_the_stack_and_obeys_it(stack: Any) -> None:
    sqs, events = boto3.client("sqs"), boto3.client("events")
    queue = f"paid-{secrets.token_hex(4)}"
    url = sqs.create_queue(QueueName=queue)["QueueUrl"]
    arn, bus = ARN.format("sqs", queue), f"bus-{secrets.token_hex(4)}"
    large = PAID | {"detail": {"amount": [{"numeric": [">=", 5000]}]}}
    document = a_rule(
        to(arn, "queue", InputPath="$.detail"), to(MACHINE, "machine"), TELL, EventPattern=large, Mode="live"
    )
    told = stack(template_of([document], []).body, BusName=bus)
    assert told["BusArn"] == ARN.format("events", f"event-bus/{bus}")

    made = events.describe_rule(Name="paid", EventBusName=bus)
    assert made["State"] == "ENABLED"
    assert json.loads(made["EventPattern"]) == large | {
        "detail": large["detail"] | {"livemode": [True, {"exists": False}]}  # type: ignore[operator]
    }
    by_id = {each["Id"]: each for each in events.list_targets_by_rule(Rule="paid", EventBusName=bus)["Targets"]}
    assert by_id.keys() == {"queue", "machine", "kessai-portal"}
    assert (by_id["queue"]["Arn"], by_id["queue"]["InputPath"]) == (arn, "$.detail")
    assert by_id["machine"]["RoleArn"].startswith("arn:aws:iam::123456789012:role/")
    assert sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])["Attributes"]["Policy"].count(bus) == 1

    for amount, livemode in ((5000, True), (4999, True), (9000, False)):
        detail = {"amount": amount, "livemode": livemode}
        entry = {"Source": "stripe.com", "DetailType": "invoice.paid", "EventBusName": bus}
        events.put_events(Entries=[entry | {"Detail": json.dumps(detail)}])

    def bodies(url: str) -> list[Any]:
        return [
            json.loads(each["Body"]) for each in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
        ]

    assert bodies(url) == [{"amount": 5000, "livemode": True}]
    [whole] = bodies(told["PortalQueueUrl"])
    assert (whole["source"], whole["detail"]["amount"]) == ("stripe.com", 5000)
