"""Cases recorded on AWS, run here: which verdicts are right. One function a kind of file; the command prints them."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from ops.rules.conformance import Score, Wrong
from ops.workflows.asl.definition import compile_machine
from ops.workflows.asl.history import Event
from ops.workflows.asl.inline import run
from ops.workflows.asl.jsonata import InvalidJsonata, UndefinedResult, evaluate_freely
from ops.workflows.asl.paths import parse_path
from ops.workflows.asl.running import Ended
from ops.workflows.asl.teststate import Trial, answer_of, try_state
from ops.workflows.asl.validate import check_text
from ops.workflows.asl.written import same_json
from ops.workflows.mocks import MockedFunctions
from ops.workflows.rehearse import rehearse

Json = Any
Case = Mapping[str, Json]
# The account in which the cases were recorded: they tell its role.
RECORDED_AS = {"RoleArn": "arn:aws:iam::111111111111:role/snf_role"}
START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Verdict:
    """What came of one case."""

    id: str
    group: str
    right: bool
    expect: Json
    got: Json


Runner = Callable[[Case], Ended]


def judge_asl(case: Case, *, runner: Runner | None = None) -> Verdict:
    """Run one execution and compare how it ended: status, then output or error; the history's types where recorded."""
    expect = case["expect"]
    ended = (runner or run_inline)(case)
    got: dict[str, Json] = {"status": ended.status}
    right = ended.status == expect["status"]
    if ended.status == "SUCCEEDED":
        got["output"] = ended.output
        right = right and same_output(expect, ended.output)
    else:
        got |= {"error": ended.failure.error, "cause": ended.failure.cause}
        right = right and ("error" in ignored(expect) or ended.failure.error == expect.get("error"))
        right = right and same_cause(expect, ended.failure.cause)
    if right and "history" in expect and case.get("type") != "EXPRESS":
        got["history"] = [event.type for event in ended.history]
        right = same_history(case, ended.history)
    return Verdict(case["id"], case["group"], right, expect, got)


def run_inline(case: Case, *, real_time: bool = False) -> Ended:
    world = MockedFunctions(case.get("lambdas") or ())
    machine = compile_machine(case["definition"])
    redrives = not is_synchronous(case)
    return run(machine, case["input"], world, now=START, execution=RECORDED_AS, redrives=redrives, real_time=real_time)


def run_durably(case: Case) -> Ended:
    """Run one case through the durable engine, on a simulated clock, and leave nothing behind."""
    world = MockedFunctions(case.get("lambdas") or ())
    return rehearse(case["definition"], case["input"], world, now=START, role_arn=RECORDED_AS["RoleArn"])


def is_synchronous(case: Case) -> bool:
    """Synchronous express executions are never redriven, and their context does not say so."""
    return case.get("type") == "EXPRESS" and "sync" in case["id"].rpartition("/")[0].lower().replace("async", "")


def ignored(expect: Case) -> list[str]:
    return expect.get("ignore_paths") or []


def same_output(expect: Case, output: Json) -> bool:
    if "output" not in expect:
        return True
    paths = [path.removeprefix("output") for path in ignored(expect) if path.startswith("output")]
    told = [path.removeprefix("output") for path in expect.get("lambda_error_json_paths") or ()]
    return same_json(masked(expect["output"], paths, told), masked(output, paths, told))


def same_cause(expect: Case, cause: str | None) -> bool:
    if "cause" not in expect or "cause" in ignored(expect):
        return True
    if not isinstance(expect["cause"], dict):
        return bool(cause == expect["cause"])
    try:
        return same_json(without_run(expect["cause"]), without_run(json.loads(cause or "")))
    except ValueError:
        return False


def without_run(told: dict[str, Json]) -> dict[str, Json]:
    """What a function's runtime says of an error, without what is of one run alone."""
    return {name: value for name, value in told.items() if name not in ("requestId", "stackTrace")}


def masked(document: Json, paths: Sequence[str], told: Sequence[str]) -> Json:
    """A copy without what differs from run to run: values at `paths`, and the run in an error's text at `told`."""
    copy = json.loads(json.dumps(document))
    for path in paths:
        if not path:
            return None
        change_at(copy, path, lambda _value: None)
    for path in told:
        change_at(copy, path, lambda value: without_run(json.loads(value)))
    return copy


def change_at(document: Json, path: str, change: Callable[[Json], Json]) -> None:
    keys = [step.key for step in parse_path(f"${path}").steps]
    for key in keys[:-1]:
        try:
            document = document[key]
        except (LookupError, TypeError):
            return
    try:
        document[keys[-1]] = change(document[keys[-1]])
    except (LookupError, TypeError, ValueError):
        return


def same_history(case: Case, history: Sequence[Event]) -> bool:
    wanted = [event["type"] for event in case["expect"]["history"]]
    got = [event.type for event in history]
    return wanted == got if case.get("history_order") == "exact" else sorted(wanted) == sorted(got)


