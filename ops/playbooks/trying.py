"""What of a playbook is tried on the past, by its files: a rule that starts a workflow of it, and that workflow."""

from collections.abc import Iterator
from datetime import datetime

from ops.rules import files as rule_files
from ops.rules.backtest import Trial as RuleTrial
from ops.rules.book import ReadyTarget, ready_target
from ops.rules.documents import fill, targets_of
from ops.rules.models import Mode, Rule
from ops.rules.patterns import compile_pattern
from ops.workflows.asl.definition import compile_machine
from ops.workflows.backtest import Trial, starts_machine
from ops.workflows.files import MachineFile, read_machines
from ops.workflows.mocks import MockedStates

Pair = tuple[str, Rule, ReadyTarget, MachineFile]  # playbook, and what starts what


class CannotTry(ValueError):
    """Nothing can be tried, or it is not said what. The text says why."""


def pairs() -> Iterator[Pair]:
    """Every rule of a playbook that starts a workflow of the same playbook, by their files' names."""
    machines = [file for file in read_machines() if not file.faults]
    for file in rule_files.read_files():
        playbook = file.path.partition("/")[0]
        if file.problems:
            continue
        rule = Rule()
        fill(rule, file.document)
        for target in map(ready_target, targets_of(rule, file.document)):
            for machine in machines:
                if machine.playbook == playbook and starts_machine(target, machine.name):
                    yield playbook, rule, target, machine


def trial_of(
    playbook: str, rule_name: str, *, since: datetime, until: datetime, states: MockedStates | None = None
) -> Trial:
    """Return what is to be tried; without a rule's name, the only one there is. Raises CannotTry."""
    found = [pair for pair in pairs() if pair[0] == playbook and rule_name in ("", pair[1].name)]
    if not found:
        raise CannotTry(f"No rule of the playbook {playbook} starts a workflow of it (manage.py playbooks check).")
    if len(found) > 1:
        names = ", ".join(pair[1].name for pair in found)
        raise CannotTry(f"Several rules start a workflow: name one with --rule: {names}")
    if since >= until:
        raise CannotTry("The period ends before it begins.")
    _, rule, target, machine = found[0]
    asked = RuleTrial(compile_pattern(rule.pattern), since, until, rule.owner, Mode(rule.mode), (), rule.name)
    return Trial(asked, target, compile_machine(dict(machine.definition or {})), states, machine.name)
