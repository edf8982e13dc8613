"""The playbook dunning on the sandbox's clock: real events, the real inbox, rule, engine, letters and access."""

import json
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core import mail
from django.core.management import call_command
from django.utils import timezone

from accounts.models import CustomerLink
from billing.entitlements.access import State
from billing.entitlements.models import Outlook
from billing.entitlements.outlook import outlooks_of
from billing.entitlements.resolve import access_of
from billing.mirror.apply import mirror_due
from config.env import BASE_DIR
from ops.models import Delivery, Execution, Finding, Mail
from ops.rules.deliver import deliver_due
from ops.rules.dispatch import dispatch_due
from ops.rules.patterns import compile_pattern
from ops.workflows import engine
from tests.ops.workflows.moving import Clock

FAILING, GOOD = "pm_card_chargeCustomerFail", "pm_card_visa"
PLAYBOOK = Path(BASE_DIR) / "ops" / "playbooks" / "dunning"
DAY = timedelta(days=1)


class World:
    """Acme's subscription in the time of a test clock, and the portal, whose workflows go by the same time."""

    def __init__(self, stripe: Any, take_events: Any, acme: Any) -> None:
        self.stripe, self.take_events, self.acme = stripe, take_events, acme
        self.clock = Clock(timezone.now().replace(microsecond=0))
        frozen = int(self.clock.now.timestamp())
        self.test_clock = stripe.v1.test_helpers.test_clocks.create({"frozen_time": frozen})
        self.customer = stripe.v1.customers.create({"email": "alice@example.com", "test_clock": self.test_clock.id})
        CustomerLink.objects.create(
            organization=acme,
            livemode=False,
            idempotency_key="k",
            keyed_at=timezone.now(),
            customer_id=self.customer.id,
        )
        self.pay_by(GOOD)
        product = stripe.v1.products.create({"name": "Business"})
        price = stripe.v1.prices.create(
            {"product": product.id, "currency": "jpy", "unit_amount": 5000, "recurring": {"interval": "month"}}
        )
        given = {"customer": self.customer.id, "items": [{"price": price.id}]}
        self.subscription = stripe.v1.subscriptions.create(given)
        self.listen()

    def pay_by(self, card: str) -> None:
        method = self.stripe.v1.payment_methods.attach(card, {"customer": self.customer.id})
        settings = {"invoice_settings": {"default_payment_method": method.id}}
        self.stripe.v1.customers.update(self.customer.id, settings)

    def pass_time(self, days: float) -> None:
        """Advance Stripe, let its events come, then let the workflows come to the same moment."""
        self.clock.now += days * DAY
        to = int(self.clock.now.timestamp())
        self.stripe.v1.test_helpers.test_clocks.advance(self.test_clock.id, {"frozen_time": to})
        self.listen()

    def listen(self) -> None:
        """Everything that is due, until nothing more comes of it: events, rules, calls, workflows."""
        new = True
        while new:
            new = self.take_events()
            mirror_due(timezone.now, budget_seconds=30)
            dispatch_due(timezone.now, budget_seconds=30)
            deliver_due(timezone.now, budget_seconds=30)
            engine.advance_due(self.clock, budget_seconds=30)
        assert set(Delivery.objects.values_list("state", flat=True)) <= {"done"}

    def fall_behind(self) -> None:
        self.pay_by(FAILING)
        self.pass_time(32)

    @property
    def state(self) -> State:
        return access_of(self.acme).state

    @property
    def invoice(self) -> Any:
        invoices = self.stripe.v1.invoices.list({"customer": self.customer.id, "limit": 10}).data
        return next(each for each in invoices if each.billing_reason == "subscription_cycle")

    def execution(self) -> Execution:
        return Execution.objects.get(machine__name="dunning")

    def ended(self) -> str:
        execution = self.execution()
        assert execution.status == "SUCCEEDED", (execution.status, execution.error, execution.cause, execution.walkers)
        return execution.output["ended"]


@pytest.fixture
def world(transactional_db, stripe, take_events, acme) -> World:
    call_command("playbooks", "apply", "dunning", "--on", "--json")
    return World(stripe, take_events, acme)


def letters() -> list[str]:
    return list(Mail.objects.order_by("pk").values_list("template", flat=True))


