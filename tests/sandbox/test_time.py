"""What happens later: with a clock that the test moves, in this process, without waiting."""

from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from sandbox import jobs, webhooks
from sandbox.app import Call, answer
from sandbox.context import Context, Scope
from sandbox.events import KEPT_FOR
from tests.sandbox.travel import Travel

DAY = 24 * 3600
BACK = "http://shop.example/back"


def pay(travel: Travel, payment_method: str) -> Any:
    return travel.post(
        "/v1/payment_intents",
        amount="5000",
        currency="jpy",
        payment_method=payment_method,
        confirm="true",
        return_url=BACK,
    )


def balance(travel: Travel) -> int:
    return int(travel.get("/v1/balance")["available"][0]["amount"])


def test_a_pending_refund_succeeds_in_the_end(travel: Travel) -> None:
    refund = travel.post("/v1/refunds", payment_intent=pay(travel, "pm_card_pendingRefund")["id"])
    assert refund["status"] == "pending"
    travel.advance(3600)
    assert travel.get(f"/v1/refunds/{refund['id']}")["status"] == "succeeded"
    assert balance(travel) == 0


def test_a_refund_that_fails_brings_the_money_back_once(travel: Travel) -> None:
    intent = pay(travel, "pm_card_refundFail")
    refund = travel.post("/v1/refunds", payment_intent=intent["id"])
    assert (refund["status"], balance(travel)) == ("succeeded", 0)
    travel.advance(3600)
    travel.advance(3600)
    failed = travel.get(f"/v1/refunds/{refund['id']}")
    assert (failed["status"], failed["failure_reason"]) == ("failed", "expired_or_canceled_card")
    assert balance(travel) == 5000
    charge = travel.get(f"/v1/charges/{intent['latest_charge']}")
    assert (charge["refunded"], charge["amount_refunded"]) == (False, 0)
    assert len(travel.get("/v1/events", type="refund.failed")["data"]) == 1


def test_an_idempotency_key_is_forgotten_after_a_day(travel: Travel) -> None:
    def make() -> str:
        return str(travel.ask("POST", "/v1/customers", idempotency_key="k")[1]["id"])

    first = make()
    travel.advance(DAY - 1)
    assert make() == first
    travel.advance(2)
    assert make() != first


def test_an_event_is_kept_for_thirty_days(travel: Travel) -> None:
    travel.post("/v1/customers")
    [event] = travel.get("/v1/events")["data"]
    travel.advance(KEPT_FOR)
    assert travel.get(f"/v1/events/{event['id']}")["id"] == event["id"]
    travel.advance(1)
    assert travel.get("/v1/events")["data"] == []
    assert travel.ask("GET", f"/v1/events/{event['id']}")[0] == 404


@pytest.fixture
def diary() -> Iterator[list[tuple[int, str]]]:
    """What the job `test.note` wrote: the time it believed in and its note."""
    written: list[tuple[int, str]] = []

    @jobs.job("test.note")
    def note(ctx: Context, payload: dict[str, Any]) -> None:
        if payload["note"] == "broken":
            raise RuntimeError("as asked")
        written.append((ctx.now, payload["note"]))

    yield written
    del jobs.HANDLERS["test.note"]


def schedule(travel: Travel, note: str, after: int, *, name: str = "") -> None:
    with travel.engine.store.write() as tx:
        ctx = travel.engine.context(tx, Scope("acct_1", livemode=False))
        jobs.schedule(ctx, "test.note", due_at=travel.now + after, payload={"note": note}, name=name)


def test_jobs_run_in_the_order_and_at_the_time_they_were_due(travel: Travel, diary: list[tuple[int, str]]) -> None:
    begin = travel.now
    schedule(travel, "third", 300)
    schedule(travel, "first", 100)
    schedule(travel, "second", 200)
    schedule(travel, "later", 5000)
    travel.advance(1000)
    assert diary == [(begin + 100, "first"), (begin + 200, "second"), (begin + 300, "third")]


def test_what_was_due_before_it_was_scheduled_is_done_now(travel: Travel, diary: list[tuple[int, str]]) -> None:
    begin = travel.now
    schedule(travel, "late", -1000)
    travel.advance(10)
    assert diary == [(begin, "late")]


def test_a_job_with_a_name_replaces_the_one_before(travel: Travel, diary: list[tuple[int, str]]) -> None:
    schedule(travel, "old", 100, name="sub_1")
    schedule(travel, "new", 50, name="sub_1")
    schedule(travel, "other", 60, name="sub_2")
    travel.advance(1000)
    assert [note for _, note in diary] == ["new", "other"]


def test_a_job_that_raises_holds_up_no_other_and_is_tried_again(
    travel: Travel, diary: list[tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule(travel, "broken", 10)
    schedule(travel, "fine", 20)
    travel.advance(30)
    assert [note for _, note in diary] == ["fine"]
    with travel.engine.store.read() as tx:
        [(attempts, error, due_at)] = tx.sql("SELECT attempts, error, due_at FROM jobs").fetchall()
    assert (attempts, due_at) == (1, travel.now + 60)
    assert "as asked" in error


@pytest.mark.parametrize(
    ("status", "attempts", "state", "wait"),
    [
        (200, 1, "delivered", 0),
        (204, 3, "delivered", 0),
        # a redirect is no delivery
        (302, 1, "pending", 10),
        (500, 1, "pending", 10),
        (500, 2, "pending", 600),
        (None, 3, "pending", 7200),
        (500, 4, "failed", 0),
    ],
)
def test_the_next_attempt_is_due_as_the_schedule_says(status: int | None, attempts: int, state: str, wait: int) -> None:
    outcome = webhooks.Outcome(status, None, 5)
    assert webhooks._next_state(outcome, attempts, 1000, (10, 600, 7200)) == (state, 1000 + wait)


def test_answers_are_dated_in_the_time_of_the_sandbox(travel: Travel) -> None:
    def date() -> float:
        call = Call("GET", "/v1/balance", "", {"authorization": f"Bearer {travel.key}"}, b"", "http://sandbox.example")
        return parsedate_to_datetime(answer(travel.engine, call).headers["Date"]).timestamp()

    before = date()
    travel.advance(30 * DAY)
    assert 30 * DAY <= date() - before <= 30 * DAY + 5
