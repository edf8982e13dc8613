"""An archive as moto plays it, and events of long ago."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from django.conf import LazySettings
from moto import mock_aws

from billing.models import Door, InboxEvent, InboxState
from billing.retention import store

NOW = datetime(2026, 6, 1, 12, 30, tzinfo=UTC)
OLD = NOW - timedelta(days=100)
BUCKET = "kessai-archive"


@pytest.fixture
def s3(settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The archive's bucket, empty, and a client of its own to look into it."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    settings.INBOX_ARCHIVE_BUCKET = BUCKET
    settings.INBOX_PAYLOAD_DAYS, settings.INBOX_ROW_DAYS = 90, 400
    store.client.cache_clear()
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket=BUCKET)
        yield client
    store.client.cache_clear()


@pytest.fixture
def event(db: None) -> Callable[..., InboxEvent]:
    """Store an event that arrived at `at`, mirrored unless said otherwise."""

    def make(name: str, *, at: datetime = OLD, **fields: Any) -> InboxEvent:
        values: dict[str, Any] = {
            "source": "stripe.com",
            "external_id": f"evt_{name}",
            "door": Door.WEBHOOK,
            "type": "invoice.paid",
            "object_kind": "invoice",
            "object_id": f"in_{name}",
            "occurred_at": at,
            "received_at": at,
            "mirrored_at": at + timedelta(seconds=1),
            "state": InboxState.MIRRORED,
            "payload": {"id": f"evt_{name}", "data": {"object": {"id": f"in_{name}", "amount": 10**15, "名": "株"}}},
        } | fields
        return InboxEvent.objects.create(**values)

    return make


def keys_in(s3: Any) -> list[str]:
    return [entry["Key"] for entry in s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]
