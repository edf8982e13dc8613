"""Why a definition is refused: a code for programs, English for commands, the viewer's language in the console."""

import json
import re
from collections import defaultdict
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.urls import reverse
from django.utils import translation

from ops.console.workflows.effect_words import effect_words
from ops.console.workflows.words import reason_words
from ops.effects.known import EFFECTS
from ops.rules import refusals
from ops.rules.refusals import Refusal
from ops.workflows import mocks
from ops.workflows.asl import reasons
from ops.workflows.asl.reasons import Reason
from ops.workflows.asl.validate import check, check_text
from tests.cast import sign_in

REASONS = {
    name: value
    for room in (reasons, mocks)
    for name, value in vars(room).items()
    if isinstance(value, Reason) and name != "OTHER"
}
REFUSALS = {name: value for name, value in vars(refusals).items() if isinstance(value, Refusal)}
JAPANESE = re.compile(r"[ぁ-んァ-ヶ一-龠]")
TASK = "arn:aws:states:::sqs:sendMessage"


class Anything(defaultdict[str, Any]):
    """Values for whatever a sentence has a place for."""

    def __missing__(self, key: str) -> int:
        return 7


@pytest.mark.parametrize("name", REASONS)
def test_every_reason_can_be_said_in_japanese(name):
    reason = REASONS[name].of(**dict.fromkeys(re.findall(r"%\((\w+)\)", REASONS[name].sentence), 7))
    with translation.override("ja"):
        said = reason_words(reason)
    assert JAPANESE.search(said)
    assert said.count("7") == str(reason).count("7")  # nothing that it tells is lost
    assert not JAPANESE.search(str(reason))


@pytest.mark.parametrize("name", REFUSALS)
def test_every_refusal_of_a_pattern_can_be_said_in_japanese(name):
    sentence = REFUSALS[name].sentence
    with translation.override("ja"):
        said = translation.gettext(sentence)
    assert JAPANESE.search(said % Anything())
    assert sorted(re.findall(r"%\(\w+\)", said)) == sorted(re.findall(r"%\(\w+\)", sentence))


@pytest.mark.parametrize("effect", EFFECTS.values(), ids=EFFECTS)
def test_what_an_effect_does_is_said_in_both_languages(effect):
    with translation.override("ja"):
        assert JAPANESE.search(effect_words(effect)), "add it to ops/console/workflows/effect_words.py"


def state(**fields: Any) -> dict[str, Any]:
    return {"StartAt": "A", "States": {"A": fields}}


# a definition, and the code and the values of what is wrong with it
@pytest.mark.parametrize(
    ("definition", "code", "values"),
    [
        (state(Type="Pass", Next="Gone"), "MISSING_TARGET", {"target": "Gone"}),
        (state(Type="Pass", End=True, Colour="red"), "UNKNOWN_FIELD", {"name": "Colour"}),
        (state(Type="Wait", Seconds=-1, End=True), "WRONG_NUMBER", {"least": 0, "most": 99_999_999}),
        (state(Type="Pass", InputPath="$.a[", End=True), "WRONG_PATH", {"path": "$.a[", "at": 5}),
        (
            state(Type="Pass", Parameters={"a.$": "States.Nothing()"}, End=True),
            "WRONG_INTRINSIC",
            {"text": "States.Nothing()"},
        ),
        (
            state(Type="Pass", Parameters={"a.$": "States.UUID(1)"}, End=True),
            "WRONG_INTRINSIC",
            {"function": "UUID", "text": "States.UUID(1)"},
        ),
        (state(Type="Task", Resource="arn:aws:states:::sqs:dance", End=True), "WRONG_RESOURCE", None),
        (state(Type="Pass", QueryLanguage="JSONata", Output="{% ( %}", End=True), "WRONG_EXPRESSION", None),
        (state(Type="Task", Resource=TASK, Retry=[{"ErrorEquals": []}], End=True), "REQUIRED_FIELD", {}),
    ],
)
def test_a_fault_has_a_code_and_what_it_is_about(definition, code, values):
    fault = next(fault for fault in check(definition) if fault.code == code)
    assert values is None or fault.why.values == values
    assert fault.reason == str(fault.why)
    assert "%(" not in fault.reason


def test_what_is_no_json_is_told_with_what_the_reader_says():
    (fault,), _ = check_text('{"StartAt": }')
    assert fault.code == "NOT_JSON"
    assert "Expecting value" in fault.reason


def test_a_command_says_codes_and_english(tmp_path):
    file = tmp_path / "wrong.json"
    file.write_text(json.dumps(state(Type="Pass", Next="Gone")))
    out = StringIO()
    with translation.override("ja"):
        call_command("workflows", "check", str(file), "--json", stdout=out)
    told = json.loads(out.getvalue())
    assert told[0]["code"] == "MISSING_TARGET"
    assert told[0]["reason"] == "Missing 'Next' target: Gone"


@pytest.mark.django_db
def test_an_operator_reads_them_in_their_own_language(olga):
    typed = {"definition": json.dumps(state(Type="Pass", Next="Gone"))}
    client, address = sign_in(olga), reverse("admin:ops_statemachine_check")
    assert "Missing &#x27;Next&#x27; target: Gone" in client.post(address, typed).content.decode()
    olga.language = "ja"
    olga.save()
    shown = client.post(address, typed).content.decode()
    assert "「Next」が指すステートがありません：Gone" in shown
    assert "Missing" not in shown
