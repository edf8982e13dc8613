"""A small company on the sandbox: two plans by month and year, and somebody who pays on the hosted page."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import stripe

VISA = "4242 4242 4242 4242"
DECLINED = "4000 0000 0000 9995"


@dataclass
class Shop:
    """`prices` by lookup key, such as `business_monthly_v1`."""

    stripe: stripe.StripeClient
    mirror_events: Callable[[], int]
    prices: dict[str, str] = field(default_factory=dict)

    def open(self) -> "Shop":
        self.add_plan("team", "Team", 1, {"monthly": 2000, "yearly": 20000}, ["Three seats"])
        self.add_plan("business", "Business", 2, {"monthly": 5000, "yearly": 50000}, ["Ten seats", "Audit log"])
        self.mirror_events()
        return self

    def add_plan(self, key: str, name: str, order: int, amounts: dict[str, int], features: list[str]) -> None:
        product = self.stripe.v1.products.create(
            {
                "name": name,
                "metadata": {"kessai_plan": key, "kessai_order": str(order)},
                "marketing_features": [{"name": feature} for feature in features],
            }
        )
        for often, interval in (("monthly", "month"), ("yearly", "year")):
            lookup_key = f"{key}_{often}_v1"
            price = self.stripe.v1.prices.create(
                {
                    "product": product.id,
                    "currency": "jpy",
                    "unit_amount": amounts[often],
                    "recurring": {"interval": interval},  # type: ignore[typeddict-item]
                    "lookup_key": lookup_key,
                }
            )
            self.prices[lookup_key] = price.id

    @property
    def business(self) -> str:
        return self.prices["business_monthly_v1"]

    @property
    def team(self) -> str:
        return self.prices["team_monthly_v1"]

    def open_sessions(self) -> list[str]:
        return [session.id for session in self.stripe.v1.checkout.sessions.list({"status": "open", "limit": 100}).data]

    def subscriptions(self) -> list[Any]:
        return list(self.stripe.v1.subscriptions.list({"status": "all", "limit": 100}).data)

    def customers(self) -> list[str]:
        return [customer.id for customer in self.stripe.v1.customers.list({"limit": 100}).data]


def pay(url: str, *, number: str = VISA) -> httpx.Response:
    """Fill the hosted payment page in and send it, as a customer would; return where it leads."""
    form = {"number": number, "expiry": "12/34", "cvc": "123", "name": "Alice", "email": "alice@example.com"}
    return httpx.post(url, data=form, follow_redirects=False, timeout=60)
