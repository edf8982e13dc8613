"""Processes and servers that crash tests stop, kill and start again."""

import os
import shutil
import signal
import tempfile
import time
from pathlib import Path
from typing import Any, LiteralString
from urllib.parse import unquote

import httpx
import psycopg
import pytest

from config.local import Server, start_postgres
from tests import processes
from tests.ports import next_port

PATIENCE = 120.0  # a machine may have others to serve


class Web:
    """A web process as it is deployed, which can be killed and started again on the same port."""

    def __init__(self, **environment: str) -> None:
        self.port = next_port()
        self.environment = processes.portal_environment() | {"LOG_LEVEL": "ERROR"} | environment
        self.process: processes.AnyProcess | None = None

    def start(self) -> None:
        command = ["uvicorn", "config.asgi:application", "--port", str(self.port)]
        command += ["--no-access-log", "--log-level", "warning"]
        self.process = processes.start_in(self.environment, *command)
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                httpx.get(f"http://127.0.0.1:{self.port}/webhooks/stripe/", trust_env=False, timeout=5)
            except httpx.TransportError:
                assert time.monotonic() < deadline, "the web process did not come up"
                time.sleep(0.1)
            else:
                return

    def end(self, number: int) -> int:
        assert self.process
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@pytest.fixture
def web():
    web = Web()
    web.start()
    yield web
    if web.process and web.process.poll() is None:
        web.end(signal.SIGKILL)


class Postgres:
    def __init__(self, server: Server) -> None:
        self.url = server.url
        self._server = server
        self._process = server.process

    def stop(self, number: int) -> None:
        self._process.send_signal(number)
        self._process.wait(PATIENCE)

    def start(self) -> None:
        self._process = self._server.command.start()

    def stored(self) -> list[str]:
        return [row[0] for row in self.ask("SELECT external_id FROM billing_inboxevent")]

    def ask(self, sql: LiteralString) -> list[tuple[Any, ...]]:
        with psycopg.connect(host=unquote(self.url.split("@")[1].split("/")[0]), user="postgres") as connection:
            return connection.execute(sql).fetchall()


@pytest.fixture
def postgres():
    """A PostgreSQL of this test's own, which may be stopped; with the portal's tables in it."""
    place = Path(tempfile.mkdtemp(prefix="kessai-tests-"))
    place.chmod(0o711)  # as root, PostgreSQL runs as another user and must get through
    server = start_postgres(place / "postgres")  # durable: what is torn out must keep what it has committed
    environment = os.environ | {"DATABASE_URL": server.url, "DJANGO_SETTINGS_MODULE": "config.settings"}
    assert processes.start_in(environment, "tests.crashes.tables").wait(300) == 0
    yield Postgres(server)
    shutil.rmtree(place, ignore_errors=True)
