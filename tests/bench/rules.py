"""How fast settled events are matched with the rules, by one worker: taken, matched, written, marked, committed.

python -m tests.bench.rules [--events 10000] [--runs 3]

Rules and events are the shared vectors (see tests/vectors.py): a thousand rules, of which twelve fit each event.
Against: taking the same events and reading their payloads, which no dispatcher can do without.
"""

import argparse
import json
import sys
import time
from typing import Any

from tests.bench.ground import Row, ground, median_of, print_table
from tests.vectors import VECTORS

NOBODY = "elsewhere"  # an account of no event: such a rule is asked, and writes nothing
FILL = """
    INSERT INTO billing_inboxevent (source, external_id, door, owner, account, livemode, type, api_version, object_kind,
        object_id, customer_id, occurred_at, received_at, payload, state, attempts, error)
    SELECT 'stripe.com', 'evt_' || place, 'webhook', '', '', false, payload ->> 'type', '', '', '', '', now(), now(),
        payload, 'mirrored', 0, ''
    FROM generate_series(1, %s) AS place
    JOIN jsonb_array_elements(%s::jsonb) WITH ORDINALITY AS events (payload, number)
        ON number = place %% %s + 1
"""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args(argv)
    place = VECTORS / "bench"
    if not place.exists():
        print(f"Not measured: there are no vectors at {VECTORS}. Say where they lie with VECTORS_DIR.")
        return 1
    rules = [json.loads(line) for line in (place / "rules_1000.jsonl").read_text().splitlines()]
    events = [json.loads(line)["detail"] for line in (place / "events_200.jsonl").read_text().splitlines()]
    with ground():
        rows = measured(rules, events, options)
    print_table("Events matched per second, one worker", rows)
    return 0


def measured(rules: list[dict[str, Any]], events: list[Any], options: argparse.Namespace) -> list[Row]:
    def rate(work: Any) -> float:
        def once() -> float:
            fill(events, options.events)
            began = time.perf_counter()
            work()
            return float(options.events / (time.perf_counter() - began))

        return median_of(once, runs=options.runs)

    bare = rate(read_only)
    against = "taking and reading them"
    rows = [Row("no rule", rate(dispatch), bare, against)]
    make_rules(rules, owner=NOBODY)
    rows.append(Row("1,000 rules, twelve fit, nothing is written", rate(dispatch), bare, against, reach="3,000"))
    make_rules(rules, owner=None)
    rows.append(Row("1,000 rules, twelve fit: twelve matches and calls", rate(dispatch), bare, against))
    return rows


def fill(events: list[Any], count: int) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE billing_inboxevent, ops_match, ops_delivery")
        cursor.execute(FILL, [count, json.dumps(events), len(events)])
        cursor.execute("ANALYZE billing_inboxevent")


def make_rules(rules: list[dict[str, Any]], *, owner: str | None) -> None:
    from datetime import UTC, datetime

    from ops.models import Rule, Target
    from ops.rules import book
    from ops.rules.resources import FINDING_ARN

    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    Rule.objects.all().delete()
    made = Rule.objects.bulk_create(
        Rule(
            name=rule["id"],
            pattern=json.dumps(rule["pattern"]),
            state="on",
            owner=owner,
            on_since=long_ago,
            changed_at=long_ago,
        )
        for rule in rules
    )
    template = '{"title": "It fits <type>.", "subject": <id>}'
    paths = {"type": "$.detail-type", "id": "$.id"}
    Target.objects.bulk_create(
        Target(rule=rule, name="t", kind="finding", arn=FINDING_ARN, input_paths_map=paths, input_template=template)
        for rule in made
    )
    book.current()  # compiled once, whatever the number of events


def dispatch() -> None:
    from django.utils import timezone

    from ops.rules.dispatch import dispatch_due

    dispatch_due(timezone.now, budget_seconds=600)


def read_only() -> None:
    from django.db import transaction
    from django.utils import timezone

    from ops.rules import take
    from ops.rules.dispatch import BATCH

    while True:
        with transaction.atomic():
            pks = take.take(BATCH)
            take.read(pks)
            take.mark(pks, now=timezone.now())
        if len(pks) < BATCH:
            return


if __name__ == "__main__":
    sys.exit(main())
