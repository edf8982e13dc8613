"""The servers of one machine, with the real ones."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from config import local
from config.env import BASE_DIR
from config.local import Server, reachable_dir, start_postgres, start_redis

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="Only root needs another user for PostgreSQL.")


@pytest.fixture
def postgres(open_dir: Path) -> Iterator[Server]:
    server = start_postgres(open_dir / "postgres", durable=False)
    yield server
    server.stop()


def test_postgresql_answers_on_a_socket_that_only_its_user_can_reach(postgres: Server) -> None:
    with psycopg.connect(postgres.url.replace("postgres://", "postgresql://")) as connection:
        row = connection.execute("SELECT current_setting('listen_addresses'), upper('é'), 'a' < 'B'").fetchone()
    assert row == ("", "É", False)
    socket_dir = Path(postgres.command.argv[postgres.command.argv.index("-k") + 1])
    assert socket_dir.stat().st_mode & 0o077 == 0


def test_postgresql_comes_back_with_what_it_had_promised_after_it_was_killed(open_dir: Path) -> None:
    server = start_postgres(open_dir / "postgres")
    with psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
    server.process.kill()
    server.process.wait()
    again = start_postgres(open_dir / "postgres")
    try:
        with psycopg.connect(again.url) as connection:
            assert connection.execute("SELECT one FROM kept").fetchone() == (1,)
    finally:
        again.stop()


def test_a_postgresql_left_over_is_stopped_before_the_next_one_starts(postgres: Server) -> None:
    again = start_postgres(Path(postgres.command.argv[2]), durable=False)
    try:
        assert postgres.process.wait(60) == 0
        assert again.process.poll() is None
    finally:
        again.stop()


def test_a_pid_file_that_names_a_foreign_process_is_forgotten(open_dir: Path) -> None:
    (open_dir / "postmaster.pid").write_text(f"{os.getpid()}\n")
    local.stop_postgres_left_over(open_dir)
    assert not (open_dir / "postmaster.pid").exists()


def test_a_long_path_gets_a_short_socket_that_goes_with_the_server(open_dir: Path) -> None:
    deep = open_dir / ("a-rather-long-name-" * 5)
    deep.mkdir()
    server = start_postgres(deep / "postgres", durable=False)
    (short,) = server.scratch
    with psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    server.stop()
    assert not short.exists()


@as_root
def test_behind_a_private_home_the_data_of_root_go_elsewhere_and_the_home_stays_closed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    wanted = home / ".local" / "postgres"
    assert reachable_dir(wanted).is_relative_to(local.OUTSIDE)
    assert home.stat().st_mode & 0o777 == 0o700


@as_root
def test_programs_that_root_keeps_private_are_copied(open_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "is_open_to_all", lambda _path: False)
    server = start_postgres(open_dir / "postgres", durable=False)
    try:
        assert Path(server.command.argv[0]).is_relative_to(open_dir / "postgres-programs")
    finally:
        server.stop()


def test_redis_asks_for_a_password_that_no_argument_shows(tmp_path: Path) -> None:
    server = start_redis(tmp_path / "redis")
    try:
        with redis.Redis.from_url(server.url) as client:
            assert client.ping()
        password = server.url.split("@")[0].rpartition(":")[2]
        assert password not in " ".join(server.command.argv)
        stranger = redis.Redis.from_url(server.url.replace(f":{password}@", ""))
        with pytest.raises(redis.AuthenticationError):
            stranger.ping()
        stranger.close()
    finally:
        server.stop()


def test_too_old_a_python_is_said_in_one_sentence() -> None:
    bootstrap = BASE_DIR / "config" / "bootstrap.py"
    pretend = "import runpy, sys; sys.version_info = (3, 10, 0); sys.argv = ['', 'x']; "
    code = pretend + f"runpy.run_path({str(bootstrap)!r}, run_name='__main__')"
    old = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert old.returncode == 1
    assert old.stderr.startswith("Kessai needs Python 3.11 or newer")
    assert old.stderr.count("\n") == 1
