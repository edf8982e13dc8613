"""What targets are given. The cases marked AWS were recorded there (LocalStack's validated tests), or are its docs'."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.rules.paths import MISSING, InvalidPath, compile_path
from ops.rules.transform import NoInput, Setting, compile_input, flaws_of

SETTING = Setting("arn:aws:events:local:000000000000:rule/kessai/large", "large", "2026-01-01T00:00:00Z")
ACCOUNT = {"acc_id": "0a787ecb-4015", "sf_id": "baz"}
EVENT: dict[str, Any] = {
    "version": "0",
    "id": "evt_1",
    "detail-type": "core.update-account-command",
    "source": "core.update-account-command",
    "account": "111111111111",
    "time": "2026-01-01T00:00:00Z",
    "region": "us-east-1",
    "resources": ["arn:aws:ec2:us-east-1:111111111111:instance/i-1"],
    "detail": {
        "command": "update-account",
        "payload": ACCOUNT,
        "awsAccountId": "",
        "listsingle": ["HIGH"],
        "listmulti": ["ACTIVE", "INACTIVE"],
        "valid": True,
        "zero": 0,
        "nothing": None,
        "lines": [{"id": "il_1", "price": {"id": "price_1"}}, {"id": "il_2"}],
    },
}
PATHS = {
    "type": "$.detail-type",
    "userId": "$.detail.payload.acc_id",
    "payload": "$.detail.payload",
    "systemstring": "$.detail.awsAccountId",
    "listsingle": "$.detail.listsingle",
    "listmulti": "$.detail.listmulti",
    "valid": "$.detail.valid",
    "zero": "$.detail.zero",
    "nothing": "$.detail.nothing",
    "missing": "$.detail.notinmessage",
    "ids": "$.detail.lines[*].id",
}


def filled(template: str, event: dict[str, Any] = EVENT, paths: dict[str, str] = PATHS) -> str:
    assert flaws_of(paths=paths, template=template) == []
    return compile_input(paths=paths, template=template)(event, SETTING)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        # AWS, recorded: texts
        ('"Event of <type> type, <userId>"', '"Event of core.update-account-command type, 0a787ecb-4015"'),
        ('"{[/Check with special starting characters <type>"', None),
        ('"extracted from detail <missing>"', '"extracted from detail "'),
        ('"Payload of <payload> and <userId>"', '"Payload of {acc_id:0a787ecb-4015,sf_id:baz} and 0a787ecb-4015"'),
        ('"<listsingle> single list item"', '"[HIGH] single list item"'),
        ('"<listmulti> multiple list items"', '"[ACTIVE,INACTIVE] multiple list items"'),
        ('"<systemstring> system account id"', '" system account id"'),
        ('"Command is <valid>!"', '"Command is true!"'),
        ('"<listsingle> one"\n"<userId> two"', '"[HIGH] one"\n"0a787ecb-4015 two"'),
        # AWS, recorded: objects
        ('{"id" : <userId>}', '{"id":"0a787ecb-4015"}'),
        ('{"id" : "<userId>"}', '{"id":"0a787ecb-4015"}'),
        ('{"users": "users/<userId>/second/<userId>"}', '{"users":"users/0a787ecb-4015/second/0a787ecb-4015"}'),
        ('{"bod": [<userId>, "hard coded"]}', '{"bod":["0a787ecb-4015","hard coded"]}'),
        ('{"singlelistitem": <listsingle>}', '{"singlelistitem":["HIGH"]}'),
        ('{"path": "a", "bod": <payload>}', '{"path":"a","bod":{"acc_id":"0a787ecb-4015","sf_id":"baz"}}'),
        ('{"command": <missing>}', '{"command":""}'),
        ('{"a": "<aws.events.rule-name>"}', '{"a":"large"}'),
        # AWS's documentation
        ('"instance \\"<userId>\\" is in <type>"', '"instance \\"0a787ecb-4015\\" is in core.update-account-command"'),
        ('{"s": [ 9, <userId>, true ], "T" : "Yes"}', '{"s":[9,"0a787ecb-4015",true],"T":"Yes"}'),
        ('{"m": "i \\"<userId>\\" is"}', '{"m":"i \\"0a787ecb-4015\\" is"}'),
        ('"<aws.events.rule-name> triggered"', '"large triggered"'),
        # what is no text keeps its kind
        ('{"a": <zero>, "b": <valid>, "c": <nothing>}', '{"a":0,"b":true,"c":null}'),
        ('{"ids": <ids>}', '{"ids":["il_1","il_2"]}'),
        ("<payload>", '{"acc_id":"0a787ecb-4015","sf_id":"baz"}'),
        # less-than signs that are no placeholders stay
        ('"1 < 2 and <valid> > 0"', '"1 < 2 and true > 0"'),
    ],
)
def test_a_template_is_filled_as_aws_fills_it(template: str, text: str | None) -> None:
    assert filled(template) == (text or template.replace("<type>", EVENT["detail-type"]))


def test_predefined_variables_hold_the_rule_and_the_event() -> None:
    template = '{"event": <aws.events.event>, "json": <aws.events.event.json>, "arn": <aws.events.rule-arn>}'
    made = json.loads(filled(template, paths={}))
    assert made["json"] == EVENT
    assert made["event"] == {
        ("detailType" if key == "detail-type" else key): value for key, value in EVENT.items() if key != "detail"
    }
    assert made["arn"] == SETTING.rule_arn
    assert filled('"at <aws.events.event.ingestion-time>"', paths={}) == '"at 2026-01-01T00:00:00Z"'


@pytest.mark.parametrize(
    "template", ['{"not": "users/<payload>"}', '{"payload": "<payload>"}', '{"l": "<listsingle>"}']
)
def test_an_object_inside_the_quotes_of_an_object_is_no_input(template: str) -> None:
    """AWS, recorded: nothing is delivered."""
    with pytest.raises(NoInput, match="inside quotes"):
        filled(template)


def test_one_of_three_ways() -> None:
    assert compile_input()(EVENT, SETTING) == json.dumps(EVENT, separators=(",", ":"))
    assert compile_input(constant='{"a": 1}')(EVENT, SETTING) == '{"a": 1}'
    assert json.loads(compile_input(input_path="$.detail.payload")(EVENT, SETTING)) == ACCOUNT
    assert compile_input(input_path="$.detail.payload.sf_id")(EVENT, SETTING) == '"baz"'
    with pytest.raises(NoInput, match="selects nothing"):
        compile_input(input_path="$.detail.other")(EVENT, SETTING)


@pytest.mark.parametrize(
    ("given", "path", "words"),
    [
        ({"constant": "{}", "input_path": "$.detail"}, "", "Only one of"),
        ({"input_path": "$.detail", "template": '"a"'}, "", "Only one of"),
        ({"constant": "{"}, "Input", "not JSON"),
        ({"constant": "NaN"}, "Input", "not JSON"),
        ({"constant": '"' + "a" * 8192 + '"'}, "Input", "longer than 8192"),
        ({"input_path": "detail"}, "InputPath", "no path"),
        ({"paths": {"a": "$.x"}}, "InputTransformer.InputTemplate", "empty"),
        ({"template": '"<undefined>"'}, "InputTransformer.InputTemplate", "<undefined>"),
        ({"template": "prefix_<aws.events.rule-name>"}, "InputTransformer.InputTemplate", "no JSON"),
        ({"template": '{"a": <aws.events.rule-name>'}, "InputTransformer.InputTemplate", "no JSON"),
        ({"template": '"a\n'}, "InputTransformer.InputTemplate", "no JSON"),
        ({"template": '{"a": "<aws.events.event>"}'}, "InputTransformer.InputTemplate", "without quotes"),
        ({"template": '{"<aws.events.rule-name>": 1}'}, "InputTransformer.InputTemplate", "key"),
        ({"template": '{"x": [{<aws.events.rule-name>: 1}]}'}, "InputTransformer.InputTemplate", "key"),
        ({"template": '"' + "a" * 8192 + '"'}, "InputTransformer.InputTemplate", "longer than 8192"),
        ({"paths": {"AWS.x": "$.x"}, "template": '"a"'}, "InputTransformer.InputPathsMap.AWS.x", "begin with AWS"),
        ({"paths": {"a b": "$.x"}, "template": '"a"'}, "InputTransformer.InputPathsMap.a b", "Names are"),
        ({"paths": {"a": "$.x['y']"}, "template": '"a"'}, "InputTransformer.InputPathsMap.a", "no path"),
        ({"paths": {"a": 5}, "template": '"a"'}, "InputTransformer.InputPathsMap.a", "no path"),
    ],
)
def test_what_cannot_work_is_found_before_it_is_used(given: dict[str, Any], path: str, words: str) -> None:
    [flaw] = flaws_of(**given)
    assert flaw.path == path
    assert words in flaw.reason


def test_a_hundred_paths_and_no_more() -> None:
    many = {f"p{number}": "$.id" for number in range(101)}
    assert "at most 100" in flaws_of(paths=many, template='"a"')[0].reason
    many.pop("p0")
    assert flaws_of(paths=many, template='"a"') == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("$", EVENT),
        ("$.detail.lines[1].id", "il_2"),
        ("$.resources[0]", "arn:aws:ec2:us-east-1:111111111111:instance/i-1"),
        ("$.resources[7]", MISSING),
        ("$.detail.lines[*].price.id", ["price_1"]),
        ("$.detail.payload.*", ["0a787ecb-4015", "baz"]),
        ("$.detail.other[*].id", []),
        ("$.detail.command.id", MISSING),
        ("$.detail.nothing", None),
    ],
)
def test_a_path_selects(path: str, value: Any) -> None:
    assert compile_path(path).of(EVENT) == value


@pytest.mark.parametrize("path", ["", "detail", "$.", "$..id", "$detail", "$.a[", "$.a[-1]", "$.a[?(@.b)]", "$['a']"])
def test_a_path_that_eventbridge_does_not_know_is_refused(path: str) -> None:
    with pytest.raises(InvalidPath):
        compile_path(path)


texts = st.text(st.characters(exclude_categories=["Cs"]))
scalars = texts | st.integers(-(2**70), 2**70) | st.booleans() | st.none()
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3))


@given(values, texts)
def test_whatever_the_values_are_the_input_is_json_and_holds_them(value: Any, text: str) -> None:
    event = {"id": text, "detail": {"value": value}}
    paths = {"v": "$.detail.value", "id": "$.id"}
    made = json.loads(filled('{ "a" : <v>, "b": "is <id>" }', event, paths))
    assert made == {"a": value, "b": f"is {text}"}


@given(values)
def test_whatever_the_value_is_a_text_template_gives_a_json_text(value: Any) -> None:
    made = json.loads(filled('"is <v>"', {"detail": value}, {"v": "$.detail"}))
    assert made.startswith("is ")
    assert '"' not in made or isinstance(value, str)


@given(texts, st.dictionaries(texts, values, max_size=4))
def test_no_template_ends_in_an_error_when_it_is_looked_at(template: str, paths: dict[str, Any]) -> None:
    for flaw in flaws_of(paths=paths, template=template):
        assert flaw.reason
