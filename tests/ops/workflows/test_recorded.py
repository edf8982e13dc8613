"""What AWS answered, answered here: executions, definitions, single states, and JSONata's own suite."""

import json
from pathlib import Path

import pytest

from ops.workflows.conformance import Verdict, judge_asl, judge_jsonata, judge_state, judge_validation, read_cases

VECTORS = Path(__file__).resolve().parents[4] / "shared" / "vectors"
pytestmark = pytest.mark.skipif(not VECTORS.is_dir(), reason="The recorded cases (../shared/vectors) are not here.")

# One case tells the output of a function without telling what the function does.
UNKNOWABLE = {
    "ls/ts/test_test_state_scenarios/TestStateCaseScenarios/test_base_lambda_task_state[INFO]#test_case_response"
}
# The library differs from JSONata's own suite in these: in how it sorts by a comparison that is no order, writes large
# floats, reads dates with a space, and handles patterns that match nothing or have no groups.
LIBRARY = {
    *("jsonata/function-sort/case009", "jsonata/function-string/case006", "jsonata/function-string/case030"),
    *("jsonata/function-tomillis/case009", "jsonata/regex/case022", "jsonata/regex/case034"),
    "jsonata/flattening/large#0",  # right, and slow
    "jsonata/performance/case001",
}


def cases_of(name: str) -> list[dict]:
    return list(read_cases((VECTORS / name).read_text(encoding="utf-8").splitlines()))


def wrong(verdicts: list[Verdict]) -> list[str]:
    return [f"{verdict.id}: wanted {verdict.expect}, got {verdict.got}" for verdict in verdicts if not verdict.right]


def test_executions_end_as_on_aws():
    assert wrong([judge_asl(case) for case in cases_of("asl_cases.jsonl")]) == []


def test_definitions_are_refused_that_aws_refuses():
    cases = [case for case in cases_of("asl_validation.jsonl") if case["group"].startswith("validate/")]
    assert len(cases) > 200
    assert wrong([judge_validation(case) for case in cases]) == []


def test_single_states_answer_as_on_aws():
    cases = [case for case in cases_of("asl_test_state.jsonl") if case["id"] not in UNKNOWABLE]
    assert wrong([judge_state(case) for case in cases]) == []


def test_expressions_give_what_jsonata_gives():
    datasets: dict[str, object] = {}

    def dataset(name: str) -> object:
        if name not in datasets:
            datasets[name] = json.loads((VECTORS / "jsonata_datasets" / f"{name}.json").read_text(encoding="utf-8"))
        return datasets[name]

    cases = [case for case in cases_of("jsonata_cases.jsonl") if case["id"] not in LIBRARY]
    assert wrong([judge_jsonata(case, datasets=dataset) for case in cases]) == []


def test_the_command_tells_what_is_wrong_and_how_much_is_right(tmp_path, capsys):
    from django.core.management import call_command

    good = (VECTORS / "asl_cases.jsonl").read_text(encoding="utf-8").splitlines()[0]
    bad = json.dumps({**json.loads(good), "id": "bad", "expect": {"status": "FAILED"}})
    file = tmp_path / "cases.jsonl"
    file.write_text(f"{good}\n{bad}\n", encoding="utf-8")
    with pytest.raises(SystemExit):
        call_command("conformance", "asl", str(file))
    told = capsys.readouterr().out.splitlines()
    assert json.loads(told[0])["id"] == "bad"
    assert told[-1].startswith("1 of 2 right, macro-average by group 0.5")
