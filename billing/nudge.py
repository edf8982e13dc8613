"""Nudges through Redis. They only say "look now": when Redis is away nothing is lost, and nobody waits for it."""

import time
from collections.abc import Callable, Mapping
from functools import lru_cache

import redis
import structlog
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

log = structlog.get_logger(__name__)

PATIENCE_SECONDS = 0.3  # a Redis on the same network answers within a few milliseconds
REST_SECONDS = 5.0  # after a failure Redis is left alone so long: a hanging one must not slow down every caller
_resting_until = 0.0


@lru_cache(maxsize=1)
def nudge_redis() -> "redis.Redis":
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_connect_timeout=PATIENCE_SECONDS,
        socket_timeout=PATIENCE_SECONDS,
        retry=Retry(NoBackoff(), 0),  # redis tries again for seconds by default
    )


def publish_quietly(messages: Mapping[str, str]) -> bool:
    """Publish a message on each Redis channel, in one round trip; return whether Redis took them.

    Never raises, never waits for long.
    """

    def publish_all() -> object:
        with nudge_redis().pipeline(transaction=False) as pipe:
            for channel, message in messages.items():
                pipe.publish(channel, message)
            return pipe.execute()

    return quietly(publish_all) is not None


def first_within(name: str, seconds: int) -> bool:
    """Say whether nobody called this with `name` for `seconds` (or since `forget`); False when Redis is away."""
    return bool(quietly(lambda: nudge_redis().set(name, 1, nx=True, ex=seconds)))


def forget(name: str) -> None:
    quietly(lambda: nudge_redis().delete(name))


def rest() -> None:
    """Leave Redis alone for a while: it has just failed somebody."""
    global _resting_until
    _resting_until = time.monotonic() + REST_SECONDS


def quietly(call: Callable[[], object]) -> object | None:
    """Ask Redis; None when it is away, which is then taken for granted for a while. Never raises."""
    if time.monotonic() < _resting_until:
        return None
    try:
        return call()
    except redis.RedisError as error:
        rest()
        log.warning("redis:unreachable", error=type(error).__name__)
        return None