def judge_validation(case: Case) -> Verdict:
    """Check one definition: valid, or invalid."""
    faults, _ = check_text(case["definition_text"], express=case.get("type") == "EXPRESS")
    wrong = [fault for fault in faults if fault.severity == "ERROR"]
    verdict = "invalid" if wrong else "valid"
    got = {"verdict": verdict, "faults": [str(fault) for fault in wrong]} if wrong else verdict
    return Verdict(case["id"], case["group"], verdict == case["expect"], case["expect"], got)


def judge_state(case: Case) -> Verdict:
    """Try one state and compare its status, output or error, the next state and the inspection data."""
    expect = case["expect"]
    tried = try_state(
        case["definition"], trial_of(case), MockedFunctions(case.get("lambdas") or (), unknown={"op": "echo"})
    )
    got: dict[str, Json] = {"status": tried.status, "output": tried.output, "nextState": tried.next}
    got |= {"error": tried.failure.error, "cause": tried.failure.cause, "inspectionData": dict(tried.inspection)}
    right = tried.status == expect["status"] and same_output(expect, tried.output)
    for name in ("error", "cause", "nextState"):
        right = right and (name in ignored(expect) or name not in expect or expect[name] == got[name])
    right = right and same_inspection(expect, tried.inspection)
    return Verdict(case["id"], case["group"], right, expect, got)


def trial_of(case: Case) -> Trial:
    configuration = case.get("stateConfiguration") or {}
    items = configuration.get("mapItemReaderData")
    return Trial(
        input=case["input"],
        now=START,
        state_name=case.get("stateName", ""),
        variables=case.get("variables") or {},
        context=json.loads(case["context"]) if case.get("context") else None,
        mock=answer_of(case.get("mock")),
        failed_iterations=configuration.get("mapIterationFailureCount"),
        retries=configuration.get("retrierRetryCount", 0),
        items=json.loads(items) if items else None,
    )


def same_inspection(expect: Case, told: Mapping[str, Json]) -> bool:
    """Recorded inspection data tells lists as JSON in strings; results that hold what differs are not compared."""
    wanted = expect.get("inspectionData")
    if wanted is None:
        return True
    if wanted.keys() != told.keys():
        return False
    if ignored(expect):
        return True
    return all(same_json(read_if_text(wanted[name], told[name]), told[name]) for name in wanted)


def read_if_text(value: Json, other: Json) -> Json:
    return json.loads(value) if isinstance(value, str) and isinstance(other, list | dict) else value


def judge_jsonata(case: Case, *, datasets: Callable[[str], Json]) -> Verdict:
    """Evaluate one expression as JSONata's own suite does."""
    expect = case["expect"]
    given = datasets(case["dataset"]) if case.get("dataset") else case.get("data", UNDEFINED)
    try:
        value = evaluate_freely(case["expr"], given, case.get("bindings") or {}, undefined=given is UNDEFINED)
        got: dict[str, Json] = {"result": value}
        right = "result" in expect and same_json(expect["result"], value)
    except UndefinedResult:
        got, right = {"undefined": True}, bool(expect.get("undefined"))
    except InvalidJsonata as error:
        got, right = {"error_code": str(error)}, "error_code" in expect
    return Verdict(case["id"], case["group"], right, expect, got)


UNDEFINED = object()


def read_cases(lines: Iterable[str]) -> Iterator[Case]:
    return (json.loads(line) for line in lines if line.strip())


def score(lines: Iterable[str], judge: Callable[[Case], Verdict]) -> Score:
    """Judge every case; one that breaks is a wrong verdict, and the others go on. Raises ValueError for no JSON."""
    total = Score()
    for case in read_cases(lines):
        try:
            verdict = judge(case)
        except Exception as error:  # ours, and one wrong verdict
            verdict = Verdict(case["id"], case["group"], False, case["expect"], f"{type(error).__name__}: {error}")
        right, all_ = total.groups.get(verdict.group, (0, 0))
        total.groups[verdict.group] = right + verdict.right, all_ + 1
        if not verdict.right:
            total.wrong.append(Wrong(verdict.id, verdict.expect, verdict.got))
    return total


def runner_of(engine: str, *, real_time: bool = False) -> Runner:
    """What runs cases: `inline` in memory, `durable` through rows. Raises ValueError for waits that only one has."""
    if engine == "durable":
        if real_time:
            raise ValueError("--real-time is for --engine inline: rows are run on a simulated clock.")
        return run_durably
    return lambda case: run_inline(case, real_time=real_time)


def datasets_beside(file: Path) -> Callable[[str], Json]:
    """The datasets that JSONata's cases name, which lie in a folder beside their file."""

    @lru_cache
    def dataset(name: str) -> Json:
        return json.loads((file.parent / "jsonata_datasets" / f"{name}.json").read_text(encoding="utf-8"))

    return dataset


def macro_average(groups: Mapping[str, tuple[int, int]]) -> float:
    """Return the mean of the groups' shares of right verdicts: large groups do not outweigh small ones."""
    return sum(right / all_ for right, all_ in groups.values()) / len(groups) if groups else 0.0
