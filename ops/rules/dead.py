"""A call that was given up is news: an event of our own, in the transaction that gives it up."""

from datetime import datetime

from billing.inbox import own


def publish_dead_letter(
    *,
    rule: str,
    target: str,
    arn: str,
    event_id: str,
    customer_id: str,
    error: str,
    attempts: int,
    key: str,
    depth: int,
    now: datetime,
) -> None:
    """Publish it once each time that the call is given up: it may be redriven."""
    detail = {
        "rule": rule,
        "target": target,
        "arn": arn,
        "event": event_id,
        "customer": customer_id,
        "error": error,
        "attempts": attempts,
        "key": key,
    }
    own.publish(own.RULE_DEAD_LETTER, key=f"{key}@{now.timestamp():.0f}", detail=detail, now=now, depth=depth)
