"""Workers killed while executions wait for events, and while events meet them: one answer, whatever died."""

import signal
from datetime import timedelta

import pytest
from django.utils import timezone

from ops.models import EventWait
from ops.rules import take
from ops.rules.dispatch import dispatch_due
from ops.workflows import calls, engine
from ops.workflows.models import Status
from ops.workflows.waits import met
from tests import processes
from tests.crashes.waits_worker import COMMAS
from tests.ops.workflows.waiting import begin, invoice_paid, waiting_machine

pytestmark = [pytest.mark.crash, pytest.mark.django_db(transaction=True)]


@pytest.mark.parametrize("comma", list(COMMAS))
def test_killed_at_a_comma_the_wait_has_its_one_answer(comma):
    execution = begin(waiting_machine(Object="in_1"), now=timezone.now() - timedelta(minutes=1))
    begun = None
    if COMMAS[comma][0] in (take, met):  # it waits before the event comes
        engine.advance_due(timezone.now, budget_seconds=10)
        begun = invoice_paid("in_1")
    assert processes.start("tests.crashes.waits_worker", comma).wait(60) == -signal.SIGKILL
    event = begun or invoice_paid("in_1")
    later = lambda: timezone.now() + calls.LEASE  # noqa: E731 - what the dead had leased is free again
    for _ in range(2):
        dispatch_due(timezone.now, budget_seconds=10)
        engine.advance_due(later, budget_seconds=10)
    execution.refresh_from_db()
    assert (execution.status, execution.output["id"]) == (Status.SUCCEEDED, event.external_id)
    assert execution.history.filter(type="ActivitySucceeded").count() == 1
    numbers = list(execution.history.order_by("number").values_list("number", flat=True))
    assert numbers == list(range(1, execution.events + 1))
    assert not EventWait.objects.exists()
