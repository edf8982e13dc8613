"""One sandbox for a test run's process; every test has an account of its own in it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import stripe

from sandbox.clock import Clock
from sandbox.discovery import discover
from sandbox.engine import Engine
from sandbox.store import Store
from tests.sandbox import legal
from tests.sandbox.running import Receiver, RunningSandbox
from tests.sandbox.travel import Travel


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    sandbox = RunningSandbox(tmp_path_factory.mktemp("sandbox"), "--webhook-retries", "0,0,0").start()
    yield sandbox
    sandbox.stop()


@pytest.fixture
def client(running: RunningSandbox) -> stripe.StripeClient:
    return running.client(max_network_retries=0)


@pytest.fixture
def v1(client: stripe.StripeClient) -> stripe.V1Services:
    return client.v1


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver().start()
    yield receiver
    receiver.stop()


@pytest.fixture
def travel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Travel]:
    """Whatever a test does with it, states move legally and events are told in the order of their time."""
    discover()
    store = Store(tmp_path)
    engine = Engine(store, Clock(), "http://sandbox.example", (10, 600, 7200))
    travel = Travel(engine)
    engine.clock = Clock(wall=lambda: travel.now)
    with legal.watching(monkeypatch) as wrong:
        yield travel
    assert wrong == []
    legal.check_events(store)
    store.close()
