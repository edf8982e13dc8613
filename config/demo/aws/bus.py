"""The bus, and the way from it into a queue: what AWS's services tell, for the portal's door."""

import json
from typing import Any

from moto.events.models import events_backends
from moto.sqs.models import sqs_backends

from config.demo.aws.names import ACCOUNT

SOURCES = ("aws.cloudformation", "aws.ec2")


def lead_into(queue: str, region: str) -> None:
    """Make a queue, and a rule on the default bus that sends AWS's own events there."""
    made = sqs_backends[ACCOUNT][region].create_queue(queue, tags=None)
    events = events_backends[ACCOUNT][region]
    events.put_rule(name=f"into-{queue}", event_pattern=json.dumps({"source": list(SOURCES)}), state="ENABLED")
    events.put_targets(f"into-{queue}", "default", [{"Id": "queue", "Arn": made.queue_arn}])


def tell(source: str, kind: str, resource: str, detail: dict[str, Any], *, account: str, region: str) -> None:
    """Put an event of AWS's own on the default bus, which moto lets anybody do."""
    event = {"Source": source, "DetailType": kind, "Resources": [resource], "Detail": json.dumps(detail)}
    events_backends[account][region].put_events([event])
