"""Delivery as Stripe does to Amazon EventBridge: each event in a partner source's envelope on a bus, and from there, by
a rule, in a queue. The other side is moto's AWS; the real one lets no stranger speak for a partner source.

Source: Stripe docs, "Send events to Amazon EventBridge"; AWS docs, "EventBridge events" (the envelope).
"""

import contextlib
import datetime
import json
import time
from functools import lru_cache
from typing import Any

from sandbox.documents import random_text
from sandbox.kinds import Doc, kind

DESTINATION = kind(
    "event_destination", prefix="ed_test", label="event destination", random_length=40, indexed=("status", "_place")
)
SOURCE = "aws.partner/stripe.com/{id}"
WHOLE = {
    "InputPathsMap": {
        name: f"$.{name}"
        for name in ("account", "detail", "detail-type", "id", "region", "resources", "source", "time")
    },
    "InputTemplate": '{"version": "0", "id": "<id>", "detail-type": "<detail-type>", "source": "<source>", '
    '"account": "<account>", "time": <time>, "region": "<region>", "resources": <resources>, "detail": <detail>}',
}
"""The envelope as it is on AWS. What moto puts in a queue by itself lacks the account."""
PATIENCE = 5.0
"""Seconds."""


@lru_cache(maxsize=32)
def _client(service: str, url: str, region: str) -> Any:
    """boto3 is needed only where somebody asks for this. Raises ImportError when it is not installed."""
    import boto3
    from botocore.config import Config

    config = Config(connect_timeout=PATIENCE, read_timeout=PATIENCE, retries={"total_max_attempts": 1})
    secrets = {"aws_access_key_id": "sandbox", "aws_secret_access_key": "sandbox"}
    return boto3.client(service, endpoint_url=url, region_name=region, config=config, **secrets)


def new_id() -> str:
    return f"{DESTINATION.prefix}_{random_text(DESTINATION.random_length or 0)}"


def set_up(id: str, *, url: str, region: str, bus: str, queue: str) -> Doc:
    """Make bus, queue and rule; the fields of the destination. Raises what boto3 raises. On AWS a partner bus is named
    like its source; moto takes no name with a slash, so the bus has a plain one and the source stands in the events."""
    source = SOURCE.format(id=id)
    events, queues = _client("events", url, region), _client("sqs", url, region)
    with contextlib.suppress(events.exceptions.ResourceAlreadyExistsException):
        events.create_event_bus(Name=bus)
    queue_url = queues.create_queue(QueueName=queue)["QueueUrl"]
    arn = queues.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name=id, EventBusName=bus, EventPattern=json.dumps({"source": [source]}))
    events.put_targets(Rule=id, EventBusName=bus, Targets=[{"Id": "queue", "Arn": arn, "InputTransformer": WHOLE}])
    return {"source": source, "bus": bus, "queue": queue, "queue_url": queue_url, "region": region, "url": url}


def put(destination: Doc, event: Doc) -> tuple[int | None, str | None, int]:
    """One event on the bus: status, error, milliseconds. `event` is shown as `detail`."""
    begun = time.monotonic()
    status, error = None, None
    try:
        answer = _client("events", destination["url"], destination["region"]).put_events(
            Entries=[_entry(destination, event)]
        )
        status = answer["ResponseMetadata"]["HTTPStatusCode"]
        if answer["FailedEntryCount"]:
            status, error = 400, answer["Entries"][0].get("ErrorMessage", "refused")
    except Exception as failure:
        error = f"{type(failure).__name__}: {failure}"
    return status, error, int((time.monotonic() - begun) * 1000)


def _entry(destination: Doc, event: Doc) -> Doc:
    return {
        "Detail": json.dumps(event, ensure_ascii=False),
        "DetailType": event["type"],
        "EventBusName": destination["bus"],
        "Resources": [],
        "Source": destination["source"],
        "Time": datetime.datetime.fromtimestamp(event["created"], datetime.UTC),
    }
