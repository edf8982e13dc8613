"""The page of an execution with a long history: it comes in pages, and who looks again reads only what is new."""

import json
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from ops.console.workflows.readings import LONG, Kept, Readings
from ops.models import Execution, HistoryEvent, Status
from ops.workflows.asl import inline
from ops.workflows.asl.definition import compile_machine
from ops.workflows.asl.running import Answer
from ops.workflows.machines import save_version
from ops.workflows.steps import Mark, steps_of
from tests.cast import make_user, sign_in

NOW = timezone.now()
ROUND = {
    "StartAt": "Count",
    "States": {
        "Count": {"Type": "Pass", "Parameters": {"n.$": "States.MathAdd($.n, 1)"}, "Next": "Each"},
        "Each": {
            "Type": "Map",
            "Parameters": {"n": 1},
            "ItemsPath": "$$.Execution.Input.items",
            "ItemProcessor": {
                "StartAt": "Pay",
                "States": {"Pay": {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "End": True}},
            },
            "ResultPath": None,
            "Next": "More?",
        },
        "More?": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.n", "NumericLessThan": 200, "Next": "Count"}],
            "Default": "End",
        },
        "End": {"Type": "Succeed"},
    },
}


class World:
    def call(self, call: Any, *, state: str, attempt: int) -> Answer:
        return Answer({"sent": True})


def history_of(rounds: int) -> list[Any]:
    """What an execution tells that goes round: 16 events each time."""
    ended = inline.run(compile_machine(ROUND), {"n": 200 - rounds, "items": [1, 2]}, World(), now=NOW)
    assert ended.status == "SUCCEEDED", ended
    return list(ended.history)


def marks_of(events: list[Any]) -> list[Mark]:
    return [Mark(event.id, event.previous, event.type, event.name or "", event.at) for event in events]


def write(execution: Execution, events: list[Any]) -> None:
    HistoryEvent.objects.bulk_create(
        HistoryEvent(
            execution=execution,
            number=event.id,
            previous=event.previous,
            type=event.type,
            name=event.name or "",
            details=event.details,
            at=event.at,
        )
        for event in events
    )
    Execution.objects.filter(pk=execution.pk).update(events=events[-1].id)


EVENTS = history_of(90)


@pytest.fixture
def execution(db: None) -> Execution:
    """One under way, with all of a long history but its last round."""
    machine = save_version("rounds", json.dumps(ROUND), reason="first", now=NOW).machine
    row = Execution.objects.create(
        version_id=machine.current_id, machine=machine, name="long", status=Status.RUNNING, input={}, started_at=NOW
    )
    assert len(EVENTS) > LONG + 20
    write(row, EVENTS[:-20])
    return row


def address(name: str, execution: Execution, *args: Any) -> str:
    return reverse(f"admin:ops_execution_{name}", args=[execution.pk, *args])


def queries_of(client: Client, url: str) -> tuple[Any, list[str]]:
    with CaptureQueriesContext(connection) as caught:
        answer = client.get(url)
    return answer, [query["sql"] for query in caught.captured_queries]


def test_who_looks_again_reads_only_the_events_that_are_new(olga, execution):
    client = sign_in(olga)
    client.get(address("change", execution))
    write(execution, EVENTS[-20:])
    answer, queries = queries_of(client, address("live", execution))
    read = [query for query in queries if "ops_historyevent" in query and "number >" in query]
    assert len(read) == 1
    assert f"number > {EVENTS[-21].id}" in " ".join(read[0].split())
    assert answer.context["pages"] == (len(steps_of(marks_of(EVENTS))) - 1) // 50 + 1
    assert '<g class="state succeed' in answer.content.decode()


def test_where_nothing_is_new_nothing_of_the_history_is_read(olga, execution):
    client = sign_in(olga)
    mark = client.get(address("change", execution)).context["mark"]
    answer, queries = queries_of(client, f"{address('live', execution)}?seen={mark}")
    assert answer.status_code == 204
    about_it = [query for query in queries if "ops_" in query]
    assert len(about_it) == 2
    assert not [query for query in about_it if "ops_historyevent" in query or '"walkers"' in query]


def test_its_page_needs_the_same_queries_however_long_its_history_is(olga, execution):
    client = sign_in(olga)
    client.get(address("change", execution))
    long = queries_of(client, address("change", execution))[1]
    HistoryEvent.objects.filter(execution=execution, number__gt=40).delete()
    Execution.objects.filter(pk=execution.pk).update(events=40)
    short = queries_of(client, address("change", execution))[1]
    assert len(long) == len(short) <= 18


def test_one_under_way_opens_where_it_stands_and_one_that_ended_well_at_its_beginning(olga, execution):
    client = sign_in(olga)
    shown = client.get(address("change", execution)).context
    assert shown["page"] == shown["pages"] > 5
    assert len(shown["rows"]) == 50
    assert shown["asked_page"] == ""  # it goes on to show the last
    third = client.get(f"{address('change', execution)}?steps=3").context
    assert (third["page"], third["asked_page"]) == (3, "3")
    Execution.objects.filter(pk=execution.pk).update(status=Status.SUCCEEDED, finished_at=NOW)
    assert client.get(address("change", execution)).context["page"] == 1


def test_what_a_step_was_given_comes_when_it_is_opened(olga, execution):
    client = sign_in(olga)
    entered = next(event for event in EVENTS if event.type == "TaskStateEntered")
    assert '"sent"' not in client.get(address("change", execution)).content.decode()
    assert client.get(address("step", execution, entered.id)).context["data"].output == {"sent": True}
    assert client.get(address("step", execution, 1)).status_code == 404  # no state was entered with it
    mio = make_user("Mio", is_staff=True)
    assert sign_in(mio).get(address("step", execution, entered.id)).status_code == 403


def test_a_history_that_was_pruned_is_not_shown_from_memory(olga, execution):
    client = sign_in(olga)
    client.get(address("change", execution))
    execution.history.all().delete()
    Execution.objects.filter(pk=execution.pk).update(has_history=False, status=Status.FAILED)
    shown = client.get(address("change", execution))
    assert not shown.context["rows"]
    assert "Its history is kept no longer" in shown.content.decode()


SHORT = marks_of(history_of(4))


@given(st.lists(st.integers(0, len(SHORT)), max_size=6))
def test_read_piece_by_piece_a_history_tells_the_same_as_at_once(cuts):
    kept = Kept()
    for until in sorted(cuts):
        kept.go_on(lambda after, until=until: SHORT[after:until])
    reading = kept.go_on(lambda after: SHORT[after:])
    assert list(reading.steps.values()) == steps_of(SHORT)


def test_few_readings_are_kept():
    kept, read = Readings(), []

    def marks(after: int) -> list[Mark]:
        read.append(after)
        return SHORT[after:]

    for number in [*range(20), 19, 0]:
        kept.of(number, LONG, marks)
    assert read == [0] * 20 + [len(SHORT), 0]
