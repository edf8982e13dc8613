"""A shop that sells what is counted: a meter, a customer with a card, prices by usage."""

from typing import Any

from sandbox.billing.periods import DAY
from tests.sandbox.running import new_key
from tests.sandbox.travel import Travel

HOUR = 3600
MIDNIGHT = 1_800_057_600
"""16 January 2027, 0:00 UTC."""


class Shop:
    """One account with a meter, in a sandbox whose time stands until it is moved."""

    def __init__(self, travel: Travel, formula: str = "sum", **meter: str) -> None:
        travel.key = new_key()
        travel.now = MIDNIGHT
        self.travel, self.post, self.get, self.ask = travel, travel.post, travel.get, travel.ask
        given = {"display_name": "Calls", "event_name": "calls", "default_aggregation[formula]": formula, **meter}
        self.meter: str = self.post("/v1/billing/meters", **given)["id"]
        self.customer = self.new_customer()

    def new_customer(self, **fields: str) -> str:
        made = self.post("/v1/customers", email="alice@example.com", **fields)
        card = self.post("/v1/payment_methods/pm_card_visa/attach", customer=made["id"])
        self.post(f"/v1/customers/{made['id']}", **{"invoice_settings[default_payment_method]": card["id"]})
        return str(made["id"])

    def use(self, value: str | int = 1, *, at: int = 0, customer: str = "", **more: str) -> tuple[int, Any]:
        fields = {"payload[stripe_customer_id]": customer or self.customer, "payload[value]": str(value)}
        at_given = {"timestamp": str(at)} if at else {}
        return self.ask("POST", "/v1/billing/meter_events", event_name="calls", **fields, **at_given, **more)

    def used(self, start: int = MIDNIGHT, end: int = MIDNIGHT + DAY, window: str = "") -> list[tuple[int, float]]:
        grouped = {"value_grouping_window": window} if window else {}
        path = f"/v1/billing/meters/{self.meter}/event_summaries"
        said = self.get(path, customer=self.customer, start_time=str(start), end_time=str(end), **grouped)
        return [(one["start_time"] - start, one["aggregated_value"]) for one in said["data"]]

    def price(self, currency: str = "usd", **fields: str) -> str:
        recurring = {"recurring[interval]": "month", "recurring[usage_type]": "metered", "recurring[meter]": self.meter}
        amount = {} if "billing_scheme" in fields else {"unit_amount": "10"}
        sold = {"currency": currency, "product_data[name]": "Calls", **recurring, **amount, **fields}
        return str(self.post("/v1/prices", **sold)["id"])

    def licensed(self) -> str:
        sold = {"currency": "usd", "product_data[name]": "Base", "unit_amount": "2000", "recurring[interval]": "month"}
        return str(self.post("/v1/prices", **sold)["id"])

    def subscribe(self, *prices: str, **fields: str) -> Any:
        items = {f"items[{number}][price]": price for number, price in enumerate(prices)}
        return self.post("/v1/subscriptions", customer=self.customer, **items, **fields)

    def invoices(self) -> list[Any]:
        """Oldest first."""
        found: list[Any] = self.get("/v1/invoices", customer=self.customer)["data"][::-1]
        return found

    def types(self) -> list[str]:
        return [event["type"] for event in self.get("/v1/events", limit="100")["data"]][::-1]


def lines_of(invoice: Any) -> list[tuple[str, int, int]]:
    return [(line["description"], line["quantity"], line["amount"]) for line in invoice["lines"]["data"]]


TIERS = {
    "billing_scheme": "tiered", "tiers_mode": "graduated",
    "tiers[0][up_to]": "5", "tiers[0][unit_amount]": "700", "tiers[0][flat_amount]": "1000",
    "tiers[1][up_to]": "inf", "tiers[1][unit_amount_decimal]": "0.5",
}  # fmt: skip
