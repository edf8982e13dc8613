"""Trouble on demand: what goes wrong, that it is repeatable, and that the official library gets through it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st

from sandbox import faults
from sandbox.app import Call, answer
from sandbox.faults import Effect, Rule
from tests.sandbox.running import Receiver, RunningSandbox, body_of, new_key, until
from tests.sandbox.travel import Travel

Asking = Callable[..., Any]


@pytest.fixture
def key() -> str:
    return new_key()


@pytest.fixture
def fault(running: RunningSandbox, key: str) -> Iterator[Asking]:
    """Ask for one that strikes this test's account alone."""
    asked = []

    def ask(effect: str, **fields: Any) -> Any:
        said = running.http().post("/_sandbox/faults", json={"effect": effect, "key": key, **fields})
        assert said.status_code == 200, said.text
        asked.append(said.json()["id"])
        return said.json()

    yield ask
    for id in asked:
        running.http().delete(f"/_sandbox/faults/{id}")


@pytest.fixture
def endpoint(running: RunningSandbox, key: str, receiver: Receiver) -> Any:
    return running.client(key).v1.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["*"]})


def deliveries(running: RunningSandbox, endpoint: Any) -> Any:
    found = running.http().get("/_sandbox/deliveries", params={"endpoint": endpoint.id}).json()["data"]
    return found[::-1]


def names(receiver: Receiver, secret: str) -> list[str]:
    return [event.data.object["name"] for event in receiver.events(secret)]


def test_a_duplicate_arrives_twice_as_the_same_event(
    running: RunningSandbox, key: str, fault: Asking, endpoint: Any, receiver: Receiver
) -> None:
    fault("duplicate", count=1, endpoint=receiver.url)
    for name in ("Alice", "Bob"):
        running.client(key).v1.customers.create({"name": name})
    until(lambda: len(receiver.received) == 3)
    assert sorted(names(receiver, endpoint.secret)) == ["Alice", "Alice", "Bob"]
    assert len({event.id for event in receiver.events(endpoint.secret)}) == 2


def test_a_lost_event_never_arrives_and_can_be_asked_for_again(
    running: RunningSandbox, key: str, fault: Asking, endpoint: Any, receiver: Receiver
) -> None:
    fault("lost", count=1, types=["customer.*"])
    v1 = running.client(key).v1
    for name in ("Alice", "Bob"):
        v1.customers.create({"name": name})
    until(lambda: receiver.received)
    assert names(receiver, endpoint.secret) == ["Bob"]
    assert [one["state"] for one in deliveries(running, endpoint)] == ["lost", "delivered"]
    running.http().post("/_sandbox/deliveries/redeliver", json={"event": v1.events.list().data[1].id})
    until(lambda: names(receiver, endpoint.secret) == ["Bob", "Alice"])


def test_a_reordered_event_comes_after_the_next_one(
    running: RunningSandbox, key: str, fault: Asking, endpoint: Any, receiver: Receiver
) -> None:
    fault("reordered", count=1, seconds=600)
    for name in ("Alice", "Bob"):
        running.client(key).v1.customers.create({"name": name})
    until(lambda: len(receiver.received) == 2)
    assert names(receiver, endpoint.secret) == ["Bob", "Alice"]


def test_a_delayed_event_waits_for_its_time(
    running: RunningSandbox, key: str, fault: Asking, endpoint: Any, receiver: Receiver
) -> None:
    fault("delayed", count=1, seconds=3600)
    for name in ("Alice", "Bob"):
        running.client(key).v1.customers.create({"name": name})
    until(lambda: receiver.received)
    late, prompt = deliveries(running, endpoint)
    assert names(receiver, endpoint.secret) == ["Bob"]
    assert late["state"] == "pending"
    assert 3590 <= late["due_at"] - prompt["due_at"] <= 3600


def test_a_wrong_signature_is_refused_and_the_next_attempt_is_right(
    running: RunningSandbox, key: str, fault: Asking, endpoint: Any, receiver: Receiver
) -> None:
    fault("wrong_signature", count=1)
    receiver.answers = [400, 200]
    running.client(key).v1.customers.create({"name": "Alice"})
    until(lambda: len(receiver.received) == 2)
    with pytest.raises(stripe.SignatureVerificationError):
        receiver.events(endpoint.secret)
    del receiver.received[0]
    assert names(receiver, endpoint.secret) == ["Alice"]


def test_a_slow_delivery_takes_its_time_and_arrives_whole(
    running: RunningSandbox, key: str, fault: Asking, endpoint: Any, receiver: Receiver
) -> None:
    fault("slow", count=1, seconds=0.5)
    running.client(key).v1.customers.create({"name": "Alice"})
    delivery = until(lambda: next((one for one in deliveries(running, endpoint) if one["state"] == "delivered"), None))
    assert delivery["attempts"][0]["duration_ms"] >= 500
    assert names(receiver, endpoint.secret) == ["Alice"]


@pytest.mark.parametrize(
    ("effect", "error", "status"),
    [
        ("rate_limit", stripe.RateLimitError, 429),
        ("server_error", stripe.APIError, 500),
        ("timeout", stripe.APIError, 504),
    ],
)
def test_a_refused_call_has_no_effect_and_says_that_it_may_be_tried_again(
    running: RunningSandbox, key: str, fault: Asking, effect: str, error: Any, status: int
) -> None:
    fault(effect, count=1, method="POST", path="/v1/customers", seconds=0)
    v1 = running.client(key, max_network_retries=0).v1
    with pytest.raises(error) as refused:
        v1.customers.create({})
    assert refused.value.http_status == status
    assert refused.value.headers["Stripe-Should-Retry"] == "true"
    assert v1.customers.list().data == []
    assert v1.customers.create({}).id


