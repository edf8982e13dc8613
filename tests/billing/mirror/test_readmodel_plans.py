"""What is asked of many rows is answered by indexes: PostgreSQL's own plans say so."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import Organization, User
from tests.bench.many_rows import BIG, make_many
from tests.bench.questions import questions
from tests.cast import sign_in

ROWS = 10_000
# Who counts all subscriptions reads all of something: with many rows an index, with as few as here the narrow table.
ABOUT_ALL = ("how many of each status", "income a month by plan", "console: first page")
NARROW = "reads all of billing_subscriptionrow"


GATHERING = ("Aggregate", "Hash", "Sort", "Incremental Sort", "Materialize")  # ask for all that is below them


def plans_of(sql: str) -> Iterator[tuple[dict[str, Any], bool]]:
    """The nodes of the plan that PostgreSQL makes for a statement, and whether each stops after a few rows."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}".replace("%", "%%"), [])
        answer = cursor.fetchone()[0]
    waiting = [((answer if isinstance(answer, list) else json.loads(answer))[0]["Plan"], False)]
    while waiting:
        node, stops = waiting.pop()
        below = node["Node Type"] == "Limit" or (stops and node["Node Type"] not in GATHERING)
        waiting += [(child, below) for child in node.get("Plans", [])]
        yield node, stops


def complaints(sql: str) -> list[str]:
    found = []
    for node, stops in plans_of(sql):
        conditions = " ".join(str(node.get(name, "")) for name in ("Filter", "Index Cond", "Recheck Cond", "Sort Key"))
        if node["Node Type"].endswith("Seq Scan") and not stops and node.get("Relation Name") in BIG:
            found.append(f"reads all of {node['Relation Name']}")
        if "stripe_data" in conditions or "payload" in conditions:
            found.append(f"looks into the JSON: {conditions.strip()}")
    return found


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_every_question_is_answered_by_an_index_and_no_filter_reads_json(olga: User) -> None:
    make_many(ROWS)
    operator = sign_in(olga)
    wrong = {}
    for name, ask in questions(operator, Organization.objects.order_by("pk")[7]).items():
        ask()
        with CaptureQueriesContext(connection) as queries:
            ask()
        assert queries.captured_queries, name
        selects = [query["sql"] for query in queries.captured_queries if query["sql"].lstrip().startswith("SELECT")]
        found = [(complaint, sql[:2000]) for sql in selects for complaint in complaints(sql)]
        if name in ABOUT_ALL:
            found = [(complaint, sql) for complaint, sql in found if complaint != NARROW]
        if found:
            wrong[name] = found
    assert wrong == {}


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_scan_would_be_seen(db: None) -> None:
    make_many(2_000)
    assert complaints("SELECT id FROM djstripe_subscription WHERE stripe_data ->> 'status' = 'active'") != []
