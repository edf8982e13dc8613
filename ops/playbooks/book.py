"""Playbooks as files: what each folder holds, how it stands to what is here, and everything that is wrong with it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils import translation

from ops.effects.mail.facts import sample_values
from ops.effects.mail.letters import ENGLISH, BadLetter, languages_of, write
from ops.effects.registry import ARN, EFFECTS
from ops.rules import files as rule_files
from ops.rules.files import Entry
from ops.rules.merging import Stand as RuleStand
from ops.workflows.files import MachineFile, Stand, read_machines, stand_of

LETTERS = frozenset({f"{ARN}send-email", f"{ARN}ask-customer"})  # effects that send one
ELSEWHERE = frozenset({"await-event"})  # activities that are no effects: the engine itself answers them


@dataclass(frozen=True)
class Playbook:
    """One folder: its machines with how they stand, its rules, its letters by name, and what is wrong."""

    name: str
    machines: tuple[tuple[MachineFile, Stand | None], ...]  # None: the file is wrong
    rules: tuple[Entry, ...]
    letters: tuple[str, ...]
    faults: tuple[str, ...]

    @property
    def applied(self) -> bool:
        """Whether everything here is as its files say."""
        return all(stand is Stand.SAME for _, stand in self.machines) and all(
            entry.stand is RuleStand.SAME for entry in self.rules
        )


def read_playbooks() -> list[Playbook]:
    """Read every folder below PLAYBOOKS_DIRECTORY that holds something, by name."""
    machines, entries = read_machines(), rule_files.compare_all()
    names = {file.playbook for file in machines} | {folder_of(entry.path) for entry in entries}
    names |= {path.parent.parent.name for path in Path(settings.PLAYBOOKS_DIRECTORY).glob("*/emails/*.txt")}
    return [read_playbook(name, machines, entries) for name in sorted(names - {""})]


def folder_of(path: str) -> str:
    return path.partition("/")[0]


def read_playbook(name: str, machines: list[MachineFile], entries: list[Entry]) -> Playbook:
    own = [file for file in machines if file.playbook == name]
    rules = tuple(entry for entry in entries if folder_of(entry.path) == name)
    letters = letters_of(name)
    faults = [*faults_of_machines(own), *faults_of_letters(letters), *faults_of_rules(rules)]
    stands = tuple((file, None if file.faults else stand_of(file)) for file in own)
    return Playbook(name, stands, rules, tuple(letters), tuple(faults))


def letters_of(playbook: str) -> list[str]:
    files = (Path(settings.PLAYBOOKS_DIRECTORY) / playbook / "emails").glob("*.txt")
    return sorted({f"{playbook}/{path.name.partition('.')[0]}" for path in files})


def faults_of_machines(machines: list[MachineFile]) -> Iterator[str]:
    for file in machines:
        yield from (f"{file.path}: {fault}" for fault in file.faults)
        for place, state in tasks_in(file.definition or {}):
            if fault := fault_of_task(state):
                yield f"{file.path}: {fault} at {place}"


def tasks_in(flow: Any, place: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every Task state of a definition, those inside branches and maps too, with its place."""
    for name, state in states_of(flow):
        here = f"{place}/States/{name}"
        if state.get("Type") == "Task":
            yield here, state
        for number, branch in enumerate(state.get("Branches") or ()):
            yield from tasks_in(branch, f"{here}/Branches/{number}")
        for key in ("ItemProcessor", "Iterator"):
            yield from tasks_in(state.get(key), f"{here}/{key}")


def states_of(flow: Any) -> list[tuple[str, Mapping[str, Any]]]:
    states = flow.get("States") if isinstance(flow, Mapping) else None
    return [(name, state) for name, state in (states or {}).items() if isinstance(state, Mapping)]


def fault_of_task(state: Mapping[str, Any]) -> str:
    """What can be said of a task before it ever runs: whether its effect is here, and its letter."""
    resource = str(state.get("Resource", ""))
    name = resource.removeprefix(ARN)
    if not resource.startswith(ARN):
        return ""
    if name not in EFFECTS and name not in ELSEWHERE:
        return f"No effect is named {name}"
    template = (state.get("Parameters") or state.get("Arguments") or {}).get("template")
    if resource in LETTERS and template is not None and ENGLISH not in languages_of(str(template)):
        return f"There is no letter {template}"
    return ""


def faults_of_letters(names: list[str]) -> Iterator[str]:
    for name in names:
        languages = languages_of(name)
        if ENGLISH not in languages:
            yield f"{name.replace('/', '/emails/')}: It lacks English, which is read where a language is lacking."
        for language, path in sorted(languages.items()):
            shown = f"{name.partition('/')[0]}/emails/{path.name}"
            if language not in dict(settings.LANGUAGES):
                yield f"{shown}: Nobody here reads “{language}”."
            elif fault := fault_of_letter(path, language):
                yield f"{shown}: {fault}"


def fault_of_letter(path: Path, language: str) -> str:
    """What keeps a letter from being written, tried on a sample."""
    try:
        with translation.override(language):
            write(path.read_text(encoding="utf-8"), sample_values(), site_url=settings.SITE_URL)
    except (OSError, UnicodeDecodeError) as error:
        return f"The file cannot be read: {error}."
    except BadLetter as error:
        return str(error)
    return ""


def faults_of_rules(entries: tuple[Entry, ...]) -> Iterator[str]:
    for entry in entries:
        yield from (f"{entry.path}: {problem}" for problem in entry.problems)
