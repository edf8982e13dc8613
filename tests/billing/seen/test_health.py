"""What probes and Prometheus are told."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import OperationalError, connection
from django.test import Client
from django.utils import timezone

from billing import exposition, metrics, readiness
from billing.inbox.models import AsideMessage, PollCursor
from billing.mirror.history import DriftCheck
from billing.models import Door, InboxEvent, InboxState

NOWHERE = "redis://127.0.0.1:9/0"
LOOPBACK = ["127.0.0.0/8"]


@pytest.fixture(autouse=True)
def forget_migrations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "_all_applied", False)


def test_it_lives_whatever_else_is_broken(monkeypatch: pytest.MonkeyPatch, settings: LazySettings) -> None:
    """No database is allowed in this test at all."""
    settings.REDIS_URL = NOWHERE
    answer = Client().get("/healthz")
    assert (answer.status_code, answer.content) == (200, b"ok\n")


@pytest.mark.django_db
def test_it_is_ready_when_everything_answers() -> None:
    answer = Client().get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"ready": True, "degraded": False, "database": "ok", "migrations": "ok", "redis": "ok"}


@pytest.mark.django_db
def test_it_is_degraded_and_goes_on_without_redis(settings: LazySettings) -> None:
    settings.REDIS_URL = NOWHERE
    answer = Client().get("/readyz")
    assert answer.status_code == 200
    assert (answer.json()["degraded"], answer.json()["redis"]) == (True, "unreachable")


@pytest.mark.django_db
def test_it_is_not_ready_without_its_database(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise OperationalError("connection refused: host=secret")

    monkeypatch.setattr(connection, "cursor", refuse)
    answer = Client().get("/readyz")
    assert answer.status_code == 503
    assert (answer.json()["database"], answer.json()["migrations"]) == ("unreachable", "unknown")
    assert b"secret" not in answer.content


@pytest.mark.django_db
def test_it_is_not_ready_before_its_migrations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "missing_migrations", lambda: 2)
    answer = Client().get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["migrations"] == "2 not applied: run manage.py prepare_database"


@pytest.mark.parametrize(
    ("token", "networks", "header", "status"),
    [
        ("", [], "", 404),  # nobody may know: it is as if there were nothing
        ("", [], "Bearer ", 404),  # an empty token is no token
        ("geheim", [], "", 401),
        ("geheim", [], "Bearer wrong", 401),
        ("geheim", [], "Bearer gehéim", 401),
        ("geheim", [], "Bearer geheim", 200),
        ("", LOOPBACK, "", 200),
        ("", ["10.0.0.0/8", "::1/128"], "", 404),
        ("", ["not a network"], "", 404),
    ],
)
@pytest.mark.django_db
def test_numbers_are_for_those_who_may_know(
    settings: LazySettings, token: str, networks: list[str], header: str, status: int
) -> None:
    settings.METRICS_TOKEN, settings.METRICS_NETWORKS = token, networks
    assert Client().get("/metrics", headers={"Authorization": header}).status_code == status


def numbers(settings: LazySettings) -> dict[str, float]:
    settings.METRICS_NETWORKS = LOOPBACK
    lines = Client().get("/metrics").content.decode().splitlines()
    return {name: float(value) for name, _, value in (x.rpartition(" ") for x in lines if not x.startswith("#"))}


def make_event(name: str, **fields: Any) -> None:
    now = timezone.now()
    values = {"door": Door.WEBHOOK, "type": "invoice.paid", "occurred_at": now, "received_at": now, "payload": {}}
    InboxEvent.objects.create(external_id=name, **values | fields)


@pytest.mark.django_db
def test_numbers_tell_what_waits_in_rows(settings: LazySettings) -> None:
    now = timezone.now()
    make_event("1", due_at=now - timedelta(seconds=90))
    make_event("2", due_at=now + timedelta(seconds=90))
    make_event("3", state=InboxState.FAILED)
    AsideMessage.objects.create(queue="q", message_id="1", reason="not-json", received_at=now)
    PollCursor.objects.create(owner="jp", read_until=now - timedelta(hours=1), started_at=now)
    per_kind = {"invoice": {"looked_at": 9, "differing": 3, "healed": 1}}
    for hours in (3, 1):
        DriftCheck.objects.create(
            owner="jp",
            started_at=now - timedelta(hours=hours),
            finished_at=now,
            per_kind=per_kind if hours == 1 else {},
        )
    told = numbers(settings)
    assert (told["kessai_inbox_due"], told["kessai_inbox_later"], told["kessai_inbox_failed"]) == (1, 1, 1)
    assert 90 <= told["kessai_inbox_oldest_due_seconds"] < 100
    assert told["kessai_aside_kept"] == 1
    assert 3600 <= told['kessai_poll_age_seconds{account="jp",events="event",mode="test"}'] < 3660
    assert told['kessai_drift_unhealed{account="jp",kind="invoice"}'] == 2


@pytest.mark.django_db
def test_numbers_tell_what_this_process_counted(settings: LazySettings) -> None:
    name = 'kessai_received_total{door="poll"}'
    before = numbers(settings).get(name, 0.0)
    metrics.received.labels(door="poll").inc(3)
    assert numbers(settings)[name] == before + 3


COUNT = "from billing import metrics; metrics.received.labels(door='sqs').inc(5); metrics.budget_used.set(0.5)"


def test_processes_of_a_machine_are_summed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env = {**os.environ, exposition.SHARED: str(tmp_path)}
    for _ in range(2):
        subprocess.run([sys.executable, "-c", COUNT], env=env, check=True)
    monkeypatch.setenv(exposition.SHARED, str(tmp_path))
    told = exposition.generate_latest(exposition.counted()).decode()
    assert 'kessai_received_total{door="sqs"} 10.0' in told
    assert "kessai_budget_used_ratio 0.5" in told
