"""Known verdicts: ours against those of AWS and of its engine, and the command that compares them."""

import json

import pytest
from django.core.management import CommandError, call_command

from ops.rules.conformance import score_patterns
from ops.rules.envelope import InvalidEvent, check_event
from tests.vectors import vectors

CASE = {"group": "exact", "kind": "match", "event_text": '{"a": "x"}', "pattern_text": '{"a": ["x"]}', "expect": True}
ENVELOPE = {"id": "1", "account": "1", "source": "s", "time": "2026-01-01T00:00:00Z", "region": "r", "detail-type": "t"}


def test_every_verdict_is_that_of_aws():
    with vectors("event_patterns.jsonl").open() as lines:
        score = score_patterns(lines)
    assert score.wrong == []
    assert score.total > 1000


def test_the_command_tells_each_wrong_verdict_and_ends_with_one(tmp_path, capsys):
    cases = [
        {**CASE, "id": "right"},
        {**CASE, "id": "wrong", "expect": False},
        {**CASE, "id": "refused", "group": "invalid", "pattern_text": '{"a": "x"}'},
    ]
    file = tmp_path / "cases.jsonl"
    file.write_text("\n".join(map(json.dumps, cases)))
    with pytest.raises(SystemExit) as ended:
        call_command("conformance", "patterns", str(file))
    lines = capsys.readouterr().out.splitlines()
    assert ended.value.code == 1
    assert [json.loads(line) for line in lines[:2]] == [
        {"id": "wrong", "expect": False, "got": True},
        {"id": "refused", "expect": True, "got": "error"},
    ]
    assert [line.split() for line in lines[2:-1]] == [["exact", "1", "of", "2"], ["invalid", "0", "of", "1"]]
    assert lines[-1] == "1 of 3 right"


def test_the_command_ends_well_when_all_are_right(tmp_path, capsys):
    file = tmp_path / "cases.jsonl"
    file.write_text(json.dumps({**CASE, "id": "one"}) + "\n")
    call_command("conformance", "patterns", str(file))
    assert capsys.readouterr().out.splitlines()[-1] == "1 of 1 right"


@pytest.mark.parametrize("content", ["no json", '{"id": "no case"}', None])
def test_the_command_says_when_a_file_holds_no_cases(tmp_path, content):
    file = tmp_path / "cases.jsonl"
    if content is not None:
        file.write_text(content)
    with pytest.raises(CommandError, match="cannot be read as cases"):
        call_command("conformance", "patterns", str(file))


@pytest.mark.parametrize(
    ("event", "missing"),
    [
        ("text", ()),
        ('["text"]', ()),
        ("[" * 100_000, ()),
        (json.dumps({"a": 1}), tuple(ENVELOPE)),
        (json.dumps({**ENVELOPE} | {"id": 1}).replace('"region"', '"Region"'), ("region",)),
    ],
)
def test_an_event_without_the_envelope_is_refused(event, missing):
    with pytest.raises(InvalidEvent) as refused:
        check_event(event)
    assert set(refused.value.missing) == set(missing)


def test_an_event_needs_no_resources_and_no_detail():
    assert check_event(json.dumps(ENVELOPE)) == ENVELOPE
