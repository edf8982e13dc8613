"""Rules as an AWS stack: valid by cfn-lint, made and obeyed by an AWS that moto plays."""

import json
import secrets
from typing import Any

import boto3
import pytest
from cfnlint.api import ManualArgs, lint
from django.utils import timezone

from billing.inbox.sqs import Receiver, Tally, open_queue
from billing.stripe_accounts import primary
from ops.models import Finding
from ops.rules.cloudformation.template import Template, template_of
from ops.rules.documents import Document, document_of
from ops.rules.resources import DESTINATION
from tests.billing.events import an_event
from tests.ops.rules.made import make_rule
from tests.ops.rules.stacks import ARN, BUS, DEAD, FIFO, MACHINE, PAID, QUEUE, TELL, TOPIC, a_rule, crm, to
from tests.ops.rules.test_chain import one_round

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
        Name="half",
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
    for template in (everything, template_of([], [])):
        found = lint(json.dumps(template.body), config=ManualArgs(regions=["us-east-1"]))
        assert [f"{each.rule.id} {each.message}" for each in found] == []


def test_a_rule_moves_with_pattern_and_targets_as_they_are(everything: Template) -> None:
    made = resource(everything, "Ruleallx2eawsx5f1")["Properties"]
    assert made["EventBusName"] == {"Fn::GetAtt": ["Bus", "Name"]}
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
    assert allowed("Rolehalf") == {"events:InvokeApiDestination": [{"Fn::GetAtt": ["ApiDestinationcrm", "Arn"]}]}
    assert "Rolehome" not in everything.body["Resources"]
    [trust] = resource(everything, "Rolehalf")["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Condition"]["ArnEquals"]["aws:SourceArn"]["Fn::Sub"].endswith(":rule/${Bus.Name}/half")


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
            json.dumps({"Fn::GetAtt": ["PortalQueue", "Arn"]}): ["half", "home"],
            json.dumps({"Fn::GetAtt": ["DeadLettersallx2eawsx5f1", "Arn"]}): ["all.aws_1"],
            json.dumps({"Fn::GetAtt": ["DeadLettershalf", "Arn"]}): ["half"],
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


def test_rules_whose_names_begin_alike_have_each_their_own() -> None:
    names = ["a", "aPolicy", "a.Policy", "a-", "ax"]
    made = template_of([a_rule(to(QUEUE), to(MACHINE, "machine"), Name=name) for name in names], [])
    kinds = [each["Type"] for each in made.body["Resources"].values()]
    assert {kind: kinds.count(kind) for kind in ("AWS::Events::Rule", "AWS::IAM::Role", "AWS::SQS::Queue")} == {
        "AWS::Events::Rule": 5,
        "AWS::IAM::Role": 5,
        "AWS::SQS::Queue": 5,
    }
    assert kinds.count("AWS::SQS::QueuePolicy") == 6


def test_too_much_for_one_stack_is_said() -> None:
    made = template_of([a_rule(to(QUEUE), Name=f"rule-{number}") for number in range(200)], [])
    assert any("at most 500 resources" in sentence for sentence in made.cannot_move)


@pytest.fixture
def stack(aws: str) -> Any:
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
    documents = [
        a_rule(to(arn, "queue"), TELL, EventPattern=large, Mode="live"),
        a_rule(to(MACHINE, "machine", InputPath="$.detail"), Name="refunded", EventPattern={"source": ["product"]}),
    ]
    told = stack(template_of(documents, []).body, BusName=bus)
    assert told["BusArn"] == ARN.format("events", f"event-bus/{bus}")

    made = events.describe_rule(Name="paid", EventBusName=bus)
    assert made["State"] == "ENABLED"
    narrowed = {"amount": [{"numeric": [">=", 5000]}], "livemode": [True, {"exists": False}]}
    assert json.loads(made["EventPattern"]) == PAID | {"detail": narrowed}
    called = [
        target
        for rule in ("paid", "refunded")
        for target in events.list_targets_by_rule(Rule=rule, EventBusName=bus)["Targets"]
    ]
    assert [target["Id"] for target in called] == ["queue", "kessai-portal", "machine"]
    assert [called[0]["Arn"], called[2]["Arn"], called[2]["InputPath"]] == [arn, MACHINE, "$.detail"]
    assert called[0]["DeadLetterConfig"]["Arn"].startswith(ARN.format("sqs", ""))
    role = boto3.client("iam").get_role(RoleName=called[2]["RoleArn"].rpartition("/")[2])["Role"]
    [trust] = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Condition"]["ArnEquals"] == {"aws:SourceArn": ARN.format("events", f"rule/{bus}/refunded")}

    for amount, livemode in ((5000, True), (4999, True), (9000, False)):
        detail = {"amount": amount, "livemode": livemode}
        entry = {"Source": "stripe.com", "DetailType": "invoice.paid", "EventBusName": bus}
        events.put_events(Entries=[entry | {"Detail": json.dumps(detail)}])
    for place in (url, told["PortalQueueUrl"]):
        [message] = sqs.receive_message(QueueUrl=place, MaxNumberOfMessages=10)["Messages"]
        event = json.loads(message["Body"])
        assert (event["source"], event["detail"]) == ("stripe.com", {"amount": 5000, "livemode": True})


@pytest.mark.django_db
def test_an_event_comes_by_the_stacks_queue_to_the_effect_that_stayed(stack: Any) -> None:
    rule = make_rule("paid", PAID)
    bus = f"bus-{secrets.token_hex(4)}"
    told = stack(template_of([document_of(rule)], []).body, BusName=bus)
    for kind in ("invoice.paid", "invoice.voided"):
        event = an_event(id=f"evt_{kind}", type=kind)
        entry = {"Source": "stripe.com", "DetailType": kind, "Detail": json.dumps(event), "EventBusName": bus}
        boto3.client("events").put_events(Entries=[entry])
    receiver = Receiver(open_queue(told["PortalQueueUrl"]), primary(), clock=timezone.now, wait_seconds=0)
    assert receiver.receive() == Tally(received=1, stored=1)
    one_round()
    assert Finding.objects.get().evidence["events"] == 1


def test_aws_takes_the_destination_of_a_stack(stack: Any) -> None:
    """moto's stacks know no destinations: its API makes them of the same properties, and the stack the rest."""
    events, bus = boto3.client("events"), f"bus-{secrets.token_hex(4)}"
    target = to(DESTINATION + "crm", HttpParameters={"PathParameterValues": ["$.detail.id"]})
    body = template_of([a_rule(target)], [crm()]).body
    connection, destination = (body["Resources"].pop(name) for name in ("Connectioncrmx2dlogin", "ApiDestinationcrm"))
    connection_arn = events.create_connection(**connection["Properties"])["ConnectionArn"]
    made = events.create_api_destination(**destination["Properties"] | {"ConnectionArn": connection_arn})
    text = json.dumps(body).replace(
        '{"Fn::GetAtt": ["ApiDestinationcrm", "Arn"]}', json.dumps(made["ApiDestinationArn"])
    )
    stack(json.loads(text), BusName=bus)
    [called] = events.list_targets_by_rule(Rule="paid", EventBusName=bus)["Targets"]
    assert called["Arn"] == made["ApiDestinationArn"]
    assert called["HttpParameters"] == {"PathParameterValues": ["$.detail.id"]}
    assert called["RoleArn"]
