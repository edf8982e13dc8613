"""Matches and the calls they make due, written in bulk: each match once, each call once, whoever writes them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from django.db import connection

from ops import metrics
from ops.rules.book import ReadyRule, ReadyTarget
from ops.rules.dead import publish_dead_letter
from ops.rules.envelopes import Event, Received, written_time
from ops.rules.models import DeliveryState
from ops.rules.paths import MISSING, compile_path
from ops.rules.transform import NoInput, Setting, written

MATCHES = """
    INSERT INTO ops_match (
        rule_id, rule_version, inbox_id, event_id, event_type, customer_id, replay, trial, matched_at)
    SELECT new.* FROM jsonb_to_recordset(%s::jsonb) AS new (
        rule_id bigint, rule_version int, inbox_id bigint, event_id text, event_type text, customer_id text,
        replay text, trial boolean, matched_at timestamptz)
    ON CONFLICT (rule_id, inbox_id, replay) DO NOTHING RETURNING id, rule_id, inbox_id
"""
DELIVERIES = """
    INSERT INTO ops_delivery (match_id, rule_name, target_name, kind, arn, parameters, input, key, depth, state, due_at,
        attempts, give_up_at, max_age_seconds, max_retries, error, created_at, finished_at)
    SELECT match_id, rule_name, target_name, kind, arn, parameters, input, key, depth, state, due_at,
        0, give_up_at, max_age_seconds, max_retries, error, created_at, finished_at
    FROM jsonb_to_recordset(%s::jsonb) AS new (
        match_id bigint, rule_name text, target_name text, kind text, arn text, parameters jsonb, input text, key text,
        depth int, state text, due_at timestamptz, give_up_at timestamptz, max_age_seconds int, max_retries int,
        error text, created_at timestamptz, finished_at timestamptz)
"""


@dataclass(frozen=True, slots=True)
class Found:
    """An event that fits a rule, in the form that fitted."""

    rule: ReadyRule
    row: Received
    form: Event


def write(found: Sequence[Found], *, now: datetime, replay: str = "") -> tuple[int, int]:
    """Write these matches, and what they make due, in the caller's transaction; return how many of each are new."""
    if not found:
        return 0, 0
    rows = [match_row(each, now=now, replay=replay) for each in found]
    with connection.cursor() as cursor:
        cursor.execute(MATCHES, [orjson.dumps(rows).decode()])
        new = {(rule, inbox): pk for pk, rule, inbox in cursor.fetchall()}
        fresh = [each for each in found if (each.rule.pk, each.row.pk) in new]
        calls = [
            call for each in fresh for call in call_rows(each, new[each.rule.pk, each.row.pk], now=now, replay=replay)
        ]
        if calls:
            cursor.execute(DELIVERIES, [orjson.dumps(calls).decode()])
    for call in calls:
        if call["state"] == DeliveryState.DEAD.value:
            publish_unmade(call, {each.row.pk: each for each in fresh}, now=now)
    for each in fresh:
        metrics.matched.labels(rule=each.rule.name, trial=str(each.rule.trial).lower()).inc()
    return len(fresh), sum(call["state"] == DeliveryState.DUE.value for call in calls)


def publish_unmade(call: dict[str, Any], rows: dict[int, Found], *, now: datetime) -> None:
    row = rows[call["inbox_id"]].row
    publish_dead_letter(
        rule=call["rule_name"],
        target=call["target_name"],
        arn=call["arn"],
        event_id=row.external_id,
        customer_id=row.customer_id,
        error=call["error"],
        attempts=0,
        key=call["key"],
        depth=call["depth"],
        now=now,
    )


def match_row(found: Found, *, now: datetime, replay: str) -> dict[str, Any]:
    row = found.row
    return {
        "rule_id": found.rule.pk,
        "rule_version": found.rule.version,
        "inbox_id": row.pk,
        "event_id": row.external_id,
        "event_type": row.type,
        "customer_id": row.customer_id,
        "replay": replay,
        "trial": found.rule.trial,
        "matched_at": now,
    }


def call_rows(found: Found, match_id: int, *, now: datetime, replay: str) -> Iterator[dict[str, Any]]:
    for target in found.rule.targets:
        text, error = input_of(target, found)
        state = DeliveryState.TRIED if found.rule.trial else DeliveryState.DEAD if error else DeliveryState.DUE
        yield {
            "match_id": match_id,
            "inbox_id": found.row.pk,
            "rule_name": found.rule.name,
            "target_name": target.name,
            "kind": target.kind,
            "arn": target.arn,
            "parameters": parameters_of(target, found.form),
            "input": text,
            "key": key_of(found, target, replay=replay),
            "depth": found.row.depth + 1,
            "state": state.value,
            "due_at": now if state is DeliveryState.DUE else None,
            "give_up_at": now + target.max_age,
            "max_age_seconds": int(target.max_age.total_seconds()),
            "max_retries": target.max_retries,
            "error": error,
            "created_at": now,
            "finished_at": now if state is DeliveryState.DEAD else None,
        }


def input_of(target: ReadyTarget, found: Found) -> tuple[str, str]:
    """Return the target's input, or none and why: then nothing is called, and the call is a dead letter at once."""
    setting = Setting(found.rule.arn, found.rule.name, written_time(found.row.received_at))
    try:
        return target.make_input(found.form, setting), ""
    except NoInput as error:
        return "", f"NoInput: {error}"


def key_of(found: Found, target: ReadyTarget, *, replay: str) -> str:
    """The call's idempotency key: the same for the same rule, target and event, whatever dies and starts again."""
    key = f"rule-{found.rule.pk}:{target.name}:event-{found.row.pk}"
    return f"{key}:{replay}" if replay else key


DYNAMIC = ("HttpParameters", "StateMachineParameters")


def parameters_of(target: ReadyTarget, event: Event) -> dict[str, Any]:
    """A destination's values, and an execution's name, may be paths into the event.

    AWS docs, "Dynamic path parameters"; that a rule names executions is the portal's own.
    """
    dynamic = {key: target.parameters[key] for key in DYNAMIC if target.parameters.get(key)}
    return target.parameters | resolved(dynamic, event) if dynamic else target.parameters


def resolved(given: Any, event: Event) -> Any:
    if isinstance(given, dict):
        return {name: resolved(value, event) for name, value in given.items()}
    if isinstance(given, list):
        return [resolved(value, event) for value in given]
    if isinstance(given, str) and given.startswith("$."):
        value = compile_path(given).of(event)
        return "" if value is MISSING else value if isinstance(value, str) else written(value)
    return given
