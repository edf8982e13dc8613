"""The rules that are shipped, on events of a Stripe: what they open, say, and close again."""

from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from accounts.models import CustomerLink
from billing.activity.models import Activity
from billing.mirror.apply import mirror_due
from ops.models import Delivery, Finding, Rule, RuleState
from ops.rules.deliver import deliver_due
from ops.rules.dispatch import dispatch_due
from ops.rules.edit import set_state
from tests.ops.rules.made import paid_invoice

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def switched_on(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("rules", "apply")
    for rule in Rule.objects.all():
        set_state(rule, RuleState.ON, actor=None, reason="tried", now=timezone.now())


@pytest.fixture
def customer(acme, stripe) -> Any:
    customer = stripe.v1.customers.create({"email": "alice@example.com"})
    CustomerLink.objects.create(
        organization=acme, livemode=False, idempotency_key="key", keyed_at=timezone.now(), customer_id=customer.id
    )
    return customer


def subscribe(stripe: Any, customer: Any, *, amount: int, card: str = "pm_card_visa") -> Any:
    product = stripe.v1.products.create({"name": "Pro"})
    price = stripe.v1.prices.create(
        {"product": product.id, "currency": "jpy", "unit_amount": amount, "recurring": {"interval": "month"}}
    )
    method = stripe.v1.payment_methods.attach(card, {"customer": customer.id})
    return stripe.v1.subscriptions.create(
        {"customer": customer.id, "items": [{"price": price.id}], "default_payment_method": method.id}
    )


def everything_happens(take_events: Any) -> None:
    take_events()
    mirror_due(timezone.now, budget_seconds=30)
    dispatch_due(timezone.now, budget_seconds=30)
    deliver_due(timezone.now, budget_seconds=30)
    assert set(Delivery.objects.values_list("state", flat=True)) <= {"done"}


def test_a_large_invoice_is_seen_by_finance_and_its_customer_is_thanked(
    switched_on, acme, stripe, customer, take_events
) -> None:
    subscribe(stripe, customer, amount=4999)
    everything_happens(take_events)
    assert not Finding.objects.exists()
    large = subscribe(stripe, customer, amount=5000)
    everything_happens(take_events)
    finding = Finding.objects.get()
    invoice = stripe.v1.invoices.retrieve(large.latest_invoice)
    assert finding.subject == invoice.id
    assert finding.evidence["title"] == f"Invoice {invoice.number} was paid: 5000 JPY"
    news = Activity.objects.get(organization=acme, verb="notice:published")
    assert news.subject_id == invoice.id
    assert invoice.number in news.data["text"]["en"]
    assert invoice.number in news.data["text"]["ja"]


def test_an_invoice_that_cannot_be_collected_is_urgent_until_it_is_settled(switched_on) -> None:
    def happens(kind: str, tries: int) -> None:
        about = {"id": "in_1", "object": "invoice", "number": "ACME-7", "attempt_count": tries, "currency": "eur"}
        payload = {"id": f"evt_{kind}_{tries}", "object": "event", "type": kind, "data": {"object": about}}
        paid_invoice(type=kind, external_id=payload["id"], payload=payload, received_at=timezone.now())
        dispatch_due(timezone.now, budget_seconds=10)
        deliver_due(timezone.now, budget_seconds=10)

    happens("invoice.payment_failed", 2)
    assert not Finding.objects.exists()
    happens("invoice.payment_failed", 3)
    happens("invoice.payment_failed", 4)
    finding = Finding.objects.get()
    assert (finding.subject, finding.severity, finding.open) == ("in_1", "urgent", True)
    assert finding.evidence["title"] == "Invoice ACME-7 could not be collected in 4 tries"
    happens("invoice.voided", 4)
    finding.refresh_from_db()
    assert not finding.open
