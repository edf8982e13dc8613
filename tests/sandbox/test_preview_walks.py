"""Random walks of previews: whatever create_preview says of a change is what the change then bills."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sandbox.running import new_key
from tests.sandbox.travel import Travel

DAY = 24 * 3600
LEAST = 50
"""Less than that cannot be charged in yen, and is carried over to the next invoice."""
PRICES = ((3000, "month"), (700, "month"), (1999, "month"), (30_001, "year"))
COUPONS = (
    {"percent_off": "33.3", "duration": "forever"},
    {"percent_off": "50", "duration": "once"},
    {"amount_off": "450", "currency": "jpy", "duration": "repeating", "duration_in_months": "2"},
    {"amount_off": "90000", "currency": "jpy", "duration": "once"},
)
ITEM = st.tuples(st.sampled_from(range(3)), st.integers(1, 4))
CHANGES = st.one_of(
    st.tuples(st.just("quantity"), st.integers(0, 2), st.integers(0, 6)),
    st.tuples(st.just("quantity"), st.integers(0, 2), st.integers(0, 6)),
    st.tuples(st.just("price"), st.integers(0, 2), st.sampled_from(range(4))),
    st.tuples(st.just("price"), st.integers(0, 2), st.sampled_from(range(3))),
    st.tuples(st.just("add"), st.integers(0, 2), st.integers(1, 4)),
    st.tuples(st.just("remove"), st.integers(0, 2), st.none()),
    st.tuples(st.just("discount"), st.sampled_from(range(4)), st.booleans()),
    st.tuples(st.just("tax"), st.booleans(), st.none()),
    st.tuples(st.just("credit"), st.integers(-4000, 2500), st.none()),
    st.tuples(st.just("restart"), st.none(), st.none()),
    st.tuples(st.just("trial"), st.integers(1, 20), st.none()),
    st.tuples(st.just("end"), st.integers(1, 40), st.none()),
    st.tuples(st.just("phase"), st.sampled_from(range(3)), st.integers(1, 3)),
    st.tuples(st.just("leave"), st.none(), st.none()),
    st.tuples(st.just("stay"), st.none(), st.none()),
)
STEP = st.tuples(
    CHANGES,
    st.sampled_from(["create_prorations", "always_invoice", "none"]),
    st.sampled_from([0, 1, 7 * DAY + 11, 16 * DAY, 40 * DAY]),
)


class Walk:
    """One customer with one subscription of up to three items."""

    def __init__(self, travel: Travel, items: list[tuple[int, int]], coupon: int | None, itemized: bool) -> None:
        self.travel = travel
        product = travel.post("/v1/products", name="Pro")["id"]
        self.prices = [self._price(product, *terms) for terms in PRICES]
        self.coupons = [travel.post("/v1/coupons", **terms)["id"] for terms in COUPONS]
        self.rates = [
            travel.post("/v1/tax_rates", display_name="VAT", percentage="10", inclusive=inclusive)["id"]
            for inclusive in ("true", "false")
        ]
        self.customer = travel.post("/v1/customers", payment_method="pm_card_visa")["id"]
        [card] = travel.get("/v1/payment_methods", customer=self.customer)["data"]
        travel.post(f"/v1/customers/{self.customer}", **{"invoice_settings[default_payment_method]": card["id"]})
        begun = {f"items[{number}][price]": self.prices[price] for number, (price, _) in enumerate(items)}
        begun |= {f"items[{number}][quantity]": str(quantity) for number, (_, quantity) in enumerate(items)}
        if coupon is not None:
            begun["discounts[0][coupon]"] = self.coupons[coupon]
        if itemized:
            begun |= {"billing_mode[type]": "flexible", "billing_mode[flexible][proration_discounts]": "itemized"}
        self.id = travel.post("/v1/subscriptions", customer=self.customer, **begun)["id"]

    def _price(self, product: str, amount: int, interval: str) -> str:
        terms = {"currency": "jpy", "unit_amount": str(amount), "recurring[interval]": interval}
        return str(self.travel.post("/v1/prices", product=product, **terms)["id"])

    @property
    def now(self) -> Any:
        return self.travel.get(f"/v1/subscriptions/{self.id}")

    def prepare(self, change: tuple[Any, Any, Any]) -> dict[str, str] | None:
        """The parameters of a change that may be previewed; what else it is, is done at once. None when it makes no
        sense now."""
        kind, first, second = change
        subscription = self.now
        items = subscription["items"]["data"]
        free = [price for price in self.prices[:3] if price not in [item["price"]["id"] for item in items]]
        item: Any = items[(first or 0) % len(items)] if kind in ("quantity", "price", "remove") else None
        if kind == "quantity":
            return {"items[0][id]": item["id"], "items[0][quantity]": str(second)}
        if kind == "price" and self.prices[second] not in [one["price"]["id"] for one in items]:
            if (second == 3) != (item["price"]["recurring"]["interval"] == "year") and len(items) > 1:
                return None
            return {"items[0][id]": item["id"], "items[0][price]": self.prices[second]}
        if kind == "add" and free:
            return {"items[0][price]": free[first % len(free)], "items[0][quantity]": str(second)}
        if kind == "remove" and len(items) > 1:
            return {"items[0][id]": item["id"], "items[0][deleted]": "true"}
        if kind == "restart":
            return {"billing_cycle_anchor": "now"}
        if kind == "trial":
            return {"trial_end": str(self.travel.now + first * DAY)}
        if kind == "end" and not subscription["schedule"]:
            return {"cancel_at": str(self.travel.now + first * DAY)}
        return self._at_once(kind, first, second)

    def _at_once(self, kind: str, first: Any, second: Any) -> dict[str, str] | None:
        """What a preview of the subscription takes as it is."""
        address = f"/v1/subscriptions/{self.id}"
        if kind == "discount":
            place = "discounts[0][coupon]" if second else "items[0][discounts][0][coupon]"
            item = {} if second else {"items[0][id]": self.now["items"]["data"][0]["id"]}
            self.travel.post(address, **{place: self.coupons[first]}, **item)
        elif kind == "tax":
            self.travel.post(address, **{"default_tax_rates[0]": self.rates[first]})
        elif kind == "phase" and not self.now["schedule"] and not self.now["cancel_at"]:
            self._plan_phase(self.prices[first], str(second))
        elif kind == "credit":
            self.travel.post(f"/v1/customers/{self.customer}", balance=str(first))
        elif kind != "stay":
            return None
        return {}

    def _plan_phase(self, price: str, quantity: str) -> None:
        """From the next period on there is one item, of this price."""
        schedule = self.travel.post("/v1/subscription_schedules", from_subscription=self.id)
        [phase] = schedule["phases"]
        given = {"phases[0][start_date]": str(phase["start_date"]), "phases[0][end_date]": str(phase["end_date"])}
        for number, item in enumerate(phase["items"]):
            given |= {f"phases[0][items][{number}][{name}]": str(item[name]) for name in ("price", "quantity")}
        then = {"phases[1][items][0][price]": price, "phases[1][items][0][quantity]": quantity}
        self.travel.post(f"/v1/subscription_schedules/{schedule['id']}", **given | then)

    def leave(self, behavior: str) -> None:
        """Cancel now, with a last invoice."""
        before = self.now["latest_invoice"]
        asked = {"subscription_details[cancel_now]": "true", "subscription_details[proration_behavior]": behavior}
        status, foreseen = self.travel.ask("POST", "/v1/invoices/create_preview", subscription=self.id, **asked)
        prorate = "false" if behavior == "none" else "true"
        self.travel.ask("DELETE", f"/v1/subscriptions/{self.id}", prorate=prorate, invoice_now="true")
        happened = self.next_invoice(before)
        assert (happened is None) == (status == 404)
        assert happened is None or seen(foreseen) == seen(happened)

    def step(self, change: tuple[Any, Any, Any], behavior: str) -> None:
        if change[0] == "leave":
            return self.leave(behavior)
        given = self.prepare(change)
        if given is None:
            return None
        before = self.now["latest_invoice"]
        if given:
            given["proration_behavior"] = behavior
        asked = {f"subscription_details[{name.replace('[', '][', 1)}" + ("" if "[" in name else "]"): value
                 for name, value in given.items()}  # fmt: skip
        status, foreseen = self.travel.ask("POST", "/v1/invoices/create_preview", subscription=self.id, **asked)
        if given:
            self.travel.post(f"/v1/subscriptions/{self.id}", **given)
        happened = self.next_invoice(before)
        if happened is None:
            assert (status, foreseen["error"]["code"]) == (404, "invoice_upcoming_none")
            return None
        assert status == 200, (foreseen, happened)
        assert seen(foreseen) == seen(happened)
        return None

    def next_invoice(self, before: str) -> Any:
        """The invoice that a change made at once, else the one of the next renewal; None when there is none."""
        subscription = self.now
        for _ in range(4):
            if subscription["latest_invoice"] != before or subscription["status"] == "canceled":
                break
            ends = [item["current_period_end"] for item in subscription["items"]["data"]]
            self.travel.advance(max(min(ends) - self.travel.now, 0))
            subscription = self.now
        if subscription["latest_invoice"] == before:
            return None
        return self.travel.get(f"/v1/invoices/{subscription['latest_invoice']}")


def seen(invoice: Any) -> Any:
    """What must be the same: every line, every sum."""
    lines = [
        (line["amount"], line["description"], line["quantity"], line["period"],
         [taken["amount"] for taken in line["discount_amounts"]],
         [(tax["amount"], tax["taxable_amount"]) for tax in line["taxes"]])
        for line in invoice["lines"]["data"]
    ]  # fmt: skip
    sums = ("subtotal", "total", "total_excluding_tax", "starting_balance", "period_start", "period_end", "currency")
    taken = [one["amount"] for one in invoice["total_discount_amounts"]]
    due = invoice["amount_due"] if invoice["amount_due"] >= LEAST else 0
    return lines, {name: invoice[name] for name in sums}, taken, due


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    items=st.lists(ITEM, min_size=1, max_size=3, unique_by=lambda item: item[0]),
    coupon=st.one_of(st.none(), st.sampled_from(range(4))),
    itemized=st.booleans(),
    steps=st.lists(STEP, min_size=1, max_size=4),
)
def test_a_preview_is_what_the_change_then_bills(
    travel: Travel, items: list[tuple[int, int]], coupon: int | None, itemized: bool, steps: list[Any]
) -> None:
    travel.key = new_key()
    walk = Walk(travel, items, coupon, itemized)
    for change, behavior, wait in steps:
        travel.advance(2 * 3600 + wait)  # what is a draft is finalised, and its credit used
        if walk.now["status"] == "canceled":
            return
        walk.step(change, behavior)
    travel.ask("DELETE", f"/v1/subscriptions/{walk.id}")
