"""Test clocks and the sandbox's own clock: who lives in which time, what happens when it passes, and in which order."""

import itertools
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import stripe

from sandbox import jobs
from sandbox.app import Call, answer
from sandbox.clock import Clock
from sandbox.store import Store
from tests.sandbox.running import RunningSandbox, until
from tests.sandbox.travel import Travel

DAY = 24 * 3600
JANUARY_31 = 1_801_353_600
"""31 January 2027, 00:00 UTC."""
CLOCKS = "/v1/test_helpers/test_clocks"


def frozen(travel: Travel, at: int = JANUARY_31) -> Any:
    return travel.post(CLOCKS, frozen_time=str(at))


def settled(travel: Travel) -> None:
    """What the scheduler does in the background."""
    jobs.run_due(travel.engine)


def pass_to(travel: Travel, clock: Any, at: int) -> Any:
    travel.post(f"{CLOCKS}/{clock['id']}/advance", frozen_time=str(at))
    settled(travel)
    return travel.get(f"{CLOCKS}/{clock['id']}")


def subscribed(travel: Travel, clock: Any, **params: str) -> Any:
    """Monthly, 10 dollars, paid by a card that works."""
    owner = travel.post("/v1/customers", test_clock=clock["id"], payment_method="pm_card_visa")
    card = travel.get("/v1/payment_methods", customer=owner["id"])["data"][0]["id"]
    product = travel.post("/v1/products", name="Pro")["id"]
    terms = {"currency": "usd", "unit_amount": "1000", "recurring[interval]": "month"}
    price = travel.post("/v1/prices", product=product, **terms)["id"]
    given = {"customer": owner["id"], "items[0][price]": price, "default_payment_method": card, **params}
    return travel.post("/v1/subscriptions", **given)


def types(travel: Travel) -> list[str]:
    """Oldest first."""
    return [event["type"] for event in travel.get("/v1/events", limit="100")["data"]][::-1]


def test_a_clock_advances_on_its_own_time_and_is_ready_then(travel: Travel) -> None:
    clock = frozen(travel)
    assert (clock["created"], clock["deletes_after"] - clock["created"]) == (travel.now, 7 * DAY)
    said = travel.post(f"{CLOCKS}/{clock['id']}/advance", frozen_time=str(JANUARY_31 + DAY))
    assert said["status"] == "advancing"
    assert said["status_details"] == {"advancing": {"target_frozen_time": JANUARY_31 + DAY}}
    settled(travel)
    ready = travel.get(f"{CLOCKS}/{clock['id']}")
    assert (ready["status"], ready["frozen_time"], ready["status_details"]) == ("ready", JANUARY_31 + DAY, {})
    assert types(travel) == [f"test_helpers.test_clock.{name}" for name in ("created", "advancing", "ready")]
    assert travel.get(CLOCKS)["data"] == [ready]


def test_what_belongs_to_a_clocks_customer_lives_in_its_time(travel: Travel) -> None:
    clock = frozen(travel)
    subscription = subscribed(travel, clock)
    assert (subscription["created"], subscription["test_clock"]) == (JANUARY_31, clock["id"])
    customer = travel.get(f"/v1/customers/{subscription['customer']}")
    invoice = travel.get(f"/v1/invoices/{subscription['latest_invoice']}")
    item = travel.post("/v1/invoiceitems", customer=customer["id"], amount="100", currency="usd")
    draft = travel.post("/v1/invoices", customer=customer["id"])
    for doc in (customer, invoice, draft):
        assert (doc["created"], doc["test_clock"]) == (JANUARY_31, clock["id"])
    assert (item["date"], item["test_clock"]) == (JANUARY_31, clock["id"])
    assert travel.get("/v1/charges", customer=customer["id"])["data"][0]["created"] == JANUARY_31
    other = travel.post("/v1/customers")
    assert (other["created"], other["test_clock"]) == (travel.now, None)