def test_unpaid_to_the_end(world) -> None:
    world.fall_behind()
    assert (world.state, letters()) == (State.GRACE, ["dunning/payment-failed"])
    assert "¥5,000 did not go through" in mail.outbox[0].subject
    assert world.invoice.hosted_invoice_url in mail.outbox[0].body
    # The page says beforehand what comes, by the very moments at which the execution's waits run out.
    assert foreseen(world) == {"rest": due(world), "try": due(world) + 14 * DAY, "end": due(world) + 14 * DAY}
    # Stripe tries again on the way, and each failure is an event: none of them begins another execution.
    world.pass_time(6.9)
    assert (world.state, Execution.objects.count(), world.invoice.attempt_count > 1) == (State.GRACE, 1, True)
    world.pass_time(0.2)
    assert (world.state, letters()[1:]) == (State.SUSPENDED, ["dunning/suspended"])
    assert foreseen(world) == {"try": due(world) + 7 * DAY, "end": due(world) + 7 * DAY}
    world.pass_time(7)
    assert foreseen(world) == {"try": due(world), "end": due(world)}
    assert (world.state, letters()[2:]) == (State.SUSPENDED, ["dunning/last-notice"])
    world.pass_time(7)
    assert world.ended() == "cancelled"
    assert not Outlook.objects.exists()
    assert (world.state, letters()[3:]) == (State.REVOKED, ["dunning/cancelled"])
    assert world.stripe.v1.subscriptions.retrieve(world.subscription.id).status == "canceled"
    assert world.invoice.status == "void"
    assert not Finding.objects.exists()
    assert len(mail.outbox) == 4
    tried = backtest()
    assert (tried["executions"], tried["repeated"]) == (1, world.invoice.attempt_count - 1)
    assert (tried["endings"], tried["money"]) == ({"Cancelled": 1}, {"Cancelled": {"jpy": 5000}})
    assert [each["state"] for each in tried["runs"][0]["touched"]] == [
        "Foretell", "Say that it failed", "Suspend access", "Say that access rests", "Last notice", "Try a last time",
        "Cancel the plan", "Void the invoice", "Say that it is cancelled",
    ]  # fmt: skip


def foreseen(world: World) -> dict[str, Any]:
    [facts] = outlooks_of(world.acme)
    return {step.act.value: step.at for step in facts.steps}


def due(world: World) -> Any:
    """When the wait in which the execution stands runs out: by the engine's own row."""
    return world.execution().due_at


def backtest(*more: str) -> dict[str, Any]:
    """The playbook on what was received so far; nothing is written by it."""
    before = Execution.objects.count(), Mail.objects.count()
    out = StringIO()
    call_command("backtest_playbook", "dunning", "--json", *more, stdout=out)
    assert (Execution.objects.count(), Mail.objects.count()) == before
    found: dict[str, Any] = json.loads(out.getvalue())
    return found


@pytest.mark.parametrize("days", [1, 15])
def test_money_at_any_moment_ends_it(world, days) -> None:
    world.fall_behind()
    if days > 1:
        world.pass_time(7.1)
    world.pass_time(days % 7)
    assert world.state is (State.GRACE if days == 1 else State.SUSPENDED)
    before = len(letters())
    world.pay_by(GOOD)
    world.stripe.v1.invoices.pay(world.invoice.id)
    world.listen()
    assert (world.ended(), world.state, Outlook.objects.count()) == ("paid", State.ACTIVE, 0)
    assert letters()[before:] == ["dunning/thanks"]
    tried = backtest()
    assert (tried["endings"], tried["runs"][0]["organization"]) == ({"Paid": 1}, "Acme")
    assert tried["effects"]["send-email"] == len(letters())
    assert tried["effects"].get("suspend-access", 0) == (days > 1)
    world.pass_time(22)
    assert (world.state, len(letters())) == (State.ACTIVE, before + 1)


def test_money_in_the_second_of_the_cancellation_keeps_the_plan(world) -> None:
    """Paid, and the event is not here yet when the last wait runs out: Stripe itself is asked."""
    world.fall_behind()
    world.pass_time(7.1)
    world.pass_time(7)
    world.pay_by(GOOD)
    world.clock.now += 7 * DAY
    engine.advance_due(world.clock, budget_seconds=30)
    assert world.ended() == "paid"
    world.listen()
    assert (world.state, world.invoice.status) == (State.ACTIVE, "paid")


def test_an_invoice_that_is_voided_ends_it_without_a_word(world) -> None:
    world.fall_behind()
    world.pass_time(7.1)
    before = letters()
    world.stripe.v1.invoices.void_invoice(world.invoice.id)
    world.listen()
    assert (world.ended(), letters()) == ("voided", before)
    assert world.state in (State.ACTIVE, State.GRACE)


def test_a_customer_who_leaves_meanwhile_is_left_alone(world) -> None:
    world.fall_behind()
    world.stripe.v1.subscriptions.cancel(world.subscription.id)
    world.listen()
    assert (world.ended(), letters(), world.state) == ("subscription-ended", ["dunning/payment-failed"], State.REVOKED)


@pytest.mark.parametrize(
    ("changes", "fits"),
    [({}, True), ({"billing_reason": "subscription_create"}, False), ({"status": "paid"}, False)],
)
def test_it_is_about_renewals_that_are_owed(changes, fits) -> None:
    """A first payment that fails is the checkout's affair."""
    pattern = compile_pattern(json.loads((PLAYBOOK / "rules" / "dunning.json").read_text())["EventPattern"])
    invoice = {"billing_reason": "subscription_cycle", "status": "open", **changes}
    event = {"source": "stripe.com", "detail-type": "invoice.payment_failed", "detail": {"data": {"object": invoice}}}
    assert pattern.matches(event) is fits
