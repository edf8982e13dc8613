"""Random walks of a subscription: whatever is done in whatever order, it moves legally and every yen is explained."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sandbox.running import new_key
from tests.sandbox.travel import Travel

DAY = 24 * 3600
CARDS = ("pm_card_visa", "pm_card_chargeCustomerFail", "pm_card_authenticationRequired")
LEGAL = {
    "incomplete": {"incomplete", "active", "trialing", "incomplete_expired", "past_due", "canceled"},
    "trialing": {"trialing", "active", "past_due", "paused", "canceled"},
    "active": {"active", "trialing", "past_due", "canceled"},
    "past_due": {"past_due", "active", "trialing", "canceled"},
    "paused": {"paused", "active", "canceled"},
    "canceled": {"canceled"},
    "incomplete_expired": {"incomplete_expired"},
}
ACTS = st.one_of(
    st.tuples(st.just("card"), st.sampled_from(CARDS)),
    st.tuples(st.just("quantity"), st.integers(min_value=0, max_value=9)),
    st.tuples(st.just("price"), st.integers(min_value=0, max_value=2)),
    st.tuples(st.just("leave"), st.booleans()),
    st.tuples(st.just("end_trial"), st.none()),
    st.tuples(st.just("resume"), st.none()),
    st.tuples(st.just("pay"), st.none()),
    st.tuples(st.just("void"), st.none()),
    st.tuples(st.just("cancel"), st.booleans()),
    st.tuples(st.just("wait"), st.sampled_from([1, 3601, DAY, 9 * DAY, 33 * DAY])),
)


class Walk:
    """One customer with one subscription, and what may be done to it."""

    def __init__(self, travel: Travel, behavior: str, trial_days: int) -> None:
        self.travel = travel
        product = travel.post("/v1/products", name="Pro")["id"]
        self.prices = [self._price(product, *terms) for terms in ((3000, "month"), (9000, "month"), (30_000, "year"))]
        self.customer = travel.post("/v1/customers", payment_method="pm_card_visa")["id"]
        self.use("pm_card_visa")
        given = {"customer": self.customer, "items[0][price]": self.prices[0], "payment_behavior": behavior}
        given |= {"trial_settings[end_behavior][missing_payment_method]": "pause"}
        self.id = travel.post(
            "/v1/subscriptions", **given, **({"trial_period_days": str(trial_days)} if trial_days else {})
        )["id"]

    def _price(self, product: str, amount: int, interval: str) -> str:
        terms = {"currency": "jpy", "unit_amount": str(amount), "recurring[interval]": interval}
        return str(self.travel.post("/v1/prices", product=product, **terms)["id"])

    def use(self, card: str) -> None:
        held = self.travel.post(f"/v1/payment_methods/{card}/attach", customer=self.customer)["id"]
        default = {"invoice_settings[default_payment_method]": held}
        self.travel.post(f"/v1/customers/{self.customer}", **default)

    def act(self, name: str, value: Any) -> None:
        """One step; whether it is allowed is the sandbox's business."""
        path = f"/v1/subscriptions/{self.id}"
        if name == "card":
            self.use(value)
        elif name in ("quantity", "price"):
            self._change_item(name, value)
        elif name == "leave":
            self.travel.ask("POST", path, cancel_at_period_end=str(value).lower())
        elif name == "end_trial":
            self.travel.ask("POST", path, trial_end="now")
        elif name == "resume":
            self.travel.ask("POST", f"{path}/resume")
        elif name in ("pay", "void"):
            for invoice in self.invoices("open"):
                self.travel.ask("POST", f"/v1/invoices/{invoice['id']}/{name}")
        elif name == "cancel":
            self.travel.ask("DELETE", path)
        else:
            self.travel.advance(value)

    def _change_item(self, name: str, value: Any) -> None:
        item = self.now()["items"]["data"][0]["id"]
        given = {"items[0][id]": item, "proration_behavior": ("create_prorations", "always_invoice")[value % 2]}
        given[f"items[0][{name}]"] = self.prices[value] if name == "price" else str(value)
        self.travel.ask("POST", f"/v1/subscriptions/{self.id}", **given)

    def now(self) -> Any:
        return self.travel.get(f"/v1/subscriptions/{self.id}")

    def invoices(self, status: str = "") -> list[Any]:
        by = {"status": status} if status else {}
        return list(self.travel.get("/v1/invoices", customer=self.customer, limit="100", **by)["data"])

    def check(self) -> None:
        invoices = self.invoices()
        for invoice in invoices:
            check_invoice(invoice)
        self._check_money(invoices)
        self._check_periods()

    def _check_money(self, invoices: list[Any]) -> None:
        """What was paid is what was charged; what was billed and not charged is the customer's balance."""
        charges = self.travel.get("/v1/charges", customer=self.customer, limit="100")["data"]
        taken = sum(charge["amount_captured"] for charge in charges if charge["status"] == "succeeded")
        assert taken == sum(invoice["amount_paid"] for invoice in invoices)
        final = [invoice for invoice in invoices if invoice["status"] != "draft"]
        billed = sum(invoice["total"] for invoice in final)
        due = sum(invoice["amount_due"] for invoice in final)
        assert self.travel.get(f"/v1/customers/{self.customer}")["balance"] == billed - due

    def _check_periods(self) -> None:
        now = self.now()
        [item] = now["items"]["data"]
        assert item["current_period_start"] < item["current_period_end"]
        if now["status"] in ("active", "trialing", "past_due"):
            assert item["current_period_start"] <= self.travel.now < item["current_period_end"]


def check_invoice(invoice: Any) -> None:
    assert invoice["total"] == sum(line["amount"] for line in invoice["lines"]["data"])
    assert invoice["amount_due"] == invoice["amount_paid"] + invoice["amount_remaining"]
    assert invoice["amount_due"] >= 0
    if invoice["status"] == "paid":
        assert invoice["amount_remaining"] == 0
    assert (invoice["number"] is None) == (invoice["status"] == "draft")


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    steps=st.lists(ACTS, max_size=12),
    behavior=st.sampled_from(["allow_incomplete", "default_incomplete"]),
    trial_days=st.sampled_from([0, 0, 2, 14]),
)
def test_a_subscription_moves_legally_and_every_yen_is_explained(
    travel: Travel, steps: list[tuple[str, Any]], behavior: str, trial_days: int
) -> None:
    travel.key = new_key()
    walk = Walk(travel, behavior, trial_days)
    before = walk.now()["status"]
    for name, value in steps:
        walk.act(name, value)
        after = walk.now()["status"]
        assert after in LEGAL[before], (before, after, name)
        before = after
        walk.check()
    numbers = [invoice["number"] for invoice in walk.invoices() if invoice["number"]]
    assert len(set(numbers)) == len(numbers)
    told = [event["type"] for event in travel.get("/v1/events", limit="100")["data"]]
    assert told.count("customer.subscription.created") <= 1
    assert told.count("customer.subscription.deleted") <= 1
    with travel.engine.store.read() as tx:
        assert tx.sql("SELECT kind, error FROM jobs WHERE error IS NOT NULL").fetchall() == []