# Stripe docs, "Billing cycle": a day that a month has not is its last day
def test_a_clocks_subscription_renews_at_the_ends_of_months(travel: Travel) -> None:
    clock = frozen(travel)
    subscription = subscribed(travel, clock)
    february, march, april = 1_803_772_800, 1_806_451_200, 1_809_043_200
    for end in (february, march, april):
        item = travel.get(f"/v1/subscriptions/{subscription['id']}")["items"]["data"][0]
        assert item["current_period_end"] == end
        clock = pass_to(travel, clock, end + 2 * 3600)
        assert clock["status"] == "ready"
    invoices = travel.get("/v1/invoices", subscription=subscription["id"])["data"][::-1]
    assert [invoice["created"] for invoice in invoices] == [JANUARY_31, february, march, april]
    assert {invoice["status"] for invoice in invoices} == {"paid"}
    assert {invoice["test_clock"] for invoice in invoices} == {clock["id"]}
    events = travel.get("/v1/events", limit="100", type="invoice.paid")["data"][::-1]
    assert [event["created"] for event in events] == [JANUARY_31, *(end + 3601 for end in (february, march, april))]


def test_time_that_passes_in_the_sandbox_does_not_pass_for_a_clock(travel: Travel) -> None:
    subscription = subscribed(travel, frozen(travel))
    travel.advance(6 * DAY)
    assert len(travel.get("/v1/invoices", subscription=subscription["id"])["data"]) == 1


def test_while_a_clock_is_under_way_its_objects_can_be_read_and_not_changed(travel: Travel) -> None:
    clock = frozen(travel)
    subscription = subscribed(travel, clock)
    travel.post(f"{CLOCKS}/{clock['id']}/advance", frozen_time=str(JANUARY_31 + DAY))
    path = f"/v1/subscriptions/{subscription['id']}"
    assert travel.ask("GET", path)[0] == 200
    status, said = travel.ask("POST", path, description="New")
    assert (status, said["error"]["message"]) == (
        429,
        "Test clock advancement underway - cannot perform modifications.",
    )
    address = f"{CLOCKS}/{clock['id']}"
    assert travel.ask("POST", f"{address}/advance", frozen_time=str(JANUARY_31 + 2 * DAY))[0] == 429
    assert travel.ask("DELETE", address)[0] == 429
    settled(travel)
    assert travel.ask("POST", path, description="New")[0] == 200


@pytest.mark.parametrize(
    ("frozen_time", "with_subscription"),
    [
        (JANUARY_31, False),
        (JANUARY_31 - 1, False),
        # two years without a subscription, two intervals of the shortest with one
        (JANUARY_31 + 732 * DAY, False),
        (JANUARY_31 + 60 * DAY, True),
    ],
)
def test_a_clock_only_goes_forward_and_not_too_far(travel: Travel, frozen_time: int, with_subscription: bool) -> None:
    clock = frozen(travel)
    if with_subscription:
        subscribed(travel, clock)
    status, said = travel.ask("POST", f"{CLOCKS}/{clock['id']}/advance", frozen_time=str(frozen_time))
    assert (status, said["error"]["param"]) == (400, "frozen_time")


def test_lists_hide_what_lives_in_a_clocks_time_unless_asked(travel: Travel) -> None:
    clock = frozen(travel)
    subscription = subscribed(travel, clock)
    owner = subscription["customer"]
    for path in ("customers", "subscriptions", "invoices", "charges", "payment_intents"):
        assert travel.get(f"/v1/{path}")["data"] == []
    assert [one["id"] for one in travel.get("/v1/customers", test_clock=clock["id"])["data"]] == [owner]
    for by in ({"test_clock": clock["id"]}, {"customer": owner}):
        assert [one["id"] for one in travel.get("/v1/subscriptions", **by)["data"]] == [subscription["id"]]
    assert len(travel.get("/v1/invoices", customer=owner)["data"]) == 1
    plain = travel.post("/v1/customers")["id"]
    assert [one["id"] for one in travel.get("/v1/customers")["data"]] == [plain]


def test_a_clock_has_at_most_three_customers(travel: Travel) -> None:
    clock = frozen(travel)
    for _ in range(3):
        travel.post("/v1/customers", test_clock=clock["id"])
    status, said = travel.ask("POST", "/v1/customers", test_clock=clock["id"])
    assert (status, said["error"]["param"]) == (400, "test_clock")
    assert travel.ask("POST", "/v1/customers", test_clock="clock_none")[0] == 400


