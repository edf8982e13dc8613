"""The web process is killed under load, PostgreSQL is restarted, Redis is gone: what was answered with 2xx is stored,
what was not may be sent again, and everything is stored once."""

import asyncio
import json
import signal
import time
from functools import partial

import httpx
import pytest

from billing.inbox.models import InboxEvent
from tests.billing.events import an_event
from tests.billing.inbox.conftest import wait_until
from tests.crashes.conftest import PATIENCE, Web
from tests.stripe_sandbox import sign

pytestmark = [pytest.mark.crash, pytest.mark.django_db(transaction=True)]


async def send(client: httpx.AsyncClient, port: int, event_id: str) -> int:
    """The status of the answer; 0 when there was none."""
    body = json.dumps(an_event(id=event_id))
    try:
        headers = {"Stripe-Signature": sign(body)}
        answer = await client.post(f"http://127.0.0.1:{port}/webhooks/stripe/", content=body, headers=headers)
    except httpx.TransportError:
        return 0
    return answer.status_code


async def load(port: int, ids: list[str], *, when: int = 0, act=lambda _answers: None) -> dict[str, int]:
    """Send these events, twenty at a time; `act` in between, once so many have been answered. Return the answers."""
    answers: dict[str, int] = {}
    waiting = list(reversed(ids))
    acting: list[asyncio.Task[None]] = []

    async def one(client: httpx.AsyncClient) -> None:
        while waiting:
            event_id = waiting.pop()
            answers[event_id] = await send(client, port, event_id)
            if len(answers) == when:
                acting.append(asyncio.create_task(asyncio.to_thread(act, answers)))

    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        await asyncio.gather(*(one(client) for _ in range(20)))
    await asyncio.gather(*acting)
    return answers


def run_load(port, ids, **options):
    return asyncio.run(load(port, ids, **options))


def stored() -> list[str]:
    return list(InboxEvent.objects.values_list("external_id", flat=True))


def send_until_accepted(port: int, answers: dict[str, int]) -> None:
    """As Stripe does: what was not answered with 2xx comes again until it is."""
    deadline = time.monotonic() + PATIENCE
    while left := [event_id for event_id, status in answers.items() if status != 200]:
        assert time.monotonic() < deadline, f"{len(left)} events are still not accepted"
        answers.update(run_load(port, left))


def accepted(answers: dict[str, int]) -> set[str]:
    return {event_id for event_id, status in answers.items() if status == 200}


@pytest.mark.parametrize("when", [5, 60, 150])
def test_killed_under_load_it_has_stored_what_it_answered_and_takes_the_rest_again(web, when):
    ids = [f"evt_{number}" for number in range(300)]
    answers = run_load(web.port, ids, when=when, act=lambda _: web.end(signal.SIGKILL))
    assert 0 in answers.values(), "nothing was cut off: the kill came too late to show anything"
    assert accepted(answers) <= set(stored())
    web.start()
    send_until_accepted(web.port, answers)
    assert sorted(stored()) == sorted(ids)


def test_told_to_stop_under_load_it_answers_what_it_has_taken(web):
    ids = [f"evt_{number}" for number in range(300)]
    answers = run_load(web.port, ids, when=40, act=lambda _: web.end(signal.SIGTERM))
    assert accepted(answers) <= set(stored())
    web.start()
    send_until_accepted(web.port, answers)
    assert sorted(stored()) == sorted(ids)


def test_with_redis_gone_everything_is_accepted():
    web = Web(REDIS_URL="redis://127.0.0.1:1/0")
    web.start()
    try:
        ids = [f"evt_{number}" for number in range(100)]
        assert set(run_load(web.port, ids).values()) == {200}
        assert sorted(stored()) == sorted(ids)
    finally:
        web.end(signal.SIGKILL)


# --- PostgreSQL -----------------------------------------------------------------------------------


def restart(postgres, number: signal.Signals, answers: dict[str, int]) -> None:
    postgres.stop(number)
    wait_until(lambda: 503 in list(answers.values()), seconds=PATIENCE)
    postgres.start()


def test_while_postgresql_restarts_it_answers_503_and_then_comes_back_by_itself(postgres):
    web = Web(DATABASE_URL=postgres.url)
    web.start()
    everything: list[str] = []
    try:
        for number in (signal.SIGINT, signal.SIGQUIT):  # shut down in order; torn out, with recovery
            ids = [f"evt_{number.name}_{each}" for each in range(400)]
            answers = run_load(web.port, ids, when=50, act=partial(restart, postgres, number))
            assert set(answers.values()) == {200, 503}
            send_until_accepted(web.port, answers)
            everything += ids
            assert sorted(postgres.stored()) == sorted(everything)
    finally:
        web.end(signal.SIGKILL)
        postgres.stop(signal.SIGINT)
