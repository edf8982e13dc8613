"""The real services of a test run: started once by the process that starts the workers, who inherit the URLs."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from config.translations import compile_translations


def provide_services() -> None:
    """Start PostgreSQL and Redis where `DATABASE_URL` or `REDIS_URL` do not name them; stop them at exit."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        return
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
