"""Random walks over everything at once: subscriptions, schedules, pauses, checkout, vouchers, transfers, refunds,
credit notes, disputes, holds, in the sandbox's time and in that of a test clock, both of which go on. States move
legally and events are told in order (the fixture watches); the money adds up, and no job is left broken."""

import itertools
import json
from collections import Counter
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.app import Call, answer
from tests.sandbox.legal import LEGAL
from tests.sandbox.running import new_account
from tests.sandbox.travel import Travel

DAY = 24 * 3600
CARDS = (
    "pm_card_visa", "pm_card_visa", "pm_card_chargeCustomerFail", "pm_card_authenticationRequired",
    "pm_card_createDispute", "pm_card_refundFail", "pm_card_createMultipleDisputes",
)  # fmt: skip
WAYS = ("pm_card_visa", "konbini", "customer_balance")
WORDS = ("winning_evidence", "losing_evidence", "It was sent.")
WHO = st.integers(min_value=0, max_value=1)
WHICH = st.integers(min_value=0, max_value=3)
BEGINNINGS: tuple[dict[str, str], ...] = (
    {}, {"trial_period_days": "3"}, {"payment_behavior": "default_incomplete"},
    {"collection_method": "send_invoice", "days_until_due": "2"},
)  # fmt: skip
SUBSCRIPTION_ACTS: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("POST", "", {"cancel_at_period_end": "true"}),
    ("POST", "", {"cancel_at_period_end": "false"}),
    ("POST", "", {"pause_collection[behavior]": "void"}),
    ("POST", "", {"pause_collection[behavior]": "keep_as_draft"}),
    ("POST", "", {"pause_collection": ""}),
    ("POST", "", {"trial_end": "now"}),
    ("POST", "", {"billing_cycle_anchor": "now"}),
    ("DELETE", "", {"prorate": "true", "invoice_now": "true"}),
)
INVOICE_ACTS: tuple[tuple[str, dict[str, str]], ...] = (
    ("pay", {}), ("pay", {}), ("pay", {"paid_out_of_band": "true"}), ("void", {}), ("mark_uncollectible", {}),
    ("finalize", {}), ("send", {}),
)  # fmt: skip
ACTS = st.one_of(
    st.tuples(st.just("advance"), st.sampled_from([1, 3601, DAY, 4 * DAY, 10 * DAY])),
    st.tuples(st.just("advance the clock"), st.sampled_from([3601, DAY, 4 * DAY, 12 * DAY])),
    st.tuples(st.just("subscribe"), st.tuples(WHO, st.sampled_from(BEGINNINGS))),
    st.tuples(st.just("subscription"), st.tuples(WHO, st.sampled_from(SUBSCRIPTION_ACTS))),
    st.tuples(st.just("invoice"), st.tuples(WHO, WHICH, st.sampled_from(INVOICE_ACTS))),
    st.tuples(st.just("card"), st.tuples(WHO, st.sampled_from(CARDS))),
    st.tuples(st.just("schedule"), st.tuples(WHO, st.sampled_from(["", "release", "cancel"]))),
    st.tuples(st.just("buy"), st.tuples(WHO, st.sampled_from(WAYS))),
    st.tuples(st.just("check out"), st.tuples(WHO, st.sampled_from(["pay", "expire"]))),
    st.tuples(st.just("challenge"), st.sampled_from(["complete", "fail"])),
    st.tuples(st.just("shop"), st.sampled_from(["pay", "expire"])),
    st.tuples(st.just("transfer"), st.tuples(WHO, st.integers(min_value=100, max_value=9000))),
    st.tuples(st.just("refund"), st.tuples(WHICH, st.integers(min_value=1, max_value=4000))),
    st.tuples(st.just("credit"), st.tuples(WHO, WHICH, st.integers(min_value=1, max_value=3000))),
    st.tuples(st.just("dispute"), WHICH),
    st.tuples(st.just("evidence"), st.tuples(WHICH, st.sampled_from(WORDS))),
)


