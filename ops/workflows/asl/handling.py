"""What Retry and Catch must say. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from ops.workflows.asl import reasons
from ops.workflows.asl.fields import (
    Place,
    Problem,
    assign_problems,
    jsonata_problems,
    result_path_problems,
    whole_problems,
)

Json = Any


def check_retry(state: Mapping[str, Json], place: Place) -> Iterator[Problem]:
    retry = state.get("Retry", [])
    if not isinstance(retry, list):
        yield f"{place.path}/Retry", reasons.LIST_FIELD.of(name="Retry")
        return
    for number, entry in enumerate(retry):
        path = f"{place.path}/Retry/{number}"
        yield from error_problems(entry, path, last=number == len(retry) - 1)
        if isinstance(entry, dict):
            yield from retrier_problems(entry, path)


RETRIER_FIELDS = frozenset(
    {"ErrorEquals", "IntervalSeconds", "MaxAttempts", "BackoffRate", "MaxDelaySeconds", "JitterStrategy", "Comment"}
)


def retrier_problems(entry: Mapping[str, Json], path: str) -> Iterator[Problem]:
    for name in entry:
        if name not in RETRIER_FIELDS:
            yield f"{path}/{name}", reasons.UNKNOWN.of(name=name)
    yield from whole_problems(entry, "IntervalSeconds", path, jsonata=False, least=1, most=99_999_999)
    yield from whole_problems(entry, "MaxAttempts", path, jsonata=False, least=0, most=99_999_999)
    yield from whole_problems(entry, "MaxDelaySeconds", path, jsonata=False, least=1, most=31_622_400)
    rate = entry.get("BackoffRate", 2)
    if isinstance(rate, bool) or not isinstance(rate, int | float) or rate < 1:
        yield f"{path}/BackoffRate", reasons.NUMBER_AT_LEAST.of(least=1)
    if entry.get("JitterStrategy", "NONE") not in ("FULL", "NONE"):
        yield f"{path}/JitterStrategy", reasons.ONE_OF.of(name="JitterStrategy", choices="FULL, NONE")
    delay, interval = entry.get("MaxDelaySeconds"), entry.get("IntervalSeconds", 1)
    if isinstance(delay, int) and isinstance(interval, int) and delay <= interval:
        yield f"{path}/MaxDelaySeconds", reasons.GREATER.of(name="MaxDelaySeconds", other="IntervalSeconds")


def check_catch(state: Mapping[str, Json], place: Place) -> Iterator[Problem]:
    catch = state.get("Catch", [])
    if not isinstance(catch, list):
        yield f"{place.path}/Catch", reasons.LIST_FIELD.of(name="Catch")
        return
    known = {"ErrorEquals", "Next", "Comment", "Assign"} | ({"Output"} if place.jsonata else {"ResultPath"})
    for number, entry in enumerate(catch):
        path = f"{place.path}/Catch/{number}"
        yield from error_problems(entry, path, last=number == len(catch) - 1)
        if not isinstance(entry, dict):
            continue
        for name in entry:
            if name not in known:
                yield f"{path}/{name}", reasons.UNKNOWN.of(name=name)
        if not isinstance(entry.get("Next"), str):
            yield f"{path}/Next", reasons.REQUIRED_STRING.of(name="Next")
        if "Output" in entry and place.jsonata:
            yield from jsonata_problems(entry["Output"], f"{path}/Output")
        if not place.jsonata:
            yield from result_path_problems(entry, path)
        yield from assign_problems(entry, place, path)


def error_problems(entry: Json, path: str, *, last: bool) -> Iterator[Problem]:
    if not isinstance(entry, dict):
        yield path, reasons.ENTRY
        return
    errors = entry.get("ErrorEquals")
    if not isinstance(errors, list) or not errors or not all(isinstance(name, str) for name in errors):
        yield f"{path}/ErrorEquals", reasons.NO_ERRORS
    elif "States.ALL" in errors and (len(errors) > 1 or not last):
        yield f"{path}/ErrorEquals", reasons.ALL_ALONE
