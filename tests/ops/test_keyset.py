"""Lists that may hold millions are leafed by where a row stood: no row is missed, none comes twice."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from ops.models import Execution, Finding, Match, StateMachine, Status, TaskCall
from ops.workflows.machines import save_version
from tests.cast import sign_in
from tests.ops.rows import make_event, make_rule

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
DEFINITION = json.dumps({"StartAt": "Rest", "States": {"Rest": {"Type": "Wait", "Seconds": 60, "End": True}}})


@pytest.fixture
def machine(db: None) -> StateMachine:
    return save_version("refunds", DEFINITION, reason="first", now=NOW).machine


def make(machine: StateMachine, count: int, *, name: str = "run", **fields: Any) -> list[Execution]:
    """Executions of which three at a time have started at the same moment."""
    rows = [
        Execution(
            version_id=machine.current_id,
            machine=machine,
            name=f"{name}-{number}",
            **{"started_at": NOW + timedelta(seconds=number // 3), **fields},
        )
        for number in range(count)
    ]
    return Execution.objects.bulk_create(rows)


def look(client: Client, address: str) -> Any:
    answer = client.get(address)
    assert answer.status_code == 200
    return answer.context["cl"]


def leafed(client: Client, address: str, way: str) -> list[Any]:
    """All rows from a page on, in the order in which they are seen."""
    base, found = address.partition("?")[0], []
    while address:
        shown = look(client, address)
        rows = [row.pk for row in shown.result_list]
        found += rows if way == "older_url" else rows[::-1]
        address = base + getattr(shown, way) if getattr(shown, way) else ""
    return found


EXECUTIONS = "admin:ops_execution_changelist"


@pytest.mark.parametrize("query", ["", "?machine=refunds"])
def test_every_row_is_seen_once_in_both_directions(olga, machine, query):
    rows = make(machine, 130)
    client, address = sign_in(olga), reverse(EXECUTIONS) + query
    assert leafed(client, address, "older_url") == [row.pk for row in reversed(rows)]
    last = look(client, address.partition("?")[0] + look(client, address).older_url)
    back = leafed(client, address.partition("?")[0] + last.newer_url, "newer_url")
    assert back == [row.pk for row in rows[80:]]  # the newest page is whole, and what follows it is left


def test_what_comes_in_meanwhile_moves_nothing(olga, machine):
    rows = make(machine, 120)
    client, address = sign_in(olga), reverse(EXECUTIONS)
    second = address + look(client, address).older_url
    before = [row.pk for row in look(client, second).result_list]
    make(machine, 70, name="new", started_at=NOW + timedelta(days=1))
    Execution.objects.filter(pk=rows[70].pk).delete()  # the row at the edge of the newest page
    shown = look(client, second)
    assert [row.pk for row in shown.result_list] == before
    assert [row.name for row in look(client, address + shown.newer_url).result_list][-1] == "run-71"


def test_filters_stay_in_the_address_and_a_new_one_begins_at_the_newest(olga, machine):
    make(machine, 60, status=Status.FAILED)
    make(machine, 60, name="fine", status=Status.SUCCEEDED)
    client, address = sign_in(olga), reverse(EXECUTIONS)
    shown = look(client, f"{address}?how=broken&machine=refunds")
    assert "how=broken" in shown.older_url and "machine=refunds" in shown.older_url
    second = look(client, address + shown.older_url)
    assert {row.status for row in second.result_list} == {Status.FAILED}
    assert "older_than" not in second.get_query_string({"how": "paused"})
    assert "how=broken" in second.newest_url and "older_than" not in second.newest_url


@pytest.mark.parametrize(
    "asked",
    [
        *("older_than=", "older_than=x", "older_than=1~2~3", "newer_than=99999999999999999999", "o=1", "all=", "p=7"),
        *("older_than=%00", "machine=refunds&older_than=never~1", "machine=refunds&older_than=2026-99-01T00:00Z~1"),
    ],
)
def test_an_address_that_cannot_be_read_shows_the_newest(olga, machine, asked):
    newest = make(machine, 60)[-1]
    assert look(sign_in(olga), f"{reverse(EXECUTIONS)}?{asked}").result_list[0].pk == newest.pk


def test_counts_are_exact_up_to_a_thousand(olga, machine):
    make(machine, 1_000)
    client, address = sign_in(olga), reverse(EXECUTIONS)
    page = client.get(address).content.decode()
    assert "1,000 executions" in page and "more than" not in page
    make(machine, 1, name="one-more")
    assert "more than 1,000 executions" in client.get(address).content.decode()
    olga.language = "ja"
    olga.save()
    assert "実行 1,000 件超" in client.get(address).content.decode()


def test_a_page_costs_the_same_wherever_it_is(olga, machine):
    make(machine, 160)
    client, address = sign_in(olga), reverse(EXECUTIONS)
    addresses = [address, address + look(client, address).older_url]
    counts = []
    for one in addresses:
        with CaptureQueriesContext(connection) as caught:
            look(client, one)
        counts.append(len(caught))
        assert not [query for query in caught.captured_queries if "OFFSET" in query["sql"]]
    assert counts[0] == counts[1] <= 12


def test_an_older_page_begins_in_the_index_where_the_newer_one_ended(olga, machine):
    last = make(machine, 60)[30]
    client, address = sign_in(olga), f"{reverse(EXECUTIONS)}?older_than={last.pk}"
    with CaptureQueriesContext(connection) as caught:
        look(client, address)
    (page,) = [query["sql"] for query in caught.captured_queries if "ROW(" in query["sql"]]
    with connection.cursor() as cursor:
        # Sixty rows are read faster without an index, or sorted: what is asked is whether this index serves.
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
        cursor.execute(f"EXPLAIN {page}")
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert f"Index Cond: (id < {last.pk})" in plan


def test_children_of_a_call_and_of_an_execution_are_shown_alone(olga, machine):
    parent, other = make(machine, 2, name="parent")
    calls = [
        TaskCall.objects.create(execution=execution, number=number, walker=0, state_name="Each", resource="map")
        for execution, number in ((parent, 1), (parent, 2), (other, 1))
    ]
    for call in calls:
        make(
            machine, 3, name=f"of-{call.pk}", parent_call=call, status=Status.FAILED if call.number == 2 else "RUNNING"
        )
    client, address = sign_in(olga), reverse(EXECUTIONS)

    def names(query: str) -> set[str]:
        return {row.name.rpartition("-")[0] for row in look(client, address + query).result_list}

    assert names(f"?call={calls[0].pk}") == {f"of-{calls[0].pk}"}
    assert names(f"?parent={parent.pk}") == {f"of-{calls[0].pk}", f"of-{calls[1].pk}"}
    assert names(f"?parent={parent.pk}&how=broken") == {f"of-{calls[1].pk}"}
    assert names("?parent=999999") == names("?call=x") == set()
    assert "Each of parent-0" in client.get(f"{address}?call={calls[0].pk}").content.decode()


def test_open_findings_stand_before_closed_ones_on_every_page(olga):
    Finding.objects.bulk_create(
        Finding(
            kind="drift",
            severity="urgent" if number % 2 else "attention",
            subject=str(number),
            dedup_key=str(number),
            opened_at=NOW + timedelta(minutes=number),
            seen_at=NOW,
            closed_at=NOW + timedelta(hours=number) if number >= 60 else None,
        )
        for number in range(120)
    )
    rows = leafed(sign_in(olga), reverse("admin:ops_finding_changelist"), "older_url")
    found = Finding.objects.in_bulk(rows)
    shown = [found[pk] for pk in rows]
    assert len(shown) == 120
    assert [row.open for row in shown] == [True] * 60 + [False] * 60
    assert [row.severity for row in shown[:60]] == ["urgent"] * 30 + ["attention"] * 30
    assert [row.subject for row in shown[60:]] == [str(number) for number in range(119, 59, -1)]


def test_events_and_matches_are_leafed_too(olga):
    events = [make_event(timezone.now() - timedelta(minutes=number)) for number in range(55)]
    rule = make_rule(timezone.now())
    Match.objects.all().delete()
    Match.objects.bulk_create(
        Match(rule=rule, rule_version=1, inbox_id=event.pk, event_id=event.external_id, event_type="x", matched_at=NOW)
        for event in events
    )
    client = sign_in(olga)
    assert len(set(leafed(client, reverse("admin:billing_inboxevent_changelist"), "older_url"))) >= 55
    for query in ("", f"?rule={rule.name}"):
        assert len(set(leafed(client, reverse("admin:ops_match_changelist") + query, "older_url"))) == 55