class World:
    """An account with two customers, Alice in the sandbox's time and Bob in a test clock's."""

    def __init__(self, travel: Travel, ending: str) -> None:
        self.travel = travel
        travel.key = f"sk_test_{new_account()}0123456789"
        self.account = travel.get("/v1/account")["id"]
        self.control("settings", key=travel.key, after_retries=ending, after_overdue=ending, retry_days=[1, 2],
                     overdue_days=3, due_soon_days=1)  # fmt: skip
        frozen = {"frozen_time": str(travel.engine.clock.now())}
        self.clock = travel.post("/v1/test_helpers/test_clocks", **frozen)["id"]
        product = travel.post("/v1/products", name="Pro")["id"]
        recurring = {"recurring[interval]": "week"}
        self.price = travel.post("/v1/prices", product=product, currency="jpy", unit_amount="3000", **recurring)["id"]
        self.customers = [
            self._customer(name, own) for name, own in (("Alice", {}), ("Bob", {"test_clock": self.clock}))
        ]

    def _customer(self, name: str, own: dict[str, str]) -> str:
        paying = {"payment_method": "pm_card_visa", "invoice_settings[default_payment_method]": "pm_card_visa"}
        return str(self.travel.post("/v1/customers", name=name, email="a@example.com", **paying, **own)["id"])

    def control(self, path: str, **fields: Any) -> None:
        body, headers = json.dumps(fields).encode(), {"content-type": "application/json"}
        call = Call("POST", f"/_sandbox/{path}", "", headers, body, "http://sandbox.example")
        assert answer(self.travel.engine, call).status_code in (200, 400), path

    def owner(self, who: int) -> str:
        return self.customers[who % len(self.customers)]

    def listed(self, what: str, **filters: str) -> list[Any]:
        found: list[Any] = self.travel.get(f"/v1/{what}", limit="100", **filters)["data"]
        return found

    def intents(self) -> list[Any]:
        return [intent for customer in self.customers for intent in self.listed("payment_intents", customer=customer)]

    def charges(self) -> list[Any]:
        return [charge for customer in self.customers for charge in self.listed("charges", customer=customer)]

    def disputes(self) -> list[Any]:
        disputed = [charge for charge in self.charges() if charge["disputed"]]
        return [dispute for charge in disputed for dispute in self.listed("disputes", charge=charge["id"])]

    def act(self, name: str, value: Any) -> None:
        """One step; whether it is allowed is the sandbox's business. Bob is gone with his clock, after seven days."""
        if self.travel.ask("GET", f"/v1/test_helpers/test_clocks/{self.clock}")[0] == 404:
            self.customers = self.customers[:1]
        getattr(self, name.replace(" ", "_"))(*(value if isinstance(value, tuple) else (value,)))

    def advance(self, seconds: int) -> None:
        self.control("advance", by=seconds)

    def advance_the_clock(self, seconds: int) -> None:
        path = f"/v1/test_helpers/test_clocks/{self.clock}"
        if len(self.customers) == 1:
            return
        target = self.travel.get(path)["frozen_time"] + seconds
        self.travel.ask("POST", f"{path}/advance", frozen_time=str(target))
        self.travel.advance(0)
        assert self.travel.get(path)["status"] == "ready"

    def subscribe(self, who: int, how: dict[str, str]) -> None:
        self.travel.ask("POST", "/v1/subscriptions", customer=self.owner(who), **{"items[0][price]": self.price}, **how)

    def subscription(self, who: int, act: tuple[str, str, dict[str, str]]) -> None:
        for one in self.listed("subscriptions", customer=self.owner(who))[:1]:
            self.travel.ask(act[0], f"/v1/subscriptions/{one['id']}{act[1]}", **act[2])

    def invoice(self, who: int, which: int, act: tuple[str, dict[str, str]]) -> None:
        for one in self.listed("invoices", customer=self.owner(who))[which : which + 1]:
            self.travel.ask("POST", f"/v1/invoices/{one['id']}/{act[0]}", **act[1])

    def card(self, who: int, card: str) -> None:
        self.control(f"customers/{self.owner(who)}/card", card=card)

    def schedule(self, who: int, act: str) -> None:
        customer = self.owner(who)
        for one in self.listed("subscription_schedules", customer=customer)[:1] if act else ():
            self.travel.ask("POST", f"/v1/subscription_schedules/{one['id']}/{act}")
        for one in self.listed("subscriptions", customer=customer)[:1] if not act else ():
            self.travel.ask("POST", "/v1/subscription_schedules", from_subscription=one["id"])

    def buy(self, who: int, way: str) -> None:
        form = {"amount": "4000", "currency": "jpy", "customer": self.owner(who), "confirm": "true"}
        if way.startswith("pm_"):
            held = {"capture_method": "manual", "payment_method_types[]": "card", "payment_method": way}
            self.travel.ask("POST", "/v1/payment_intents", **form, **held)
            return
        data = {"[type]": way, "[billing_details][name]": "Alice", "[billing_details][email]": "a@example.com"}
        given = {f"payment_method_data{name}": value for name, value in data.items()}
        self.travel.ask("POST", "/v1/payment_intents", **form, **given, **{"payment_method_types[]": way})

    def check_out(self, who: int, act: str) -> None:
        form = {"mode": "subscription", "success_url": "http://shop.example", "customer": self.owner(who),
                "line_items[0][price]": self.price, "line_items[0][quantity]": "1"}  # fmt: skip
        session = self.travel.post("/v1/checkout/sessions", **form)["id"]
        if act == "pay":
            self.travel.ask("POST", f"/v1/payment_pages/{session}/confirm", payment_method="pm_card_visa")
        else:
            self.travel.ask("POST", f"/v1/checkout/sessions/{session}/expire")

    def challenge(self, answer: str) -> None:
        waiting = [intent for intent in self.intents() if intent["status"] == "requires_action"]
        for intent in waiting[:1]:
            where = f"/challenge/{intent['id']}?client_secret={intent['client_secret']}"
            self.travel.visit("POST", where, answer=answer)

    def shop(self, act: str) -> None:
        for intent in [one for one in self.intents() if one["payment_method_types"] == ["konbini"]][:1]:
            self.travel.visit("POST", f"/_sandbox/vouchers/{intent['id']}/{act}")

    def transfer(self, who: int, amount: int) -> None:
        self.travel.visit("POST", "/_sandbox/transfers", customer=self.owner(who), amount=str(amount))

    def refund(self, which: int, amount: int) -> None:
        for charge in self.charges()[which : which + 1]:
            self.travel.ask("POST", "/v1/refunds", charge=charge["id"], amount=str(amount))

    def credit(self, who: int, which: int, amount: int) -> None:
        for one in self.listed("invoices", customer=self.owner(who))[which : which + 1]:
            after = {"credit_amount": str(amount)} if one["status"] == "paid" else {}
            self.travel.ask("POST", "/v1/credit_notes", invoice=one["id"], amount=str(amount), **after)

    def dispute(self, which: int) -> None:
        for charge in self.charges()[which : which + 1]:
            self.travel.visit("POST", "/_sandbox/disputes", charge=charge["id"])

    def evidence(self, which: int, words: str) -> None:
        for one in self.disputes()[which : which + 1]:
            self.travel.ask("POST", f"/v1/disputes/{one['id']}", **{"evidence[uncategorized_text]": words})


