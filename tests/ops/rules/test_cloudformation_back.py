"""Rules out of an AWS stack: our own says the same rule again, and others' come as far as they can."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import User
from ops.models import Connection, Destination, Rule, RuleVersion
from ops.rules.cloudformation.reading import documents_of
from ops.rules.cloudformation.template import template_of
from ops.rules.documents import Document, document_of
from ops.rules.edit import normal, save_rule
from ops.rules.patterns import InvalidPattern, compile_pattern
from ops.rules.resources import DESTINATION, FINDING_ARN
from tests.ops.rules.stacks import ARN, BUS, DEAD, FIFO, MACHINE, PAID, QUEUE, TELL, TOPIC, a_rule, crm, to
from tests.ops.rules.strategies import events, few, patterns

NOW = timezone.now()


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


@few
@given(patterns().filter(is_valid), events(), st.sampled_from([True, False, None]), st.sampled_from(["live", "test"]))
def test_on_aws_a_rule_fits_what_it_fits_here(pattern: Any, event: Any, livemode: bool | None, mode: str) -> None:
    body = template_of([a_rule(EventPattern={"detail": pattern}, Mode=mode)], []).body
    moved = compile_pattern(body["Resources"]["Rulepaid"]["Properties"]["EventPattern"])
    detail = event if livemode is None else event | {"livemode": livemode}
    of_mode = livemode is None or livemode == (mode == "live")
    assert moved.matches({"detail": detail}) == (
        of_mode and compile_pattern({"detail": pattern}).matches({"detail": detail})
    )


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
            "Crm": {
                "Type": "AWS::Events::ApiDestination",
                "Properties": {
                    "Name": "crm",
                    "HttpMethod": "PUT",
                    "InvocationEndpoint": {"Fn::Sub": "https://crm.example/${Name}"},
                },
            },
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
        ({"Resources": {"A": {"Type": "AWS::Events::Rule", "Properties": {"ScheduleExpression": "x"}}}}, "no pattern"),
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
        st.dictionaries(st.sampled_from(["Ref", "Fn::GetAtt", "Fn::Sub", "Arn", "Id", "Target"]), inner, max_size=3),
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
def here(db: None) -> list[Document]:
    """Three rules of this portal, as they are."""
    connection = Connection.objects.create(name="crm-login", authorization="basic", identity="kessai")
    Destination.objects.create(name="crm", connection=connection, endpoint="https://crm.example/")
    documents = [
        a_rule(to(QUEUE), Mode="live"),
        a_rule(to(DESTINATION + "crm", "crm"), TELL, Name="half", State="TRIAL", Account=""),
        a_rule(TELL, Name="home", State="DISABLED"),
    ]
    return [document_of(save_rule(each, actor=None, reason="x", now=NOW).rule) for each in documents]


def rules(*words: str) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command("rules", *words, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_rules_go_to_a_file_and_come_back_into_an_empty_portal(here: list[Document], tmp_path: Path) -> None:
    place = str(tmp_path / "stack.json")
    out, err = rules("to-cloudformation", "--out", place)
    assert out == f"{place}: written, 3 rules\n"
    assert "half: AWS knows no trial" in err
    assert "Put a secret kessai/connections/crm-login into Secrets Manager" in err
    Rule.objects.all().delete()
    assert rules("from-cloudformation", place, "--dry-run")[0].endswith("Nothing was changed (--dry-run).\n")
    assert not Rule.objects.exists()
    out, err = rules("from-cloudformation", place)
    assert (out.splitlines(), err) == (["half: made", "home: made", "paid: made"], "")
    assert [document_of(rule) for rule in Rule.objects.order_by("name")] == sorted(here, key=lambda each: each["Name"])
    assert rules("from-cloudformation", place)[0].splitlines() == ["half: kept", "home: kept", "paid: kept"]
    Rule.objects.all().delete()
    Destination.objects.all().delete()
    Connection.objects.all().delete()
    out, err = rules("from-cloudformation", place)
    assert out.splitlines()[:2] == ["crm-login: connection made, without its secret", "crm: destination made"]
    assert "crm-login needs its secret" in err
    assert {version.reason for version in RuleVersion.objects.all()} == {"From the CloudFormation template stack.json."}


def test_one_rule_goes_to_stdout_alone(here: list[Document]) -> None:
    body = json.loads(rules("to-cloudformation", "paid")[0])
    assert [key for key, made in body["Resources"].items() if made["Type"] == "AWS::Events::Rule"] == ["Rulepaid"]
    told = json.loads(rules("to-cloudformation", "half", "--json")[0])
    assert (told["rules"], told["secrets"]) == (1, {"kessai/connections/crm-login": ["secret"]})
    assert told["template"]["Resources"].keys() >= {"Bus", "Rulehalf", "Rolehalf", "ApiDestinationcrm", "PortalQueue"}
    assert len(told["cannot_move"]) == 3
    with pytest.raises(CommandError, match="There is no rule no, nor"):
        rules("to-cloudformation", "no", "paid", "nor")


def test_a_rule_that_says_another_thing_here_is_kept_unless_that_is_said(
    here: list[Document], olga: User, tmp_path: Path
) -> None:
    place = tmp_path / "stack.json"
    place.write_text(json.dumps(foreign(to(QUEUE), Name="paid")))
    before = document_of(Rule.objects.get(name="paid"))
    with pytest.raises(CommandError, match=r"paid: the rule here says another thing(.|\n)*Nothing was applied"):
        rules("from-cloudformation", str(place))
    assert document_of(Rule.objects.get(name="paid")) == before
    rules("from-cloudformation", str(place), "--force", "--reason", "AWS is right.", "--by", olga.email)
    version = RuleVersion.objects.filter(rule__name="paid").order_by("-number")[0]
    assert (version.document.get("Mode"), version.reason, version.changed_by) == (None, "AWS is right.", olga)


def test_one_bad_rule_keeps_out_all_and_everything_is_said(db: None, tmp_path: Path) -> None:
    place = tmp_path / "stack.json"
    template = foreign(to(QUEUE), to({"Fn::GetAtt": ["Crm", "Arn"]}, "crm"))  # type: ignore[arg-type]
    bad = {"Type": "AWS::Events::Rule", "Properties": {"EventPattern": {"source": []}, "State": "SLEEPING"}}
    place.write_text(json.dumps(template | {"Resources": template["Resources"] | {"Bad": bad}}))
    with pytest.raises(CommandError) as said:
        rules("from-cloudformation", str(place))
    for words in (
        "Bad: EventPattern.source: An array here holds at least one value.",
        "Bad: State: ",
        "Paid: Targets[1].Arn: There is no API destination “crm”.",
        "The API destination Crm cannot come: its connection is not in the template.",
        "Nothing was applied.",
    ):
        assert words in str(said.value)
    assert not Rule.objects.exists()


def test_two_rules_of_one_name_are_refused(db: None, tmp_path: Path) -> None:
    place = tmp_path / "stack.json"
    template = foreign(to(QUEUE), Name="paid")
    resources = template["Resources"]
    place.write_text(json.dumps({"Resources": {"Paid": resources["Paid"], "Again": resources["Paid"]}}))
    with pytest.raises(CommandError, match="paid: two rules have this name"):
        rules("from-cloudformation", str(place), "--force")
    assert not Rule.objects.exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{ Resources:", "is neither JSON nor YAML"),
        ("[" * 100_000, "nested too deeply"),
        ("{}", "holds no AWS::Events"),
        ("Resources:\n  Paid: {}", "holds no AWS::Events"),
    ],
)
def test_a_file_that_is_no_template_is_refused(db: None, tmp_path: Path, text: str, words: str) -> None:
    place = tmp_path / "stack.yaml"
    place.write_text(text)
    for file, expected in ((place, words), (tmp_path / "none", "cannot be read")):
        with pytest.raises(CommandError, match=expected):
            rules("from-cloudformation", str(file))
    with pytest.raises(CommandError, match="NAME=VALUE"):
        rules("from-cloudformation", str(place), "--parameter", "Stage")
    with pytest.raises(CommandError, match="cannot be written"):
        rules("to-cloudformation", "--out", str(tmp_path / "none" / "x.json"))
