"""Random walks through time: whatever is done and however far time is moved, a subscription moves legally, its periods
follow each other without a gap, each is billed once, and what happened is told in the order of its time."""

import itertools
import json
from collections import Counter
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.app import Call, answer
from tests.sandbox.running import new_key
from tests.sandbox.travel import Travel

DAY = 24 * 3600
CARDS = ("pm_card_visa", "pm_card_chargeCustomerFail", "pm_card_authenticationRequired")
LEGAL = {
    ("incomplete", "active"), ("incomplete", "trialing"), ("incomplete", "incomplete_expired"),
    ("trialing", "active"), ("trialing", "past_due"), ("trialing", "paused"), ("trialing", "canceled"),
    ("active", "past_due"), ("active", "trialing"), ("active", "canceled"),
    ("past_due", "active"), ("past_due", "unpaid"), ("past_due", "canceled"), ("past_due", "trialing"),
    ("unpaid", "active"), ("unpaid", "canceled"), ("unpaid", "trialing"), ("unpaid", "past_due"),
    ("paused", "active"), ("paused", "canceled"),
}  # fmt: skip
"""Source: Stripe docs, "How subscriptions work" (subscription statuses)."""
ACTS = st.one_of(
    st.tuples(st.just("card"), st.sampled_from(CARDS)),
    st.tuples(st.just("quantity"), st.integers(min_value=1, max_value=5)),
    st.tuples(st.just("leave"), st.booleans()),
    st.tuples(st.just("leave_in"), st.integers(min_value=1, max_value=70)),
    st.tuples(st.just("hold"), st.sampled_from(["", "keep_as_draft", "void", "mark_uncollectible"])),
    st.tuples(st.just("trial"), st.integers(min_value=1, max_value=20)),
    st.tuples(st.just("wait_for_payment"), st.integers(min_value=1, max_value=5)),
    st.tuples(st.just("restart"), st.none()),
    st.tuples(st.just("resume"), st.none()),
    st.tuples(st.just("pay"), st.none()),
    st.tuples(st.just("void"), st.none()),
    st.tuples(st.just("advance"), st.sampled_from([1, 3601, DAY, 4 * DAY, 16 * DAY, 33 * DAY])),
    st.tuples(st.just("advance"), st.sampled_from([1, 3601, DAY, 4 * DAY, 16 * DAY, 33 * DAY])),
)
BEGINNINGS = st.sampled_from(
    [
        {},
        {"trial_period_days": "5"},
        {"trial_period_days": "5", "trial_settings[end_behavior][missing_payment_method]": "pause"},
        {"billing_cycle_anchor_config[day_of_month]": "31"},
        {"payment_behavior": "default_incomplete"},
        {"collection_method": "send_invoice", "days_until_due": "7"},
    ]
)


class Walk:
    """One customer with one subscription to two prices, in the sandbox's own time or in a test clock's."""

    def __init__(self, travel: Travel, beginning: dict[str, str], ending: str, *, clocked: bool) -> None:
        self.travel, self.clock = travel, ""
        if clocked:
            self.clock = travel.post("/v1/test_helpers/test_clocks", frozen_time=str(1_801_353_600))["id"]
        self.control("settings", key=travel.key, after_retries=ending, after_overdue=ending, overdue_days=5)
        product = travel.post("/v1/products", name="Pro")["id"]
        prices = [self._price(product, *terms) for terms in ((3000, "month"), (700, "week"))]
        owner = {"test_clock": self.clock} if clocked else {}
        self.customer = travel.post("/v1/customers", payment_method="pm_card_visa", **owner)["id"]
        if "pause" not in beginning.values():
            self.use("pm_card_visa")
        if "billing_cycle_anchor_config[day_of_month]" in beginning:
            prices = prices[:1]
        given = {f"items[{number}][price]": price for number, price in enumerate(prices)}
        self.id = travel.post("/v1/subscriptions", customer=self.customer, **given, **beginning)["id"]

    def _price(self, product: str, amount: int, interval: str) -> str:
        terms = {"currency": "jpy", "unit_amount": str(amount), "recurring[interval]": interval}
        return str(self.travel.post("/v1/prices", product=product, **terms)["id"])

    def control(self, path: str, **fields: Any) -> Any:
        body, headers = json.dumps(fields).encode(), {"content-type": "application/json"}
        said = answer(
            self.travel.engine, Call("POST", f"/_sandbox/{path}", "", headers, body, "http://sandbox.example")
        )
        assert said.status_code == 200, said.body
        return json.loads(bytes(said.body))

    def use(self, card: str) -> None:
        held = self.travel.post(f"/v1/payment_methods/{card}/attach", customer=self.customer)["id"]
        default = {"invoice_settings[default_payment_method]": held}
        self.travel.post(f"/v1/customers/{self.customer}", **default)

    def now(self) -> Any:
        return self.travel.get(f"/v1/subscriptions/{self.id}")

    def time(self) -> int:
        if not self.clock:
            return self.travel.engine.clock.now()
        return int(self.travel.get(f"/v1/test_helpers/test_clocks/{self.clock}")["frozen_time"])

    def act(self, name: str, value: Any) -> None:
        """One step; whether it is allowed is the sandbox's business."""
        path = f"/v1/subscriptions/{self.id}"
        if name == "advance":
            self.advance(value)
        elif name == "card":
            self.use(value)
        elif name in ("pay", "void"):
            for invoice in self.travel.get("/v1/invoices", customer=self.customer, status="open")["data"]:
                self.travel.ask("POST", f"/v1/invoices/{invoice['id']}/{name}")
        elif name == "resume":
            self.travel.ask("POST", f"{path}/resume")
        else:
            self.travel.ask("POST", path, **self.changes(name, value))

    def changes(self, name: str, value: Any) -> dict[str, str]:
        item = {"items[0][id]": self.now()["items"]["data"][0]["id"], "items[0][quantity]": str(value)}
        return {
            "quantity": item,
            "leave": {"cancel_at_period_end": str(value).lower()},
            "leave_in": {"cancel_at": str(self.time() + (value or 0) * DAY) if name == "leave_in" else ""},
            "hold": {"pause_collection[behavior]": str(value)} if value else {"pause_collection": ""},
            "trial": {"trial_end": str(self.time() + value * DAY) if name == "trial" else ""},
            "wait_for_payment": item
            | {"payment_behavior": "pending_if_incomplete", "proration_behavior": "always_invoice"},
            "restart": {"billing_cycle_anchor": "now"},
        }[name]

    def advance(self, seconds: int) -> None:
        if not self.clock:
            self.control("advance", by=seconds)
            return
        target = min(self.time() + seconds, self.time() + 13 * DAY)
        self.travel.ask("POST", f"/v1/test_helpers/test_clocks/{self.clock}/advance", frozen_time=str(target))
        self.travel.advance(0)
        assert self.travel.get(f"/v1/test_helpers/test_clocks/{self.clock}")["status"] == "ready"

    def told(self) -> list[Any]:
        """The events of this account in the order in which they were written."""
        with self.travel.engine.store.read() as tx:
            rows = tx.sql(
                "SELECT body FROM objects WHERE kind='event' AND scope=? ORDER BY seq", self.scope(tx)
            ).fetchall()
        return [json.loads(row[0]) for row in rows]

    def scope(self, tx: Any) -> str:
        return str(tx.locate("subscription", self.id))


