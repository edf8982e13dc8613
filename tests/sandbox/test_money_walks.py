"""Random walks over payments, refunds, disputes and transfers: whatever happens, the money adds up."""

import re
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox import ledger
from sandbox.store import Store
from tests.sandbox.running import new_account
from tests.sandbox.travel import Travel

WAYS = (
    "pm_card_visa", "pm_card_refundFail", "pm_card_createDispute", "pm_card_createDisputeInquiry",
    "pm_card_chargeDeclined", "konbini", "customer_balance",
)  # fmt: skip
WORDS = ("winning_evidence", "losing_evidence", "escalate_inquiry_evidence", "It was sent.")
AMOUNT = 5000
PLACE = st.integers(min_value=0, max_value=3)
PAYS = st.tuples(st.just("pay"), st.sampled_from(WAYS))
ACTS = st.one_of(
    PAYS,
    PAYS,
    PAYS,
    st.tuples(st.just("refund"), st.tuples(PLACE, st.integers(min_value=1, max_value=AMOUNT + 1))),
    st.tuples(st.just("transfer"), st.integers(min_value=1, max_value=2 * AMOUNT)),
    st.tuples(st.just("send back"), st.integers(min_value=1, max_value=AMOUNT)),
    st.tuples(st.just("shop"), PLACE),
    st.tuples(st.just("dispute"), PLACE),
    st.tuples(st.just("evidence"), st.sampled_from(WORDS)),
    st.tuples(st.just("cancel"), PLACE),
    st.tuples(st.just("claim"), st.sampled_from(["0001234", "1111113"])),  # the second one comes back
    st.tuples(st.just("forget"), st.none()),
    st.tuples(st.just("change"), st.tuples(PLACE, st.integers(min_value=120, max_value=2 * AMOUNT))),
    st.tuples(st.just("wait"), st.sampled_from([10, 24 * 3600, 50 * 24 * 3600])),
)


def listed(travel: Travel, what: str, **filters: str) -> Any:
    return travel.get(f"/v1/{what}", limit="100", **filters)["data"]


def pay(travel: Travel, customer: str, way: str) -> None:
    form = {"amount": str(AMOUNT), "currency": "jpy", "customer": customer, "confirm": "true"}
    if way.startswith("pm_"):
        form |= {"payment_method": way, "payment_method_types[]": "card"}
    else:
        form |= {
            "payment_method_types[]": way, "payment_method_data[type]": way,
            "payment_method_data[billing_details][name]": "Alice",
            "payment_method_data[billing_details][email]": "alice@example.com",
        }  # fmt: skip
    travel.ask("POST", "/v1/payment_intents", **form)


def act(travel: Travel, customer: str, name: str, value: Any) -> None:
    """One step; whether it is allowed is the sandbox's business."""
    if name == "pay":
        pay(travel, customer, value)
    elif name == "transfer":
        travel.visit("POST", "/_sandbox/transfers", customer=customer, amount=str(value))
    elif name == "send back":
        cash = {"origin": "customer_balance", "customer": customer, "currency": "jpy"}
        travel.ask("POST", "/v1/refunds", amount=str(value), **cash)
    elif name == "wait":
        travel.advance(value)
    elif name == "evidence":
        for dispute in listed(travel, "disputes")[:1]:
            travel.ask("POST", f"/v1/disputes/{dispute['id']}", **{"evidence[uncategorized_text]": value})
    elif name in ("claim", "forget"):
        act_on_refund(travel, name, value)
    else:
        act_on_place(travel, name, value)


def act_on_refund(travel: Travel, name: str, account: Any) -> None:
    """The customer tells an account for the newest refund, or the time for that is over."""
    for refund in listed(travel, "refunds")[:1]:
        if name == "claim":
            travel.visit("POST", f"/_sandbox/refunds/{refund['id']}/bank_account", account=account)
        else:
            travel.ask("POST", f"/v1/test_helpers/refunds/{refund['id']}/expire")


def act_on_place(travel: Travel, name: str, value: Any) -> None:
    """One step with one of the newest payments."""
    place, amount = value if name in ("refund", "change") else (value, 0)
    intents = listed(travel, "payment_intents")[place : place + 1]
    for intent in intents:
        if name == "shop":
            travel.visit("POST", f"/_sandbox/vouchers/{intent['id']}/pay")
        elif name == "cancel":
            travel.ask("POST", f"/v1/payment_intents/{intent['id']}/cancel")
        elif name == "change":
            travel.ask("POST", f"/v1/payment_intents/{intent['id']}", amount=str(amount))
        elif name == "refund":
            travel.ask("POST", "/v1/refunds", payment_intent=intent["id"], amount=str(amount))
        elif intent["latest_charge"]:
            travel.visit("POST", "/_sandbox/disputes", charge=intent["latest_charge"])


