"""Whether this process can do its work, and what is missing if it cannot."""

from dataclasses import dataclass

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.loader import MigrationLoader

TIMEOUT_SECONDS = 1.0
OK = "ok"
UNREACHABLE = "unreachable"
_all_applied = False  # a schema only moves on


@dataclass(frozen=True)
class Readiness:
    database: str
    migrations: str
    redis: str

    @property
    def ready(self) -> bool:
        """Redis carries nudges alone: without it pages work and the sweep finds what is due."""
        return self.database == OK and self.migrations == OK

    @property
    def degraded(self) -> bool:
        return self.redis != OK


def read_readiness() -> Readiness:
    database = ask_database()
    return Readiness(database, ask_migrations() if database == OK else "unknown", ask_redis())


def ask_database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return UNREACHABLE
    return OK


def ask_migrations() -> str:
    """Say how many migrations of this code the database has not seen; once it has seen all, it is not asked again."""
    missing = missing_migrations()
    return OK if missing == 0 else f"{missing} not applied: run manage.py prepare_database"


def missing_migrations() -> int:
    global _all_applied
    if _all_applied:
        return 0
    loader = MigrationLoader(connection)
    missing = len(set(loader.graph.nodes) - set(loader.applied_migrations))
    _all_applied = missing == 0
    return missing


def ask_redis() -> str:
    try:
        client = redis.Redis.from_url(
            settings.REDIS_URL, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS
        )
        with client:
            client.ping()
    except redis.RedisError:
        return UNREACHABLE
    return OK