def check_ledger(world: World) -> None:
    """The balance, its lines and the ledger agree; what customers hold here is never less than nothing."""
    ledger = world.travel.get("/_sandbox/ledger", account=world.account)
    sums = Counter(ledger["sums"].get("jpy", {}))
    assert ledger["balanced"]
    assert world.travel.get("/v1/balance")["available"][0]["amount"] == sums["balance"]
    assert all(stands >= 0 for account, stands in sums.items() if account.startswith(("cash:", "payment:", "fees")))


def check_charges(world: World) -> None:
    for charge in world.charges():
        refunds = world.listed("refunds", charge=charge["id"])
        back = sum(one["amount"] for one in refunds if one["status"] not in ("failed", "canceled"))
        if charge["captured"]:
            assert charge["amount_refunded"] == back + charge["amount"] - charge["amount_captured"]
        disputes = world.listed("disputes", charge=charge["id"])
        taken = sum(one["amount"] for one in disputes if one["status"] in ("needs_response", "under_review", "lost"))
        assert back + taken <= charge["amount_captured"]


def check_invoices(world: World) -> None:
    """An invoice is paid by its payments, once, and asks for what is left."""
    for invoice in (one for customer in world.customers for one in world.listed("invoices", customer=customer)):
        assert invoice["amount_remaining"] == invoice["amount_due"] - invoice["amount_paid"] >= 0
        paid = [one["amount_paid"] for one in world.listed("invoice_payments", invoice=invoice["id"], status="paid")]
        assert len(paid) <= 1
        if paid:
            assert (invoice["status"], invoice["amount_paid"]) == ("paid", paid[0])
        if invoice["status"] == "open" and invoice["next_payment_attempt"]:
            assert invoice["next_payment_attempt"] >= invoice["status_transitions"]["finalized_at"]


def check_jobs(world: World) -> None:
    with world.travel.engine.store.read() as tx:
        assert tx.sql("SELECT kind, error FROM jobs WHERE error IS NOT NULL").fetchall() == []


@settings(max_examples=18, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    steps=st.lists(ACTS, min_size=6, max_size=18),
    ending=st.sampled_from(["cancel", "unpaid", "past_due"]),
)
def test_everything_at_once_adds_up(travel: Travel, steps: list[tuple[str, Any]], ending: str) -> None:
    world = World(travel, ending)
    world.act("subscribe", (0, {}))
    world.act("subscribe", (1, {}))
    for name, value in steps:
        world.act(name, value)
    check_ledger(world)
    check_charges(world)
    check_invoices(world)
    check_jobs(world)


def test_no_state_leads_back_from_an_end() -> None:
    """The tables themselves: whatever is reached is known, and an end is no beginning."""
    for kind, moves in LEGAL.items():
        reached = set(itertools.chain.from_iterable(moves.values()))
        ends = reached - set(moves)
        assert kind == "test_helpers.test_clock" or ends, kind
        assert all(moves[state] for state in moves)
