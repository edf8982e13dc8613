"""A rule's file, the rule as it is here, and what the file said when it was applied last: what is to be done. Pure.

Files are the source; but a person who switched a rule on, or mended it at night, is not overwritten by a file that
says nothing new. Each part of a rule (its state, its pattern, its targets…) is looked at by itself: only what both
have changed, and differently, is a conflict.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Any

Document = dict[str, Any]


class Stand(Enum):
    """How a rule's file and the rule stand to each other."""

    SAME = "same"
    NEW = "new"  # a file without a rule: applying makes it
    CHANGED = "changed"  # the file has changed: applying brings that here
    EDITED = "edited"  # the rule was edited here: exporting brings that into the file
    BOTH = "both"  # both have changed, in different parts: applying keeps both
    CONFLICT = "conflict"  # both have changed the same part, differently: a person decides
    NO_FILE = "no-file"  # a rule whose file is gone
    CONSOLE = "console"  # a rule that no file ever had


@dataclass(frozen=True)
class Compared:
    """`merged` is the rule after applying; `conflicts` are the parts that applying would overwrite here."""

    stand: Stand
    merged: Document
    from_file: tuple[str, ...] = ()  # parts that the file brings
    edited_here: tuple[str, ...] = ()  # parts that were edited here, and stay
    conflicts: tuple[str, ...] = ()


def compare(base: Document | None, here: Document | None, file: Document) -> Compared:
    """Compare a file with the rule. `base` is what was applied last; None: it never was."""
    if here is None:
        return Compared(Stand.NEW, file, from_file=tuple(file))
    merged: Document = {}
    parts: dict[str, list[str]] = {"file": [], "here": [], "conflict": []}
    for key in dict.fromkeys([*file, *here, *(base or {})]):
        ours, theirs = here.get(key), file.get(key)
        before = base.get(key) if base is not None else None
        value = ours
        if ours != theirs:
            moved_here, moved_there = ours != before, theirs != before
            if base is None or (moved_here and moved_there):
                parts["conflict"].append(key)
            elif moved_there:
                parts["file"].append(key)
                value = theirs
            else:
                parts["here"].append(key)
        if value is not None:
            merged[key] = value
    return Compared(
        stand_of(parts),
        merged,
        from_file=tuple(parts["file"]),
        edited_here=tuple(parts["here"]),
        conflicts=tuple(parts["conflict"]),
    )


def stand_of(parts: dict[str, list[str]]) -> Stand:
    if parts["conflict"]:
        return Stand.CONFLICT
    if parts["file"] and parts["here"]:
        return Stand.BOTH
    if parts["file"]:
        return Stand.CHANGED
    return Stand.EDITED if parts["here"] else Stand.SAME
