"""The pool of a web process: pages share its connections, nobody who leaves takes one along, a restart is survived."""

import signal
import socket
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.crashes.conftest import PATIENCE, Postgres, Web

PAGE = "/"  # reads the catalogue
POOL = 2


@pytest.fixture
def pooled(postgres: Postgres) -> Iterator[Web]:
    web = Web(DATABASE_URL=postgres.url, DATABASE_POOL=str(POOL))
    web.start()
    yield web
    if web.process and web.process.poll() is None:
        web.end(signal.SIGKILL)


def status(web: Web) -> int:
    return httpx.get(f"http://127.0.0.1:{web.port}{PAGE}", trust_env=False, timeout=60).status_code


def sessions(postgres: Postgres) -> int:
    """How many connections PostgreSQL has accepted so far, this question's among them."""
    time.sleep(1.2)  # it counts at most once a second
    ((number,),) = postgres.ask("SELECT sum(sessions)::int FROM pg_stat_database")
    return int(number)


def leave_at_once(web: Web) -> None:
    with socket.create_connection(("127.0.0.1", web.port)) as connection:
        connection.sendall(f"GET {PAGE} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        time.sleep(0.02)


def test_pages_share_a_few_connections(postgres: Postgres, pooled: Web) -> None:
    assert status(pooled) == 200
    before = sessions(postgres)
    assert {status(pooled) for _ in range(30)} == {200}
    assert sessions(postgres) - before <= POOL + 1


def test_whoever_leaves_in_the_middle_takes_no_connection_along(postgres: Postgres, pooled: Web) -> None:
    assert status(pooled) == 200
    for _ in range(20 * POOL):
        leave_at_once(pooled)
    assert {status(pooled) for _ in range(10)} == {200}


def test_pages_come_back_with_their_database(postgres: Postgres, pooled: Web) -> None:
    assert status(pooled) == 200
    postgres.stop(signal.SIGINT)
    assert status(pooled) == 500  # and does not wait for ever
    time.sleep(8)  # longer than the pool itself goes on trying
    postgres.start()
    deadline = time.monotonic() + PATIENCE
    while status(pooled) != 200:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert {status(pooled) for _ in range(5)} == {200}


def test_a_process_with_a_pool_ends_when_it_is_told(postgres: Postgres, pooled: Web) -> None:
    assert status(pooled) == 200
    pooled.end(signal.SIGTERM)  # within the patience that it is waited with
