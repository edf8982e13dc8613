"""What is wrong with a definition: all faults at once, each with its place. Pure.

Rules: the States Language's specification, and what Step Functions refuses ("ValidateStateMachineDefinition").
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ops.workflows.asl import fields, handling, kinds, reasons
from ops.workflows.asl.definition import JSONATA, JSONPATH
from ops.workflows.asl.fields import Check, Place, Problem
from ops.workflows.asl.reach import reach_faults
from ops.workflows.asl.reasons import Reason
from ops.workflows.asl.scopes import shadowing

Json = Any
MACHINE_FIELDS = frozenset({"Comment", "StartAt", "States", "Version", "TimeoutSeconds", "QueryLanguage"})
PROCESSOR_FIELDS = frozenset({"Comment", "StartAt", "States", "ProcessorConfig", "QueryLanguage"})
BRANCH_FIELDS = frozenset({"Comment", "StartAt", "States", "QueryLanguage", "ProcessorConfig"})
LONGEST_NAME = 80  # characters; Step Functions docs, "States"
LARGEST_DEFINITION = 1_048_576  # bytes; "Quotas"
LANGUAGE = reasons.ONE_OF.of(name="QueryLanguage", choices=f"{JSONPATH}, {JSONATA}")


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong. `severity`: with an ERROR it cannot be run; a WARNING is worth a look."""

    path: str  # /States/Pay/Next
    why: Reason
    severity: str = "ERROR"

    @property
    def reason(self) -> str:
        """Why, in English."""
        return str(self.why)

    @property
    def code(self) -> str:
        return self.why.code

    def __str__(self) -> str:
        return f"{self.reason} at {self.path or '/'}"


