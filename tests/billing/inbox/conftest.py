import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import LazySettings

from billing import nudge


def an_event(**changes: Any) -> dict[str, Any]:
    """A small snapshot event as Stripe sends it."""
    return {
        "id": "evt_1",
        "object": "event",
        "api_version": "2026-08-26.dahlia",
        "created": 1_767_225_600,
        "livemode": False,
        "type": "customer.updated",
        "data": {"object": {"id": "cus_1", "object": "customer", "email": "alice@example.com"}},
        **changes,
    }


@pytest.fixture
def fresh_nudges(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nudges that know nothing of earlier tests' Redis."""
    monkeypatch.setattr(nudge, "_resting_until", 0.0)
    nudge.nudge_redis.cache_clear()
    yield
    nudge.nudge_redis.cache_clear()


@pytest.fixture
def own_redis(fresh_nudges: None, settings: LazySettings) -> None:
    """A Redis database that no other test process nudges through."""
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 12 + 3
    settings.REDIS_URL = settings.REDIS_URL.rpartition("/")[0] + f"/{number}"
    nudge.nudge_redis().flushdb()


@pytest.fixture
def point_redis_to(fresh_nudges: None, settings: LazySettings) -> Callable[[int], None]:
    """Make the nudges look for Redis on another port of this machine."""

    def point(port: int) -> None:
        settings.REDIS_URL = f"redis://127.0.0.1:{port}/0"

    return point


@pytest.fixture
def sent(own_redis: None, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the tasks sent to the workers."""
    names: list[str] = []
    monkeypatch.setattr("celery.current_app.send_task", lambda name, **_options: names.append(name))
    return names
