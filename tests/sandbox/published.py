"""What Stripe's published schema says of null, where the official library's classes do not: to them a field that may be
absent and one that is always there, but may be null, are alike.

published.json has, for each kind of object, the fields that are always there though they may be null (`required`) and
those that may be absent but are never null (`never_null`), as dotted paths. Source: the types of Stripe's library for
Node, version 22.6.2 (MIT), which are made from the schema of 2026-08-26.dahlia; published_types.py makes it of them.
"""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_suffix(".json")


@cache
def rules() -> dict[str, dict[str, list[list[str]]]]:
    """By kind and rule, each path as its names."""
    told = json.loads(FILE.read_text())
    return {
        kind: {rule: [path.split(".") for path in paths.split()] for rule, paths in found.items()}
        for kind, found in told.items()
    }


def faults(kind: str, doc: dict[str, Any], path: str) -> Iterator[str]:
    """Each fault as `path: what`; none for a kind that is not in the schema."""
    known = rules().get(kind, {})
    for names in known.get("required", []):
        for holder in _holders(doc, names[:-1]):
            if names[-1] not in holder:
                yield f"{path}.{'.'.join(names)}: missing"
    for names in known.get("never_null", []):
        for holder in _holders(doc, names[:-1]):
            if holder.get(names[-1], "") is None:
                yield f"{path}.{'.'.join(names)}: null"


def _holders(value: Any, names: list[str]) -> Iterator[dict[str, Any]]:
    """The hashes at a path, in each member of a list on the way; other objects are looked at by themselves."""
    if isinstance(value, list):
        for member in value:
            yield from _holders(member, names)
    elif isinstance(value, dict) and not names:
        yield value
    elif isinstance(value, dict):
        inner = value.get(names[0])
        if not (isinstance(inner, dict) and "object" in inner):
            yield from _holders(inner, names[1:])
