"""One key, one effect."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
import stripe

from sandbox.keys import DEFAULT_ACCOUNT
from tests.sandbox.running import RunningSandbox, body_of, new_key
from tests.sandbox.test_payments import BACK
from tests.sandbox.travel import Travel


def test_the_same_request_again_is_answered_from_memory(running: RunningSandbox) -> None:
    http = running.http(new_key())
    first, second = (http.post("/v1/customers", data={"name": "Alice"}, headers={"Idempotency-Key": "k"}) for _ in "12")
    assert first.content == second.content
    assert "Idempotent-Replayed" not in first.headers
    assert second.headers["Idempotent-Replayed"] == "true"
    assert second.headers["Original-Request"] == first.headers["Request-Id"]
    assert len(http.get("/v1/customers").json()["data"]) == 1


@pytest.mark.parametrize(("path", "data"), [("/v1/customers", {"name": "Bob"}), ("/v1/products", {"name": "Alice"})])
def test_the_same_key_for_something_else_is_refused(running: RunningSandbox, path: str, data: dict[str, str]) -> None:
    http = running.http(new_key())
    http.post("/v1/customers", data={"name": "Alice"}, headers={"Idempotency-Key": "k"})
    answer = http.post(path, data=data, headers={"Idempotency-Key": "k"})
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "idempotency_error")


def test_a_decline_is_remembered_too(v1: Any) -> None:
    given = {
        "amount": 5000,
        "currency": "jpy",
        "payment_method": "pm_card_chargeDeclined",
        "confirm": True,
        "return_url": BACK,
    }
    intents = set()
    for _ in range(2):
        with pytest.raises(stripe.CardError) as caught:
            v1.payment_intents.create(given, {"idempotency_key": "pay"})
        intents.add(body_of(caught.value).payment_intent.id)
    assert len(intents) == 1
    assert len(v1.charges.list().data) == 1


def test_a_malformed_request_does_not_use_up_its_key(running: RunningSandbox) -> None:
    http = running.http(new_key())
    assert http.post("/v1/products", headers={"Idempotency-Key": "k"}).status_code == 400
    answer = http.post("/v1/products", data={"name": "Business"}, headers={"Idempotency-Key": "k"})
    assert answer.status_code == 200


def test_another_account_may_use_the_same_key(running: RunningSandbox) -> None:
    ids = {
        running.http(new_key()).post("/v1/customers", headers={"Idempotency-Key": "k"}).json()["id"] for _ in range(2)
    }
    assert len(ids) == 2


def test_racing_requests_with_one_key_have_one_effect(running: RunningSandbox) -> None:
    key, racers = new_key(), 12
    data = {"amount": "5000", "currency": "jpy", "payment_method": "pm_card_visa"}
    data |= {"confirm": "true", "return_url": BACK}
    clients = [running.http(key) for _ in range(racers)]
    for http in clients:
        http.get("/v1/balance")  # the connection stands before the race begins
    rounds = 5
    line = threading.Barrier(racers)

    def pay(http: httpx.Client) -> list[tuple[int, str]]:
        outcomes = []
        for number in range(rounds):
            line.wait()
            answer = http.post("/v1/payment_intents", data=data, headers={"Idempotency-Key": f"race-{number}"})
            outcomes.append((answer.status_code, answer.json().get("id") or answer.json()["error"]["code"]))
        return outcomes

    with ThreadPoolExecutor(racers) as pool:
        outcomes = [outcome for each in pool.map(pay, clients) for outcome in each]
    assert {code for status, code in outcomes if status != 200} <= {"idempotency_key_in_use"}
    assert len({id for status, id in outcomes if status == 200}) == rounds
    assert len(clients[0].get("/v1/charges", params={"limit": 100}).json()["data"]) == rounds
    assert clients[0].get("/v1/balance").json()["available"][0]["amount"] == 5000 * rounds
    for http in clients:
        http.close()


def test_a_key_that_is_being_worked_on_is_a_conflict(travel: Travel) -> None:
    with travel.engine.in_flight.claim(f"{DEFAULT_ACCOUNT}:test", "k"):
        status, said = travel.ask("POST", "/v1/customers", idempotency_key="k")
    assert (status, said["error"]["code"]) == (409, "idempotency_key_in_use")
    assert travel.ask("POST", "/v1/customers", idempotency_key="k")[0] == 200
