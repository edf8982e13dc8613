"""State machines as files: read out of the playbooks, compared with what is here, brought here.

`<playbook>/workflow.asl.json` is the machine of the playbook's own name, `<playbook>/workflows/<name>.asl.json` one of
that name. What somebody has saved here since is not overwritten unseen.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any

from django.conf import settings

from accounts.models import User
from ops.workflows.asl.reasons import Reason
from ops.workflows.asl.validate import Fault, check_text
from ops.workflows.machines import save_version
from ops.workflows.models import StateMachine, StateMachineVersion

ENDING = ".asl.json"
ANOTHER_FILE = Reason("ANOTHER_FILE", "Another file is the machine %(name)s too: %(path)s.")
UNREADABLE = Reason("UNREADABLE", "The file cannot be read: %(why)s.")


class Stand(Enum):
    """How a file and the machine of its name stand to each other."""

    SAME = "same"
    NEW = "new"  # no machine of that name is here
    CHANGED = "changed"  # the file has changed since it was brought
    EDITED = "edited"  # the current version was saved here, by no file


@dataclass(frozen=True)
class MachineFile:
    """One file: which machine it is, where it lies below the playbooks, what it says, what is wrong with it."""

    name: str
    path: str
    text: str
    definition: Mapping[str, Any] | None
    faults: tuple[Fault, ...] = ()

    @property
    def playbook(self) -> str:
        return self.path.partition("/")[0]


def paths_of_machines() -> Iterator[tuple[str, Path]]:
    place = Path(settings.PLAYBOOKS_DIRECTORY)
    for path in sorted(place.glob(f"*/workflow{ENDING}")):
        yield path.parent.name, path
    for path in sorted(place.glob(f"*/workflows/*{ENDING}")):
        yield path.name.removesuffix(ENDING), path


def machine_names() -> frozenset[str]:
    """The names of the machines that files would bring."""
    return frozenset(name for name, _ in paths_of_machines())


def read_machines() -> list[MachineFile]:
    """Read every machine's file; one that is wrong says so, and spoils no other."""
    seen: dict[str, str] = {}
    files = []
    for name, path in paths_of_machines():
        file = read_machine(name, path)
        if name in seen:
            fault = Fault("", ANOTHER_FILE.of(name=name, path=seen[name]))
            file = MachineFile(name, file.path, file.text, file.definition, (*file.faults, fault))
        seen.setdefault(name, file.path)
        files.append(file)
    return files


def read_machine(name: str, path: Path) -> MachineFile:
    shown = str(path.relative_to(settings.PLAYBOOKS_DIRECTORY))
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        return MachineFile(name, shown, "", None, (Fault("", UNREADABLE.of(why=str(error))),))
    faults, definition = check_text(text)
    return MachineFile(name, shown, text, definition, tuple(each for each in faults if each.severity == "ERROR"))


def stand_of(file: MachineFile) -> Stand:
    machine = StateMachine.objects.select_related("current").filter(name=file.name).first()
    current = machine.current if machine else None
    if current is None:
        return Stand.NEW
    if json.loads(current.definition) == file.definition:
        return Stand.SAME
    return Stand.CHANGED if current.path else Stand.EDITED


def bring(file: MachineFile, *, reason: str, actor: User | None, now: datetime) -> StateMachineVersion | None:
    """Make what the file says the machine's current version; None where it says that already.

    Raises InvalidDefinition.
    """
    if stand_of(file) is Stand.SAME:
        return None
    why = reason or f"Applied from {file.path}."
    return save_version(file.name, file.text, reason=why, now=now, actor=actor, path=file.path)
