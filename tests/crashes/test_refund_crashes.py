"""Refund workflows under workers that are killed: the sandbox's ledger has every refund, and none twice."""

import json
import random
import signal
import time
from datetime import timedelta

import pytest
from django.utils import timezone

from ops.workflows import calls, engine
from ops.workflows.machines import save_version
from ops.workflows.models import Execution, Status
from ops.workflows.start import start
from tests import processes
from tests.crashes.refunds import COMMAS

pytestmark = [pytest.mark.crash, pytest.mark.django_db(transaction=True)]

REFUND = {
    "StartAt": "Refund",
    "States": {
        "Refund": {
            "Type": "Task",
            "Resource": "arn:aws:states:local:000000000000:activity:refund-invoice",
            "Parameters": {"invoice.$": "$.invoice", "amount": 300},
            "Retry": [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 5}],
            "End": True,
        }
    },
}
INVOICES = 12


@pytest.fixture
def invoices(stripe) -> list[str]:
    """Invoices that were paid with 1,000 yen each."""
    customer = stripe.v1.customers.create({"email": "alice@example.com"})
    method = stripe.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    paid = []
    for _ in range(INVOICES):
        invoice = stripe.v1.invoices.create({"customer": customer.id, "currency": "jpy"})
        item = {"customer": customer.id, "invoice": invoice.id, "amount": 1000, "currency": "jpy"}
        stripe.v1.invoice_items.create(item)
        stripe.v1.invoices.finalize_invoice(invoice.id)
        paid.append(stripe.v1.invoices.pay(invoice.id, {"payment_method": method.id}).id)
    return paid


@pytest.fixture
def machine():
    return save_version("refund", json.dumps(REFUND), reason="a test", now=timezone.now()).machine


def worker(comma: str) -> processes.AnyProcess:
    return processes.start("tests.crashes.refunds", comma, piped=True)


def refunds_of(stripe) -> list[tuple[str, int]]:
    refunds = stripe.v1.refunds.list({"limit": 100}).auto_paging_iter()
    return sorted((refund.payment_intent, refund.amount) for refund in refunds)


@pytest.mark.parametrize("comma", list(COMMAS))
def test_killed_at_a_comma_the_refund_is_made_once(comma, invoices, machine, stripe):
    execution = start(machine, "refund", {"invoice": invoices[0]}, now=timezone.now())
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


def test_killed_at_random_among_many_every_refund_is_made_once(invoices, machine, stripe):
    for invoice in invoices:
        start(machine, f"refund-{invoice}", {"invoice": invoice}, now=timezone.now())
    chance = random.Random(7)
    for _ in range(3):
        workers = [worker("none") for _ in range(2)]
        for process in workers:
            assert process.stdout
            process.stdout.readline()
        time.sleep(chance.uniform(0.0, 0.25))
        for process in workers:
            process.kill()
            process.wait(10)
            process.stdout.close()
        # What the dead had leased is free again.
        Execution.objects.filter(status=Status.RUNNING).update(due_at=timezone.now())
    engine.advance_due(lambda: timezone.now() + calls.LEASE + timedelta(minutes=1), budget_seconds=60)
    assert set(Execution.objects.values_list("status", flat=True)) == {Status.SUCCEEDED}
    made = refunds_of(stripe)
    assert len(made) == len({intent for intent, _ in made}) == INVOICES
