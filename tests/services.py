"""The real services of a test run: started once by the process that starts the workers, who inherit the URLs."""

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

from config.translations import compile_translations


def provide_services() -> None:
    """Start PostgreSQL and Redis where `DATABASE_URL` or `REDIS_URL` do not name them; stop them at exit."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        return
    keep_bytecode()
    compile_translations()  # a process that has once looked for a catalogue in vain keeps none
    place = Path(tempfile.mkdtemp(prefix="kessai-tests-"))
    place.chmod(0o711)  # as root, PostgreSQL runs as another user and must get through
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    if "DATABASE_URL" not in os.environ:
        from config.local import start_postgres

        postgres = start_postgres(place / "postgres", durable=False)
        os.environ["DATABASE_URL"] = postgres.url
        atexit.register(postgres.stop)
    if "REDIS_URL" not in os.environ:
        from config.local import start_redis

        redis = start_redis(place / "redis")
        os.environ["REDIS_URL"] = redis.url
        atexit.register(redis.stop)


def keep_bytecode() -> None:
    """Let this process and those it starts keep what they compile, also where the environment says not to.

    Otherwise each of some hundred processes compiles the portal anew, and each worker all tests: that was most of what
    a process costs to start. What is written are `__pycache__` directories, which nothing but Python looks into.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