def test_deleting_a_clock_deletes_what_lives_in_its_time(travel: Travel) -> None:
    clock = frozen(travel)
    subscription = subscribed(travel, clock)
    assert travel.ask("DELETE", f"{CLOCKS}/{clock['id']}")[1]["deleted"] is True
    assert travel.get(f"/v1/customers/{subscription['customer']}")["deleted"] is True
    assert travel.ask("GET", f"/v1/subscriptions/{subscription['id']}")[0] == 404
    assert travel.ask("GET", f"/v1/invoices/{subscription['latest_invoice']}")[0] == 404
    assert travel.ask("GET", f"{CLOCKS}/{clock['id']}")[0] == 404
    with travel.engine.store.read() as tx:
        assert tx.sql("SELECT kind FROM jobs").fetchall() == []
    assert {"customer.deleted", "test_helpers.test_clock.deleted"} <= set(types(travel))


def test_payments_go_with_the_clock_and_the_ledger_still_balances(travel: Travel) -> None:
    clock = frozen(travel)
    subscription = subscribed(travel, clock)
    [charge] = travel.get("/v1/charges", customer=subscription["customer"])["data"]
    refund = travel.post("/v1/refunds", charge=charge["id"], amount=100)
    before = travel.get("/_sandbox/ledger")
    travel.ask("DELETE", f"{CLOCKS}/{clock['id']}")
    for path in (
        f"/v1/charges/{charge['id']}", f"/v1/payment_intents/{charge['payment_intent']}", f"/v1/refunds/{refund['id']}",
        f"/v1/payment_methods/{charge['payment_method']}",
    ):  # fmt: skip
        assert travel.ask("GET", path)[0] == 404, path
    after = travel.get("/_sandbox/ledger")
    assert (after["data"], after["sums"]) == (before["data"], before["sums"])
    assert all(sum(accounts.values()) == 0 for accounts in after["sums"].values())
    there = {one["currency"]: one["amount"] for one in travel.get("/v1/balance")["available"]}
    for currency, accounts in after["sums"].items():
        assert there.get(currency, 0) == accounts["balance"]
    booked = travel.get("/v1/balance_transactions")["data"]
    assert sum(one["net"] for one in booked) == sum(there.values())


def test_a_clock_is_deleted_after_seven_days(travel: Travel) -> None:
    clock = frozen(travel)
    travel.advance(7 * DAY)
    assert travel.ask("GET", f"{CLOCKS}/{clock['id']}")[0] == 404


def test_an_existing_customer_can_be_given_to_a_new_clock(travel: Travel) -> None:
    owner = travel.post("/v1/customers")["id"]
    clock = travel.post(CLOCKS, frozen_time=str(JANUARY_31), customer=owner)
    assert travel.get(f"/v1/customers/{owner}")["test_clock"] == clock["id"]
    assert travel.ask("POST", CLOCKS, frozen_time=str(JANUARY_31), customer=owner)[0] == 400


def test_the_official_library_waits_for_ready(v1: stripe.V1Services) -> None:
    clock = v1.test_helpers.test_clocks.create({"frozen_time": JANUARY_31, "name": "renewals"})
    customer = v1.customers.create({"test_clock": clock.id}, {"idempotency_key": f"once-{clock.id}"})
    again = v1.customers.create({"test_clock": clock.id}, {"idempotency_key": f"once-{clock.id}"})
    assert (again.id, customer.created) == (customer.id, JANUARY_31)
    v1.test_helpers.test_clocks.advance(clock.id, {"frozen_time": JANUARY_31 + DAY})
    until(lambda: v1.test_helpers.test_clocks.retrieve(clock.id).status == "ready")
    assert v1.test_helpers.test_clocks.delete(clock.id).deleted


def test_a_test_clock_has_stripes_fields(travel: Travel) -> None:
    published = Path(__file__).parents[3] / "shared" / "stripe" / "fixtures3.json"
    if not published.exists():
        pytest.skip("Stripe's example objects are not here.")
    examples = json.loads(published.read_text())
    example = examples.get("resources", examples)["test_helpers.test_clock"]
    assert set(frozen(travel)) == set(example)


