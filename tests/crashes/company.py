"""The company whose life is lived: what it has made so far."""

import random
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Company:
    """What a life has made so far, and where it is lived: the client, and the sandbox's own address."""

    stripe: Any
    sandbox: str
    chance: random.Random
    name: str = "Kyoto"  # in what it names itself: both modes of an account may have the same
    products: list[str] = field(default_factory=list)
    prices: list[str] = field(default_factory=list)
    customers: list[str] = field(default_factory=list)
    subscriptions: list[str] = field(default_factory=list)
    schedules: list[str] = field(default_factory=list)
    coupons: list[str] = field(default_factory=list)
    promotions: list[str] = field(default_factory=list)
    invoices: list[str] = field(default_factory=list)
    clocks: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)  # the names of the acts that Stripe let pass

    @property
    def v1(self) -> Any:
        return self.stripe.v1

    def one(self, ids: list[str]) -> str:
        return self.chance.choice(ids)

    def living_subscription(self) -> Any:
        """One that has not ended, where a few tries find one."""
        for _ in range(4):
            subscription = self.v1.subscriptions.retrieve(self.one(self.subscriptions))
            if subscription.status not in ("canceled", "incomplete_expired"):
                break
            self.subscriptions.remove(subscription.id)
        return subscription
