"""Refund workflows under workers that are killed: the sandbox's ledger has every refund, and none twice."""

import json
import signal

import pytest
from django.utils import timezone

from ops.workflows import calls, engine
from ops.workflows.machines import save_version
from ops.workflows.models import Status
from ops.workflows.start import start
from tests import processes
from tests.crashes.refunding import REFUND, paid_invoices
from tests.crashes.refunds import COMMAS

pytestmark = [pytest.mark.crash, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def machine():
    return save_version("refund", json.dumps(REFUND), reason="a test", now=timezone.now()).machine


def worker(comma: str) -> processes.AnyProcess:
    return processes.start("tests.crashes.refunds", comma, piped=True)


def refunds_of(stripe) -> list[tuple[str, int]]:
    refunds = stripe.v1.refunds.list({"limit": 100}).auto_paging_iter()
    return sorted((refund.payment_intent, refund.amount) for refund in refunds)


@pytest.mark.parametrize("comma", list(COMMAS))
def test_killed_at_a_comma_the_refund_is_made_once(comma, machine, stripe):
    (invoice,) = paid_invoices(stripe, 1)
    execution = start(machine, "refund", {"invoice": invoice}, now=timezone.now())
    process = worker(comma)
    assert process.wait(60) == -signal.SIGKILL
    assert process.stdout
    process.stdout.close()
    engine.advance_due(lambda: timezone.now() + calls.LEASE, budget_seconds=30)
    execution.refresh_from_db()
    assert execution.status == Status.SUCCEEDED
    assert [amount for _, amount in refunds_of(stripe)] == [300]
    numbers = list(execution.history.order_by("number").values_list("number", flat=True))
    assert numbers == list(range(1, execution.events + 1))