class InvalidDefinition(ValueError):
    """The definition is not one of a state machine."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("; ".join(map(str, faults)))
        self.faults = faults


def read_definition(text: str) -> dict[str, Json]:
    """Read a definition and check it. Raises InvalidDefinition with every fault that is an error."""
    faults, definition = check_text(text)
    wrong = [fault for fault in faults if fault.severity == "ERROR"]
    if wrong or definition is None:
        raise InvalidDefinition(wrong)
    return definition


def check_text(text: str, *, express: bool = False) -> tuple[list[Fault], dict[str, Json] | None]:
    """Return the faults of a definition's text, and the definition where it could be read at all."""
    if len(text.encode(errors="replace")) > LARGEST_DEFINITION:
        return [Fault("", reasons.TOO_LARGE)], None
    repeated: list[str] = []

    def once(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
        names = [name for name, _ in pairs]
        repeated.extend(name for name in dict.fromkeys(names) if names.count(name) > 1)
        return dict(pairs)

    try:
        definition = json.loads(text, object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        return [Fault("", reasons.NOT_JSON.of(why=str(error)))], None
    if not isinstance(definition, dict):
        return [Fault("", reasons.NOT_AN_OBJECT)], None
    faults = [Fault("", reasons.REPEATED.of(name=name)) for name in repeated]
    return [*faults, *check(definition, express=express)], definition


def check(definition: Mapping[str, Json], *, express: bool = False) -> list[Fault]:
    """Return the faults of a definition, in the order of their places."""
    checker = Checker(express=express)
    checker.machine(definition)
    return checker.faults


class Checker:
    """Walks through a definition and gathers what is wrong."""

    def __init__(self, *, express: bool) -> None:
        self.faults: list[Fault] = []
        self.express = express
        self.names: dict[str, str] = {}

    def fault(self, path: str, why: Reason, severity: str = "ERROR") -> None:
        self.faults.append(Fault(path, why, severity))

    def machine(self, definition: Mapping[str, Json]) -> None:
        self.unknown(definition, MACHINE_FIELDS, "")
        language = definition.get("QueryLanguage", JSONPATH)
        if language not in (JSONPATH, JSONATA):
            self.fault("/QueryLanguage", LANGUAGE)
            language = JSONPATH
        self.add(fields.check_seconds(definition, "TimeoutSeconds", "", least=1))
        if "Version" in definition and definition["Version"] != "1.0":
            self.fault("/Version", reasons.ONE_OF.of(name="Version", choices="1.0"))
        self.flow(definition, "", language)
        for place, reason in shadowing(definition):
            self.fault(place, reason, "WARNING")

    def flow(self, flow: Json, path: str, language: str) -> None:
        if not isinstance(flow, dict):
            self.fault(path, reasons.FLOW)
            return
        states = flow.get("States")
        if not isinstance(flow.get("StartAt"), str):
            self.fault(f"{path}/StartAt", reasons.REQUIRED_STRING.of(name="StartAt"))
        if not isinstance(states, dict) or not states:
            self.fault(f"{path}/States", reasons.NO_STATES)
            return
        for name, state in states.items():
            self.state(name, state, f"{path}/States/{name}", language)
        for fault in reach_faults(flow, path):
            self.fault(*fault)

    def state(self, name: str, state: Json, path: str, language: str) -> None:
        if not isinstance(state, dict):
            self.fault(path, reasons.STATE)
            return
        if not 0 < len(name) <= LONGEST_NAME:
            self.fault(path, reasons.NAME_LENGTH.of(most=LONGEST_NAME))
        if name in self.names:
            self.fault(path, reasons.NAME_TAKEN.of(path=self.names[name]))
        self.names.setdefault(name, path)
        kind = state.get("Type")
        if kind not in fields.FIELDS:
            self.fault(f"{path}/Type", reasons.ONE_OF.of(name="Type", choices=", ".join(fields.FIELDS)))
            return
        spoken = self.language(state, path, language)
        self.unknown(state, fields.allowed(kind, spoken), path)
        place = Place(path, kind, spoken, self.express)
        for check_field in CHECKS:
            self.add(check_field(state, place))
        self.inner(state, path, kind, language)

    def language(self, state: Mapping[str, Json], path: str, language: str) -> str:
        spoken = state.get("QueryLanguage", language)
        if spoken not in (JSONPATH, JSONATA):
            self.fault(f"{path}/QueryLanguage", LANGUAGE)
            return language
        if language == JSONATA and spoken == JSONPATH:
            self.fault(f"{path}/QueryLanguage", reasons.LANGUAGES_MIXED)
        return str(spoken)

    def inner(self, state: Mapping[str, Json], path: str, kind: str, language: str) -> None:
        if kind == "Parallel":
            branches = state.get("Branches")
            if not isinstance(branches, list) or not branches:
                self.fault(f"{path}/Branches", reasons.NO_BRANCHES)
                return
            for number, branch in enumerate(branches):
                self.branch(branch, f"{path}/Branches/{number}", BRANCH_FIELDS, language)
        if kind == "Map":
            name = "ItemProcessor" if "ItemProcessor" in state else "Iterator"
            if name not in state:
                self.fault(f"{path}/ItemProcessor", reasons.REQUIRED.of(name="ItemProcessor"))
                return
            self.branch(state[name], f"{path}/{name}", PROCESSOR_FIELDS, language)

    def branch(self, branch: Json, path: str, known: frozenset[str], language: str) -> None:
        if isinstance(branch, dict):
            self.unknown(branch, known, path)
        self.flow(branch, path, language)

    def unknown(self, given: Mapping[str, Json], known: frozenset[str], path: str) -> None:
        for name in given:
            if name not in known:
                self.fault(f"{path}/{name}", reasons.UNKNOWN.of(name=name))

    def add(self, problems: Iterable[Problem]) -> None:
        for path, why in problems:
            self.fault(path, why)


CHECKS: tuple[Check, ...] = (
    *(fields.check_leading, fields.check_one_of, fields.check_paths, fields.check_templates, fields.check_numbers),
    *(kinds.check_wait, kinds.check_task, kinds.check_fail, kinds.check_choice, kinds.check_map),
    *(handling.check_retry, handling.check_catch),
)
