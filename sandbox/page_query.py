"""The SQL by which a page of a list is read: documents of a kind, by the values of indexed fields. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TIMELESS = "(instr(body, '\"_clock\":')=0 OR json_extract(body, '$._clock') IS NULL)"
"""What does not live in the time of a test clock. The quick look comes first: most documents have no such field."""
COMPARISONS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


@dataclass(frozen=True)
class Cursor:
    """A place in a list."""

    created: int
    seq: int


def page_query(
    scope: str,
    kind: str,
    filters: Mapping[str, Any],
    created: Mapping[str, int],
    after: Cursor | None,
    before: Cursor | None,
) -> tuple[str, list[Any]]:
    """The first one-value filter drives the scan in the order of its index; further filters are looked up."""
    wanted = {field: as_values(value) for field, value in filters.items() if value is not None}
    driver = next((field for field, values in wanted.items() if len(values) == 1), None)
    if driver is None:
        values: list[Any]
        clauses, values = ["t.scope=?", "t.kind=?", "t.deleted=0"], [scope, kind]
        source = "SELECT t.body FROM objects t WHERE "
    else:
        clauses = ["t.scope=?", "t.kind=?", "t.field=?", "t.value=?"]
        values = [scope, kind, driver, *wanted.pop(driver)]
        source = "SELECT o.body FROM object_index t JOIN objects o ON o.seq=t.seq WHERE "
    for field, options in wanted.items():
        marks = ",".join("?" * len(options))
        clauses.append(
            "EXISTS (SELECT 1 FROM object_index i WHERE i.scope=t.scope AND i.kind=t.kind AND i.field=? "  # noqa: S608
            f"AND i.value IN ({marks}) AND i.created=t.created AND i.seq=t.seq)"
        )
        values += [field, *options]
    for name, bound in created.items():
        clauses.append(f"t.created {COMPARISONS[name]} ?")
        values.append(bound)
    if place := after or before:
        clauses.append(f"(t.created, t.seq) {'<' if after else '>'} (?,?)")
        values += [place.created, place.seq]
    return source + " AND ".join(clauses), values


def as_values(value: Any) -> list[str]:
    return [_text(item) for item in value] if isinstance(value, list | tuple | set) else [_text(value)]


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
