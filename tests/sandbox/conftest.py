"""One sandbox for a test run's process; every test has an account of its own in it."""

from collections.abc import Iterator

import pytest
import stripe

from tests.sandbox.running import Receiver, RunningSandbox


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
