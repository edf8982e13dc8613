"""Rules change in one place: checked, versioned, written down."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import User
from ops.models import Connection, Destination, Rule, RuleState, RuleVersion, StaffAct
from ops.rules.documents import KEYS, TARGET_KEYS, document_of
from ops.rules.edit import ChangedMeanwhile, delete_rule, restore_version, save_rule, set_state
from ops.rules.resources import ACTIVITY_ARN, EFFECT, FINDING_ARN
from ops.rules.validate import InvalidRule, problems_of

pytestmark = pytest.mark.django_db

NOW = timezone.now()
TELL = {"Id": "tell", "Arn": FINDING_ARN, "Input": '{"title": "An invoice was paid."}'}


def a_rule(**changes: Any) -> dict[str, Any]:
    return {"Name": "large-invoice", "EventPattern": {"detail-type": ["invoice.paid"]}, "Targets": [TELL], **changes}


def save(document: dict[str, Any], rule: Rule | None = None, *, actor: User | None = None, **more: Any) -> Rule:
    values = {"reason": "because", "now": NOW} | more
    return save_rule(document, rule=rule, actor=actor, **values).rule


def test_a_rule_is_what_its_document_says_and_says_it_again() -> None:
    document = a_rule(
        Description="Large ones.",
        State="TRIAL",
        Account="",
        Mode="live",
        Targets=[
            TELL,
            {
                "Id": "news",
                "Arn": ACTIVITY_ARN,
                "InputTransformer": {
                    "InputPathsMap": {"n": "$.detail.number"},
                    "InputTemplate": '{"text": "Paid: <n>"}',
                },
                "RetryPolicy": {"MaximumEventAgeInSeconds": 60, "MaximumRetryAttempts": 0},
            },
            {
                "Id": "queue",
                "Arn": "arn:aws:sqs:us-east-1:123456789012:paid.fifo",
                "InputPath": "$.detail",
                "SqsParameters": {"MessageGroupId": "billing"},
                "DeadLetterConfig": {"Arn": "arn:aws:sqs:us-east-1:123456789012:dead"},
            },
        ],
    )
    rule = save(document)
    assert document_of(rule) == document
    assert (rule.version, rule.state, rule.owner, rule.mode, rule.on_since) == (1, RuleState.TRIAL, "", "live", NOW)
    assert [target.kind for target in rule.targets.all()] == ["finding", "activity", "queue"]
    assert RuleVersion.objects.get().document == document


def test_a_pattern_keeps_the_layout_in_which_it_was_written() -> None:
    text = '{\n  "detail-type": [ "invoice.paid" ]   }'
    rule = save(a_rule(EventPattern=text))
    assert rule.pattern == text
    assert document_of(rule)["EventPattern"] == {"detail-type": ["invoice.paid"]}
    rule = set_state(rule, RuleState.ON, actor=None, reason="go", now=NOW).rule
    assert rule.pattern == text
    twice = '{"source": ["a"], "detail-type": ["b"], "detail-type": ["c"]}'
    assert document_of(save(a_rule(EventPattern=twice), rule))["EventPattern"] == twice


def test_each_change_is_a_version_with_who_and_why_and_no_change_is_none(olga: User) -> None:
    rule = save(a_rule(), actor=olga, reason="first")
    assert not save_rule(a_rule(), rule=rule, actor=olga, reason="again", now=NOW).changed
    save(a_rule(Description="new"), rule, actor=olga, reason="second")
    assert list(RuleVersion.objects.order_by("number").values_list("number", "reason")) == [(1, "first"), (2, "second")]
    acts = list(StaffAct.objects.order_by("pk"))
    assert [(act.act, act.reason, act.subject_id) for act in acts] == [
        ("rule:change", "first", "large-invoice"),
        ("rule:change", "second", "large-invoice"),
    ]
    assert (acts[1].before, acts[1].after) == ({}, {"Description": "new", "version": 2})


def test_a_rule_is_on_since_it_was_switched_on_and_stays_so_when_it_changes(olga: User) -> None:
    later, last = NOW + timedelta(hours=1), NOW + timedelta(hours=2)
    rule = save(a_rule())
    assert rule.on_since is None
    rule = set_state(rule, RuleState.TRIAL, actor=olga, reason="try", now=NOW).rule
    rule = set_state(rule, RuleState.ON, actor=olga, reason="go", now=later).rule
    assert rule.on_since == later
    rule = save(document_of(rule) | {"Description": "x"}, rule, now=last)
    assert rule.on_since == later
    rule = set_state(rule, RuleState.OFF, actor=olga, reason="stop", now=last).rule
    assert rule.on_since is None


def test_two_people_do_not_overwrite_each_other_unseen(olga: User) -> None:
    rule = save(a_rule())
    save(a_rule(Description="mine"), rule, actor=olga, seen_version=1)
    with pytest.raises(ChangedMeanwhile):
        save(a_rule(Description="yours"), rule, actor=olga, seen_version=1)
    rule.refresh_from_db()
    assert rule.notes == "mine"


def test_an_old_version_comes_back_as_a_new_one(olga: User) -> None:
    rule = save(a_rule())
    save(a_rule(Description="worse", Targets=[]), rule)
    rule = restore_version(rule, 1, actor=olga, reason="better before", now=NOW).rule
    assert (rule.version, rule.notes, rule.targets.count()) == (3, "", 1)


def test_a_rule_may_change_its_name_but_not_take_anothers() -> None:
    rule = save(a_rule())
    save(a_rule(Name="other"))
    assert save(a_rule(Name="renamed"), rule).name == "renamed"
    with pytest.raises(InvalidRule, match="another rule"):
        save(a_rule(Name="other"), rule)
    with pytest.raises(InvalidRule, match="another rule"):
        save(a_rule(Name="other"))


def test_a_deleted_rule_leaves_its_document_in_the_record(olga: User) -> None:
    rule = save(a_rule())
    delete_rule(rule, actor=olga, reason="unused", now=NOW)
    assert not Rule.objects.exists()
    act = StaffAct.objects.get()
    assert (act.act, act.reason, act.before) == ("rule:delete", "unused", a_rule(State="DISABLED"))


SQS = "arn:aws:sqs:us-east-1:123456789012:paid"
HTTP = "arn:aws:events:local:000000000000:api-destination/crm"


@pytest.mark.parametrize(
    ("changes", "path", "words"),
    [
        ({"Name": "no spaces"}, "Name", "letters"),
        ({"Name": None}, "Name", "letters"),
        ({"Nmae": "x"}, "Nmae", "not known"),
        ({"Description": "x" * 513}, "Description", "512"),
        ({"State": "on"}, "State", "ENABLED"),
        ({"Mode": "both"}, "Mode", "live"),
        ({"Account": "osaka"}, "Account", "STRIPE_ACCOUNTS"),
        ({"EventPattern": {"source": []}}, "EventPattern.source", "at least one"),
        ({"EventPattern": '{"source":'}, "EventPattern", "not JSON"),
        ({"EventPattern": None}, "EventPattern", "JSON"),
        ({"Targets": {}}, "Targets", "list"),
        ({"Targets": ["x"]}, "Targets[0]", "Id and Arn"),
        ({"Targets": [TELL, TELL]}, "Targets[1].Id", "Another target"),
        ({"Targets": [TELL | {"Id": f"t{n}"} for n in range(6)]}, "Targets", "at most 5"),
        ({"Targets": [TELL | {"Id": "a b"}]}, "Targets[0].Id", "letters"),
        (
            {"Targets": [TELL | {"Arn": "arn:aws:lambda:eu-west-1:123456789012:function:f"}]},
            "Targets[0].Arn",
            "nothing",
        ),
        ({"Targets": [TELL | {"Arn": None}]}, "Targets[0].Arn", "nothing"),
        ({"Targets": [TELL | {"Arn": f"{EFFECT}refund-everything"}]}, "Targets[0].Arn", "open-finding"),
        (
            {"Targets": [{"Id": "w", "Arn": "arn:aws:states:local:000000000000:stateMachine:w"}]},
            "Targets[0].Arn",
            "do not run yet",
        ),
        ({"Targets": [{"Id": "h", "Arn": HTTP}]}, "Targets[0].Arn", "no API destination"),
        ({"Targets": [{"Id": "q", "Arn": "arn:aws:sqs:local:000000000000:q"}]}, "Targets[0].Arn", "region and account"),
        ({"Targets": [TELL | {"InputPath": "$.detail"}]}, "Targets[0]", "Only one of"),
        ({"Targets": [TELL | {"Input": "{"}]}, "Targets[0].Input", "not JSON"),
        ({"Targets": [TELL | {"Input": 5}]}, "Targets[0].Input", "texts"),
        ({"Targets": [TELL | {"InputTransformer": "x"}]}, "Targets[0].InputTransformer", "InputPathsMap"),
        (
            {"Targets": [{"Id": "q", "Arn": SQS, "InputTransformer": {"InputTemplate": '"<a>"'}}]},
            "Targets[0].InputTransformer.InputTemplate",
            "<a>",
        ),
        ({"Targets": [TELL | {"Input": '{"titel": "x"}'}]}, "Targets[0].Input", "titel"),
        ({"Targets": [TELL | {"Input": '"text"'}]}, "Targets[0].Input", "object"),
        ({"Targets": [{"Id": "t", "Arn": FINDING_ARN}]}, "Targets[0].InputTransformer", "whole event"),
        (
            {"Targets": [{"Id": "t", "Arn": ACTIVITY_ARN, "InputTransformer": {"InputTemplate": '{"txt": "x"}'}}]},
            "Targets[0].InputTransformer.InputTemplate",
            "txt",
        ),
        (
            {"Targets": [TELL | {"HttpParameters": {"HeaderParameters": {}}}]},
            "Targets[0].HttpParameters",
            "Only an API",
        ),
        ({"Targets": [TELL | {"SqsParameters": {"MessageGroupId": "a"}}]}, "Targets[0].SqsParameters", "Only a FIFO"),
        ({"Targets": [{"Id": "q", "Arn": f"{SQS}.fifo"}]}, "Targets[0].SqsParameters", "message group"),
        (
            {"Targets": [{"Id": "q", "Arn": f"{SQS}.fifo", "SqsParameters": {"MessageGroupId": 5}}]},
            "Targets[0].SqsParameters",
            "MessageGroupId",
        ),
        (
            {"Targets": [TELL | {"RetryPolicy": {"MaximumRetryAttempts": 186}}]},
            "Targets[0].RetryPolicy.MaximumRetryAttempts",
            "0 to 185",
        ),
        (
            {"Targets": [TELL | {"RetryPolicy": {"MaximumEventAgeInSeconds": "60"}}]},
            "Targets[0].RetryPolicy.MaximumEventAgeInSeconds",
            "60 to 86400",
        ),
        ({"Targets": [TELL | {"DeadLetterConfig": {"Arn": FINDING_ARN}}]}, "Targets[0].DeadLetterConfig", "SQS"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(changes: dict[str, Any], path: str, words: str) -> None:
    [problem] = problems_of(a_rule(**changes))
    assert problem.path == path
    assert words in problem.sentence
    with pytest.raises(InvalidRule):
        save(a_rule(**changes))
    assert not Rule.objects.exists()


def test_everything_is_said_at_once() -> None:
    wrong = a_rule(Name="", State="x", EventPattern={"a": 1}, Targets=[{"Id": "", "Arn": ""}])
    assert [problem.path for problem in problems_of(wrong)] == [
        *("Name", "State", "EventPattern.a", "Targets[0].Id", "Targets[0].Arn"),
    ]
    assert problems_of([]) != []


def test_a_destination_is_called_with_values_of_the_event(db: None) -> None:
    connection = Connection.objects.create(name="crm", authorization="api-key", identity="X-Key")
    Destination.objects.create(name="crm", endpoint="https://crm.example/*", connection=connection)
    target: dict[str, Any] = {"Id": "crm", "Arn": HTTP, "HttpParameters": {"PathParameterValues": ["$.detail.id"]}}
    assert problems_of(a_rule(Targets=[target])) == []
    for values, path in (
        ({"PathParameterValues": ["$.a["]}, "PathParameterValues.0"),
        ({"PathParameterValues": {}}, "PathParameterValues"),
        ({"HeaderParameters": {"A": 5}}, "HeaderParameters.A"),
        ({"Other": {}}, "Other"),
    ):
        [problem] = problems_of(a_rule(Targets=[target | {"HttpParameters": values}]))
        assert problem.path == f"Targets[0].HttpParameters.{path}"


words = st.text(max_size=12) | st.sampled_from(["$.detail", '{"a": <b>}', SQS, HTTP, FINDING_ARN, "a.fifo"])
keys = st.sampled_from([*KEYS, *TARGET_KEYS, "InputPathsMap", "InputTemplate", "MaximumRetryAttempts", "x"]) | words
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(anything, st.dictionaries(keys, anything, max_size=5), st.dictionaries(keys, anything, max_size=5))
def test_whatever_is_brought_is_answered_with_sentences(whatever: Any, rule: Any, target: Any) -> None:
    for document in (whatever, rule, a_rule(**rule), a_rule(Targets=[TELL | target])):
        for problem in problems_of(document):
            assert problem.sentence
            assert "%(" not in problem.sentence


def test_what_cannot_be_kept_is_refused() -> None:
    for text in ("a\x00b", "\ud800"):
        [problem] = problems_of(a_rule(Description=text))
        assert "cannot be kept" in problem.sentence
    deep: Any = ["x"]
    for _ in range(5000):
        deep = {"a": deep}
    [problem] = problems_of(a_rule(EventPattern=deep))
    assert problem.path.startswith("EventPattern")
