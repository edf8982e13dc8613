"""Acme pays for a server: its subscription at the sandbox, its stack at moto, events through both doors, one clock.

The clock is the engine's and the sandbox's test clock's alike; moto's stacks live in real milliseconds.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx
from django.conf import settings

from accounts.models import CustomerLink, Organization
from billing.inbox.intake import store_event
from billing.inbox.models import Door
from billing.inbox.sqs import Receiver
from billing.mirror.apply import mirror_due
from billing.provisioning.models import Provision
from ops.rules.deliver import deliver_due
from ops.rules.dispatch import dispatch_due
from ops.workflows import engine
from ops.workflows.calls import Make
from ops.workflows.models import Execution
from ops.workflows.resources import make
from tests.ops.workflows.moving import next_due

PATIENCE = 90.0  # real seconds for what happens in another process


@dataclass
class Hosting:
    """`make` is what makes calls: tests have each made twice, or killed."""

    stripe: Any
    organization: Organization
    receiver: Receiver
    now: datetime
    make: Make = make
    seen: set[str] = field(default_factory=set)
    customer: str = ""
    subscription: str = ""
    test_clock: str = ""

    def clock(self) -> datetime:
        return self.now

    def subscribe(self, card: str = "pm_card_visa", *, provision: str = "stack", **more: Any) -> str:
        """Subscribe to a plan with a server, on a test clock that stands at our time."""
        frozen = {"frozen_time": int(self.now.timestamp())}
        self.test_clock = self.stripe.v1.test_helpers.test_clocks.create(frozen).id
        product = self.stripe.v1.products.create({"name": "Hosting"})
        price = self.stripe.v1.prices.create(
            {
                "product": product.id,
                "currency": "jpy",
                "unit_amount": 3000,
                "recurring": {"interval": "month"},
                "metadata": {"kessai_provision": provision},
            }
        )
        customer = self.stripe.v1.customers.create({"email": "alice@example.com", "test_clock": self.test_clock})
        self.customer = customer.id
        CustomerLink.objects.create(
            organization=self.organization, livemode=False, idempotency_key="key", keyed_at=self.now,
            customer_id=customer.id,
        )  # fmt: skip
        self.pay_with(card)
        given = {"customer": customer.id, "items": [{"price": price.id}], **more}
        self.subscription = self.stripe.v1.subscriptions.create(given).id
        return self.subscription

    def pay_with(self, card: str) -> None:
        method = self.stripe.v1.payment_methods.attach(card, {"customer": self.customer})
        self.stripe.v1.customers.update(self.customer, {"invoice_settings": {"default_payment_method": method.id}})

    def hear(self) -> None:
        """Take what Stripe and AWS have told since, through their doors, and do everything that is due by now."""
        events = list(self.stripe.v1.events.list({"limit": 100}).auto_paging_iter())
        for event in reversed(events):
            if event.id not in self.seen:
                self.seen.add(event.id)
                store_event(json.loads(str(event)), door=Door.WEBHOOK, now=self.now)
        self.receiver.receive()
        self.act()

    def act(self) -> None:
        """Do everything that is due by now, with what has been heard."""
        mirror_due(self.clock, budget_seconds=30)
        dispatch_due(self.clock, budget_seconds=30)
        deliver_due(self.clock, budget_seconds=30)
        engine.advance_due(self.clock, budget_seconds=30, make=self.make)

    def until(self, holds: Callable[[], object]) -> None:
        """Hear until it holds; time stands."""
        deadline = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < deadline, [*Execution.objects.values(), *Provision.objects.values()]
            self.hear()

    def until_state(self, state: str) -> Provision:
        self.until(lambda: Provision.objects.filter(state=state).exists())
        return self.provision

    def until_idle(self) -> None:
        """Hear until every execution has ended."""
        self.until(lambda: self.executions and not Execution.objects.filter(status="RUNNING").exists())

    def stands_at(self, state: str) -> bool:
        return Execution.objects.filter(standing=state).exists()

    def until_it_failed_twice(self) -> None:
        for attempt in (1, 2):
            self.until(lambda attempt=attempt: self.stands_at("Wait a little") and self.provision.attempt == attempt)
            self.later(seconds=11)

    def later(self, **by: float) -> None:
        """Let time pass, here and at Stripe, stopping where an execution is due; then hear."""
        end = self.now + timedelta(**by)
        while (due := next_due()) and due < end:
            self.now = max(self.now, due)
            self.hear()
        self.now = end
        self.advance_stripe()
        self.hear()

    def advance_stripe(self) -> None:
        clocks = self.stripe.v1.test_helpers.test_clocks
        clocks.advance(self.test_clock, {"frozen_time": int(self.now.timestamp())})
        deadline = time.monotonic() + PATIENCE
        while clocks.retrieve(self.test_clock).status != "ready":
            assert time.monotonic() < deadline
            time.sleep(0.01)

    @property
    def provision(self) -> Provision:
        return Provision.objects.get(subscription_id=self.subscription)

    @property
    def executions(self) -> dict[str, str]:
        """How executions stand, by machine: those of one machine joined."""
        found: dict[str, str] = {}
        for machine, status in Execution.objects.order_by("pk").values_list("machine__name", "status"):
            found[machine] = f"{found[machine]} {status}" if machine in found else status
        return found

    def refunds(self) -> list[int]:
        """What went back, by the ledger: every movement, however it came about."""
        address = f"{settings.STRIPE_API_BASE}/_sandbox/ledger"
        answer = httpx.get(address, params={"customer": self.customer}, trust_env=False)
        return [entry["amount"] for entry in answer.json()["data"] if entry["entry"] == "refund"]
