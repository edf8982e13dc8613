"""Put on an EventBridge bus. An event is handed on as it is; other input is the detail of an event of our own."""

from typing import Any

import orjson

from ops.effects import aws
from ops.effects.outcome import Done, Outcome, Refused, Retry
from ops.rules.envelopes import OWN
from ops.rules.resources import resource_of
from ops.rules.targets.call import TargetCall

ENVELOPE = frozenset({"source", "detail-type", "detail"})


def call(target: TargetCall) -> Outcome:
    resource = resource_of(target.arn)
    try:
        answer = aws.client("events", resource.region).put_events(Entries=[entry_of(target)])
    except aws.AwsTrouble as error:
        return aws.outcome_of(error)
    [entry] = answer["Entries"]
    if "ErrorCode" not in entry:
        return Done({"event": entry.get("EventId", "")})
    said = aws.said(entry["ErrorCode"], entry.get("ErrorMessage", ""))
    return Retry(said) if entry["ErrorCode"] in aws.THROTTLED else Refused(said)


def entry_of(target: TargetCall) -> dict[str, Any]:
    given = orjson.loads(target.input)
    if not isinstance(given, dict):
        given = {"input": given}
    if not given.keys() >= ENVELOPE:
        kind = f"rule.{target.rule_name}"
        return {"Source": OWN, "DetailType": kind, "Detail": orjson.dumps(given).decode(), "EventBusName": target.arn}
    # Nobody but AWS may call a source aws.…: a partner's event goes on under Stripe's own name, or ours.
    source = str(given["source"])
    return {
        "Source": source if not source.startswith("aws") else "stripe.com" if "stripe.com" in source else OWN,
        "DetailType": str(given["detail-type"]),
        "Detail": orjson.dumps(given["detail"]).decode(),
        "Resources": [str(name) for name in given.get("resources") or []],
        "EventBusName": target.arn,
    }