def check(travel: Travel, account: str, customer: str) -> None:
    """The ledger, the balance, its lines, the cash balance and every charge tell the same story."""
    kept = travel.get("/_sandbox/ledger", account=account)
    assert kept["balanced"] and kept["sums"] == added_up(kept["data"], of_each=False)
    own = travel.get("/_sandbox/ledger", customer=customer)
    assert own["balanced"] and own["sums"] == added_up(own["data"], of_each=True)
    sums = Counter(own["sums"].get("jpy", {}))
    assert travel.get("/v1/balance")["available"][0]["amount"] == sums["balance"]
    assert sum(line["net"] for line in listed(travel, "balance_transactions")) == sums["balance"]
    cash = travel.get(f"/v1/customers/{customer}/cash_balance")["available"] or {}
    assert cash.get("jpy", 0) == sums[f"cash:{customer}"] >= 0
    assert all(stands >= 0 for account, stands in sums.items() if account.startswith(("payment:", "fees")))
    for charge in listed(travel, "charges"):
        check_charge(travel, charge)


def added_up(rows: list[Any], *, of_each: bool) -> dict[str, dict[str, int]]:
    """What stands in each account after these movements; `of_each` customer, or of all together."""
    sums: dict[str, dict[str, int]] = {}
    for row in rows:
        for account, amount in ((row["credit"], row["amount"]), (row["debit"], -row["amount"])):
            name = account if of_each else re.sub(":.*", ":*", account)
            accounts = sums.setdefault(row["currency"], {})
            accounts[name] = accounts.get(name, 0) + amount
    return sums


def check_charge(travel: Travel, charge: Any) -> None:
    """Nothing is given back, by us and by banks together, that did not come in."""
    refunds = listed(travel, "refunds", charge=charge["id"])
    given_back = sum(one["amount"] for one in refunds if one["status"] not in ("failed", "canceled"))
    assert charge["amount_refunded"] == given_back <= charge["amount_captured"]
    disputes = listed(travel, "disputes", charge=charge["id"])
    taken = sum(one["amount"] for one in disputes if one["status"] in ("needs_response", "under_review", "lost"))
    assert given_back + taken <= charge["amount_captured"]


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(ACTS, min_size=4, max_size=16))
def test_the_money_adds_up_whatever_happens(travel: Travel, steps: list[tuple[str, Any]]) -> None:
    account = new_account()
    travel.key = f"sk_test_{account}0123456789"
    account = travel.get("/v1/account")["id"]
    customer = travel.post("/v1/customers", name="Alice", email="alice@example.com")["id"]
    for name, value in steps:
        act(travel, customer, name, value)
        check(travel, account, customer)


def test_the_ledger_tells_the_cause_and_the_key_of_every_movement(travel: Travel) -> None:
    form = {"amount": "5000", "currency": "jpy", "payment_method": "pm_card_visa", "confirm": "true"}
    status, intent = travel.ask(
        "POST", "/v1/payment_intents", idempotency_key="order-7", **form, **{"payment_method_types[]": "card"}
    )
    assert status == 200
    refund = travel.ask("POST", "/v1/refunds", idempotency_key="refund-7", payment_intent=intent["id"])[1]
    rows = travel.get("/_sandbox/ledger", key="refund-7")["data"]
    assert [(row["entry"], row["cause"], row["amount"]) for row in rows] == [("refund", refund["id"], 5000)]
    charged = travel.get("/_sandbox/ledger", object=intent["latest_charge"])
    assert [row["idempotency_key"] for row in charged["data"]] == ["order-7"]
    assert charged["sums"]["jpy"] == {"balance": 5000, "customer:guest": -5000}
    first = travel.get("/_sandbox/ledger", limit="1")
    assert (len(first["data"]), first["has_more"]) == (1, True)
    rest = travel.get("/_sandbox/ledger", before=str(first["data"][0]["id"]))
    assert [row["entry"] for row in rest["data"]] == ["charge"]
    since = travel.get("/_sandbox/ledger", after=str(rest["data"][0]["id"]), account=travel.get("/v1/account")["id"])
    assert [row["entry"] for row in since["data"]] == ["refund"]
    assert travel.get("/_sandbox/ledger", cause=refund["id"])["data"] == rows


def test_a_file_of_an_earlier_sandbox_has_its_sums_added_up(travel: Travel, tmp_path: Path) -> None:
    form = {"amount": "5000", "currency": "jpy", "payment_method": "pm_card_visa", "confirm": "true"}
    travel.post("/v1/payment_intents", **form, **{"payment_method_types[]": "card"})
    with travel.engine.store.read() as tx:
        kept = ledger.standing(tx)
    with closing(sqlite3.connect(tmp_path / "sandbox.sqlite3", isolation_level=None)) as older:
        older.execute("DROP TRIGGER ledger_adds_up")
        older.execute("DROP TABLE ledger_sums")
    store = Store(tmp_path)
    with store.read() as tx:
        assert ledger.standing(tx) == kept != {}
    store.close()
