"""Bringing playbooks here: everything is checked before anything changes; machines before the rules that start them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from accounts.models import User
from ops.playbooks.book import Playbook
from ops.rules import files as rule_files
from ops.rules.edit import set_state
from ops.rules.merging import Stand as RuleStand
from ops.rules.models import Rule, RuleState
from ops.workflows.files import Stand, bring, read_machines, stand_of


class BadPlaybooks(Exception):
    """Some playbooks cannot be applied; nothing was. `faults` says why, each with its file."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("Some playbooks cannot be applied.")
        self.faults = list(faults)


@dataclass(frozen=True)
class Applied:
    """What became of one thing of a playbook: made, changed, switched on, or kept."""

    playbook: str
    kind: str  # machine or rule
    name: str
    did: str


def apply(
    playbooks: Sequence[Playbook],
    *,
    force: bool,
    switch_on: bool,
    reason: str,
    actor: User | None,
    now: datetime,
    dry_run: bool = False,
) -> list[Applied]:
    """Bring what playbooks say here. Again at once it does nothing.

    `force` takes the file where something was edited here too. `switch_on` switches their rules on.
    Raises BadPlaybooks.
    """
    check(playbooks, force=force)
    done = [
        Applied(book.name, "machine", file.name, words_of(stand))
        for book in playbooks
        for file, stand in book.machines
        if stand is not None
    ]
    if not dry_run:
        for book in playbooks:
            for file, _ in book.machines:
                bring(file, reason=reason, actor=actor, now=now)
    entries = [entry for book in playbooks for entry in book.rules]
    more = {"reason": reason, "actor": actor, "now": now, "dry_run": dry_run}
    rules = rule_files.apply(entries, force=force, prune=False, **more)  # type: ignore[arg-type]
    folders = {entry.name: entry.path.partition("/")[0] for entry in entries}
    done += [Applied(folders[each.name], "rule", each.name, each.did) for each in rules]
    if switch_on and not dry_run:
        done += switched_on(folders, reason=reason, actor=actor, now=now)
    return done


def check(playbooks: Sequence[Playbook], *, force: bool) -> None:
    faults = [fault for book in playbooks for fault in book.faults]
    if not force:
        faults += [
            f"{file.path}: {file.name} was edited here since; --force takes the file."
            for book in playbooks
            for file, stand in book.machines
            if stand is Stand.EDITED
        ]
        faults += [
            f"{entry.path}: {entry.name} was changed here in the same part; --force takes the file."
            for book in playbooks
            for entry in book.rules
            if entry.stand is RuleStand.CONFLICT and not entry.problems
        ]
    if faults:
        raise BadPlaybooks(faults)


def words_of(stand: Stand) -> str:
    return {Stand.NEW: "made", Stand.SAME: "kept"}.get(stand, "changed")


def switched_on(folders: dict[str, str], *, reason: str, actor: User | None, now: datetime) -> list[Applied]:
    off = Rule.objects.filter(name__in=folders, state=RuleState.OFF).order_by("name")
    done = []
    for rule in off:
        set_state(rule, RuleState.ON, actor=actor, reason=reason or "Switched on with its playbook.", now=now)
        done.append(Applied(folders[rule.name], "rule", rule.name, "switched on"))
    return done


def bring_machines(playbooks: Collection[str], *, reason: str, actor: User | None, now: datetime) -> None:
    """Bring the machines of these folders that are not here yet: rules that start them are about to be applied alone.

    Raises BadPlaybooks.
    """
    chosen = [file for file in read_machines() if file.playbook in playbooks and stand_of(file) is Stand.NEW]
    faults = [f"{file.path}: {fault}" for file in chosen for fault in file.faults]
    if faults:
        raise BadPlaybooks(faults)
    for file in chosen:
        bring(file, reason=reason, actor=actor, now=now)