def test_a_rate_limit_has_stripes_words(running: RunningSandbox, key: str, fault: Asking) -> None:
    fault("rate_limit", count=1)
    with pytest.raises(stripe.RateLimitError) as refused:
        running.client(key, max_network_retries=0).v1.customers.list()
    error = body_of(refused.value)
    assert (error.type, error.code) == ("invalid_request_error", "rate_limit")
    assert refused.value.headers["Stripe-Rate-Limited-Reason"] == "global-rate"


def test_the_official_library_gets_through(running: RunningSandbox, key: str, fault: Asking) -> None:
    rules = [fault("rate_limit", count=1), fault("server_error", count=1, after=1)]
    assert running.client(key, max_network_retries=3).v1.customers.create({}).id
    struck = {rule["id"]: rule["struck"] for rule in running.http().get("/_sandbox/faults").json()["data"]}
    assert [struck[rule["id"]] for rule in rules] == [1, 1]


@pytest.mark.parametrize("effect", ["timeout", "server_error"])
def test_a_call_that_fails_after_its_effect_charges_once(
    running: RunningSandbox, key: str, fault: Asking, effect: str
) -> None:
    fault(effect, count=2, when="after", method="POST", path="/v1/payment_intents", seconds=0)
    v1 = running.client(key, max_network_retries=3).v1
    asked: Any = {
        "amount": 5000, "currency": "jpy", "payment_method": "pm_card_visa", "confirm": True,
        "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
    }  # fmt: skip
    paid = v1.payment_intents.create(asked)
    assert paid.status == "succeeded"
    assert [charge.amount for charge in v1.charges.list().data] == [5000]


def test_a_caller_that_hangs_up_finds_the_work_done(running: RunningSandbox, key: str, fault: Asking) -> None:
    fault("timeout", count=1, when="after", path="/v1/customers", seconds=30)
    impatient = stripe.HTTPXClient(timeout=2.0, allow_sync_methods=True)
    v1 = running.client(key, max_network_retries=2, http_client=impatient).v1
    made = v1.customers.create({"name": "Alice"})
    assert [found.id for found in v1.customers.list().data] == [made.id]


def test_latency_gives_the_right_answer_late(travel: Travel) -> None:
    asked = {"effect": "latency", "seconds": "2.5", "path": "/v1/customers"}
    assert travel.visit("POST", "/_sandbox/faults", **asked) == 200
    said = answer(travel.engine, Call("GET", "/v1/customers", "", {"authorization": "Bearer sk_test_123"}, b"", ""))
    assert (said.status_code, getattr(said, "delay", 0)) == (200, 2.5)


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"effect": "earthquake"}, "effect"),
        ({}, "effect"),
        ({"effect": "lost", "rate": "often"}, "rate"),
        ({"effect": "lost", "path": "/v1/charges"}, "path"),  # of calls, not of deliveries
        ({"effect": "timeout", "endpoint": "we_1"}, "endpoint"),  # the other way round
        ({"effect": "timeout", "when": "never"}, "when"),
        ({"effect": "lost", "count": -1}, "count"),
        ({"effect": "lost", "rate": 1.5}, "rate"),
        ({"effect": "duplicate", "copies": 0}, "copies"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_with_its_reason(running: RunningSandbox, asked: Any, param: str) -> None:
    said = running.http().post("/_sandbox/faults", json=asked)
    assert (said.status_code, said.json()["error"]["param"]) == (400, param)


def test_a_rule_for_an_endpoint_that_is_not_there_is_refused(running: RunningSandbox) -> None:
    said = running.http().post("/_sandbox/faults", json={"effect": "lost", "endpoint": "we_nobody"})
    assert (said.status_code, said.json()["error"]["param"]) == (404, "endpoint")


def test_a_reset_ends_the_trouble_too(travel: Travel) -> None:
    travel.visit("POST", "/_sandbox/faults", effect="server_error")
    assert travel.ask("GET", "/v1/balance")[0] == 500
    travel.visit("POST", "/_sandbox/reset")
    assert travel.ask("GET", "/v1/balance")[0] == 200


def walk(rule: Rule, length: int) -> list[bool]:
    """What a rule does to a sequence."""
    hits = []
    for _ in range(length):
        hits.append(rule.strikes)
        rule = Rule(**(vars(rule) | {"seen": rule.seen + 1, "struck": rule.struck + hits[-1]}))
    return hits


@given(seed=st.integers(), rate=st.floats(0, 1), count=st.integers(0, 20), after=st.integers(0, 20))
def test_the_same_seed_strikes_the_same_ones(seed: int, rate: float, count: int, after: int) -> None:
    one, other = (
        walk(Rule(id, Effect.LOST, rate=rate, count=count, after=after, seed=seed), 60) for id in (1, 2)
    )  # fmt: skip
    assert one == other
    assert sum(one) <= count
    assert not any(one[:after])


def test_a_rate_is_kept_in_the_long_run() -> None:
    assert 0.27 < sum(walk(Rule(1, Effect.LOST, rate=0.3, seed=7), 2000)) / 2000 < 0.33


@given(effects=st.sets(st.sampled_from([*faults.OF_DELIVERIES])))
def test_a_lost_delivery_is_lost_whatever_else_strikes(effects: set[Effect]) -> None:
    struck = [Rule(number, effect, seconds=5.0) for number, effect in enumerate(sorted(effects))]
    planned = faults.planned(struck, now=1000)
    assert (Effect.LOST in effects) == (planned[0].state == "lost")
    assert len(planned) == (2 if Effect.DUPLICATE in effects and Effect.LOST not in effects else 1)
