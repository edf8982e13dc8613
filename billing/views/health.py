"""Whether this process can do its work: for load balancers and for people on call."""

from typing import Any

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

TIMEOUT_SECONDS = 1.0


@never_cache
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """Answer 200 when PostgreSQL answers, else 503.

    Redis carries nudges alone: without it pages work and the sweep finds what is due, so it is told, not fatal.
    """
    database, queue = ask_database(), ask_redis()
    state: dict[str, Any] = {"database": database, "redis": queue, "ok": database == "ok"}
    return JsonResponse(state, status=200 if state["ok"] else 503)


def ask_database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return "unreachable"
    return "ok"


def ask_redis() -> str:
    try:
        client = redis.Redis.from_url(
            settings.REDIS_URL, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS
        )
        with client:
            client.ping()
    except redis.RedisError:
        return "unreachable"
    return "ok"