def control(travel: Travel, path: str, **fields: Any) -> tuple[int, Any]:
    body, headers = json.dumps(fields).encode(), {"content-type": "application/json"}
    said = answer(travel.engine, Call("POST", path, "", headers, body, "http://sandbox.example"))
    return said.status_code, json.loads(bytes(said.body))


def test_the_whole_sandbox_advances_and_says_what_happened(travel: Travel) -> None:
    owner = travel.post("/v1/customers", payment_method="pm_card_visa")
    card = travel.get("/v1/payment_methods", customer=owner["id"])["data"][0]["id"]
    product = travel.post("/v1/products", name="Pro")["id"]
    terms = {"currency": "usd", "unit_amount": "1000", "recurring[interval]": "week"}
    price = travel.post("/v1/prices", product=product, **terms)["id"]
    given = {"customer": owner["id"], "items[0][price]": price, "default_payment_method": card}
    subscription = travel.post("/v1/subscriptions", **given)
    begin = travel.now
    status, said = control(travel, "/_sandbox/advance", days=15)
    assert (status, said["was"], said["now"]) == (200, begin, begin + 15 * DAY)
    assert (said["jobs"]["subscription.step"], said["events"]["invoice.paid"]) == (2, 2)
    told = travel.get("/v1/events", limit="100")["data"][::-1]
    assert [event["created"] for event in told] == sorted(event["created"] for event in told)
    invoices = travel.get("/v1/invoices", subscription=subscription["id"])["data"][::-1]
    assert [invoice["created"] - begin for invoice in invoices] == [0, 7 * DAY, 14 * DAY]
    assert all(earlier["period_end"] <= later["period_start"] for earlier, later in itertools.pairwise(invoices[1:]))
    travel.now += 60
    assert travel.post("/v1/customers")["created"] == begin + 15 * DAY + 60


@pytest.mark.parametrize(
    "fields", [{}, {"to": 1}, {"by": -1}, {"by": "soon"}, {"by": 10**12}, {"by": 1, "days": 1}], ids=str
)
def test_a_time_that_cannot_be_gone_to_is_refused(travel: Travel, fields: dict[str, Any]) -> None:
    status, said = control(travel, "/_sandbox/advance", **fields)
    assert status == 400, said
    assert control(travel, "/_sandbox/advance", by=0)[0] == 200


def test_the_time_survives_a_kill_and_ends_with_a_reset(tmp_path: Path) -> None:
    sandbox = RunningSandbox(tmp_path).start()
    try:
        with sandbox.http() as http:
            then = http.post("/_sandbox/advance", json={"days": 400}).json()["now"]
        sandbox.kill()
        sandbox.start()
        with sandbox.http() as http:
            assert 0 <= http.get("/_sandbox/health").json()["now"] - then < 300
            http.post("/_sandbox/reset")
            assert then - http.get("/_sandbox/health").json()["now"] > 399 * DAY
    finally:
        sandbox.stop()


def test_a_file_of_an_earlier_sandbox_is_opened(tmp_path: Path) -> None:
    old = (
        "CREATE TABLE jobs (id INTEGER PRIMARY KEY, scope TEXT, kind TEXT, name TEXT, due_at INTEGER, "
        "attempts INTEGER DEFAULT 0, payload TEXT, error TEXT); CREATE INDEX jobs_due ON jobs (due_at, id);"
    )
    with sqlite3.connect(tmp_path / "sandbox.sqlite3") as file:
        file.executescript(old)
    store = Store(tmp_path)
    with store.read() as tx:
        assert tx.sql("SELECT count(*) FROM jobs WHERE clock=''").fetchone() == (0,)
    store.close()


def test_a_clock_stands_while_it_is_told_to() -> None:
    wall = [1000.0]
    clock = Clock(wall=lambda: wall[0])
    clock.stand_at(5000)
    wall[0] += 50
    assert clock.now() == 5000
    clock.go_on()
    wall[0] += 7
    assert clock.now() == 5007
