"""A destination on a real server of this machine, which the settings allow for these tests."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest
from django.conf import LazySettings
from django.utils import timezone

from ops.effects.destinations.invoke import invoke
from ops.effects.destinations.models import Authorization, Connection, Destination
from ops.effects.outcome import Outcome
from ops.effects.sealing import seal
from tests.billing.conftest import fresh_nudges, own_redis, point_redis_to  # noqa: F401 - fixtures
from tests.ops.destinations.server import Server, serving

LOOPBACK = ["127.0.0.0/8", "::1/128"]
PASSWORD = "correct-horse/battery+staple&ü"


@pytest.fixture(autouse=True)
def _surroundings(own_redis: None, settings: LazySettings) -> None:  # noqa: F811
    settings.DESTINATIONS_ALLOWED_NETWORKS = LOOPBACK


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
def other_server() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
def make(db: None, server: Server) -> Callable[..., Destination]:
    """Make a destination on the server, with a connection of its own."""

    def make(name: str = "crm", *, connection: dict[str, Any] | None = None, **fields: Any) -> Destination:
        said = {"authorization": Authorization.BASIC, "identity": "kessai", "sealed_secret": seal(PASSWORD)}
        made = Connection.objects.create(name=f"{name}-connection", **(said | (connection or {})))
        values = {"endpoint": f"{server.url}/hook", "timeout_seconds": 5.0} | fields
        return Destination.objects.create(name=name, connection=made, **values)

    return make


@pytest.fixture
def crm(make: Callable[..., Destination]) -> Destination:
    return make()


def send(
    destination: Destination, body: str = '{"amount":5000}', *, now: datetime | None = None, **more: Any
) -> Outcome:
    said: dict[str, Any] = {"parameters": {}, "key": "big-invoices:evt_1:crm"} | more
    return invoke(destination.name, body=body, now=now or timezone.now(), **said)
