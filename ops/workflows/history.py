"""The histories of executions as rows: written with the steps that they tell of."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

from django.db import connection

from ops.workflows.asl.history import LAST, MOST_EVENTS, HistoryFull
from ops.workflows.models import Execution
from ops.workflows.stored import stored

INSERT = """
    INSERT INTO ops_historyevent (execution_id, number, previous, type, name, details, at)
    SELECT execution_id, number, previous, type, name, details, at FROM jsonb_to_recordset(%s::jsonb) AS new (
        execution_id bigint, number int, previous int, type text, name text, details jsonb, at timestamptz)
    ON CONFLICT (execution_id, number) DO NOTHING
"""


class Told(Protocol):
    """An execution, as far as its history needs it."""

    pk: int
    events: int


class Pages:
    """What is told of many executions, to be written at once."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def of(self, execution: "Told") -> "Page":
        return Page(self, execution)

    def write(self) -> None:
        write(self.rows)


class Page:
    """Records one execution's events, numbered on from where its history stands."""

    def __init__(self, pages: Pages, execution: "Told") -> None:
        self._rows = pages.rows
        self._execution = execution

    def record(self, type_: str, *, at: datetime, previous: int, name: str | None = None, **details: Any) -> int:
        """Add an event; return its number. Raises HistoryFull."""
        execution = self._execution
        if execution.events >= MOST_EVENTS - (type_ not in LAST):
            raise HistoryFull
        execution.events += 1
        self._rows.append(event(execution.pk, execution.events, previous, type_, name or "", details, at))
        return execution.events


def event(
    execution_id: int, number: int, previous: int, type_: str, name: str, details: dict[str, Any], at: datetime
) -> dict[str, Any]:
    told = {key: value for key, value in details.items() if value is not None}
    return {
        "execution_id": execution_id,
        "number": number,
        "previous": previous,
        "type": type_,
        "name": name,
        "details": told,
        "at": at,
    }


def begin(execution: Execution, *, now: datetime) -> None:
    """Write the first event, once."""
    write([event(execution.pk, 1, 0, "ExecutionStarted", "", {"input": execution.input}, now)])


def write(rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        with connection.cursor() as cursor:
            cursor.execute(INSERT, [stored(list(rows))])