def check_order(events: list[Any], walk: Walk) -> None:
    own = [event for event in events if event.get("_clock", "") == walk.clock]
    assert [event["created"] for event in own] == sorted(event["created"] for event in own)
    assert all(event["created"] <= walk.time() for event in own)


def check_states(events: list[Any]) -> None:
    told = [event for event in events if event["data"]["object"].get("object") == "subscription"]
    states = [event["data"]["object"]["status"] for event in told]
    for before, after in itertools.pairwise(states):
        assert before == after or (before, after) in LEGAL, states


def check_periods(events: list[Any]) -> None:
    """An item's next period begins where the one before ended, or when something began anew."""
    for number in range(2):
        periods = [
            (item["current_period_start"], item["current_period_end"], event["created"])
            for event in events
            if event["data"]["object"].get("object") == "subscription"
            for item in event["data"]["object"]["items"]["data"][number : number + 1]
        ]
        for (start, end, _), (next_start, next_end, at) in itertools.pairwise(periods):
            assert next_start < next_end
            if next_start != start:
                assert next_start in (end, at), periods


def check_billed_once(walk: Walk) -> None:
    billed: Counter[tuple[str, int]] = Counter()
    for invoice in walk.travel.get("/v1/invoices", customer=walk.customer, limit="100")["data"]:
        if invoice["billing_reason"] == "subscription_cycle":
            for line in invoice["lines"]["data"]:
                details = line["parent"]["subscription_item_details"]
                if details and not details["proration"]:
                    billed[details["subscription_item"], line["period"]["start"]] += 1
    assert all(count == 1 for count in billed.values()), billed


def check_end(walk: Walk) -> None:
    now = walk.now()
    assert (now["ended_at"] is not None) == (now["status"] in ("canceled", "incomplete_expired"))
    if now["status"] in ("active", "trialing", "past_due", "unpaid"):
        for item in now["items"]["data"]:
            assert item["current_period_start"] <= walk.time() < item["current_period_end"]


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    steps=st.lists(ACTS, max_size=10),
    beginning=BEGINNINGS,
    ending=st.sampled_from(["cancel", "unpaid", "past_due"]),
    clocked=st.booleans(),
)
def test_time_may_pass_in_any_way(
    travel: Travel, steps: list[tuple[str, Any]], beginning: dict[str, str], ending: str, clocked: bool
) -> None:
    travel.key = new_key()
    walk = Walk(travel, beginning, ending, clocked=clocked)
    for name, value in steps:
        walk.act(name, value)
        check_end(walk)
    events = walk.told()
    check_order(events, walk)
    check_states(events)
    check_periods(events)
    check_billed_once(walk)
    with travel.engine.store.read() as tx:
        assert tx.sql("SELECT kind, error FROM jobs WHERE error IS NOT NULL").fetchall() == []


def test_a_subscription_that_has_not_begun_is_never_late(travel: Travel) -> None:
    walk = Walk(travel, {"payment_behavior": "default_incomplete"}, "cancel", clocked=False)
    walk.act("card", "pm_card_chargeCustomerFail")
    walk.act("restart", None)
    assert walk.now()["status"] == "incomplete"
    walk.advance(DAY)
    assert walk.now()["status"] == "incomplete_expired"


def test_a_trial_that_is_over_does_not_end_the_period_that_outlasted_it(travel: Travel) -> None:
    walk = Walk(travel, {"trial_period_days": "5"}, "cancel", clocked=False)
    for step in (("restart", None), ("advance", 16 * DAY), ("leave", True)):
        walk.act(*step)
        check_end(walk)
    assert walk.now()["cancel_at"] == max(item["current_period_end"] for item in walk.now()["items"]["data"])
