"""Old histories go, then old executions; what runs, and what is young, stays."""

from datetime import UTC, datetime, timedelta

import pytest
from django.conf import LazySettings
from django.db import connection

from ops.models import Execution, HistoryEvent, Status, TaskCall
from ops.workflows.prune import prune
from ops.workflows.start import start
from tests.ops.rows import make_approval
from tests.ops.workflows.moving import Clock, finish, machine_of
from tests.ops.workflows.test_children import parent_of

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _kept(settings: LazySettings) -> None:
    settings.WORKFLOWS_HISTORY_DAYS, settings.WORKFLOWS_ROW_DAYS = 30, 60


def run(days: float) -> int:
    return prune(now=NOW + timedelta(days=days), budget_seconds=10)


def test_histories_go_first_and_executions_later():
    start(parent_of(machine_of(Begin={"Type": "Succeed"}), ".sync"), "p", {}, now=NOW)
    finish(Clock(NOW))
    assert run(29.9) == 0
    assert (Execution.objects.count(), TaskCall.objects.count()) == (2, 1)
    assert run(30.1) == 2
    assert (HistoryEvent.objects.count(), TaskCall.objects.count(), Execution.objects.count()) == (0, 0, 2)
    assert run(30.2) == 0
    assert run(60.1) == 2
    assert not Execution.objects.exists()


def test_what_people_decided_outlives_the_call_that_asked_them():
    approval = make_approval(NOW)
    execution = approval.call.execution
    Execution.objects.filter(pk=execution.pk).update(status=Status.SUCCEEDED, finished_at=NOW, walkers=[])
    assert run(30.1) == 1
    with connection.cursor() as cursor:  # what a commit checks
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    approval.refresh_from_db()
    assert (approval.call, approval.question) == (None, "Refund the second payment?")


def test_what_runs_stays_however_old_it_is():
    start(machine_of(Rest={"Type": "Wait", "Seconds": 400 * 86_400, "End": True}), "w", {}, now=NOW)
    assert run(390) == 0
    assert HistoryEvent.objects.exists()


def test_nothing_goes_where_it_is_kept_for_ever(settings):
    settings.WORKFLOWS_HISTORY_DAYS = settings.WORKFLOWS_ROW_DAYS = 0
    start(machine_of(Begin={"Type": "Succeed"}), "s", {}, now=NOW)
    finish(Clock(NOW))
    assert run(4000) == 0
