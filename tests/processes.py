"""Processes of the portal beside the test: workers that live, and workers that are killed.

    process = start("tests.crashes.loop", LOG_LEVEL="ERROR")
    process.kill()

Each is forked by a process that has imported the portal (`tests.fork_server`), one for a test process.
"""

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from functools import cache
from typing import IO

from django.conf import settings as django_settings
from django.db import connection

from config.env import BASE_DIR

STARTING_SECONDS = 120.0  # a machine may have others to serve


def portal_environment() -> dict[str, str]:
    """What another process of the portal needs to meet this test's database and Stripe."""
    server = os.environ["DATABASE_URL"].rpartition("/")[0]
    return os.environ | {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DATABASE_URL": f"{server}/{connection.settings_dict['NAME']}",
        "STRIPE_SECRET_KEY": django_settings.STRIPE_SECRET_KEY,
        "STRIPE_API_BASE": django_settings.STRIPE_API_BASE,
    }


class PortalProcess:
    """What `subprocess.Popen` would have returned for it, as far as tests ask."""

    def __init__(self, told: socket.socket, stdout: IO[str] | None) -> None:
        self._told = told
        self.stdout = stdout
        self.pid = int(self._line(STARTING_SECONDS))
        self.returncode: int | None = None

    def poll(self) -> int | None:
        with suppress(TimeoutError):
            self._learn(0.0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return how it ended: a signal is negative. Raises subprocess.TimeoutExpired."""
        try:
            return self._learn(timeout)
        except TimeoutError:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0.0) from None

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _learn(self, timeout: float | None) -> int:
        if self.returncode is None:
            self.returncode = int(self._line(timeout))
            self._told.close()
        return self.returncode

    def _line(self, timeout: float | None) -> bytes:
        """A number that its keeper tells: a line, which is sent in one piece."""
        self._told.settimeout(timeout)
        line = b""
        try:
            while not line.endswith(b"\n"):
                if not (byte := self._told.recv(1)):
                    raise ChildProcessError("The process that forks the portal's has ended, or could not fork.")
                line += byte
        except BlockingIOError:
            raise TimeoutError from None
        return line


AnyProcess = PortalProcess | subprocess.Popen[str]


def start(module: str, *arguments: str, piped: bool = False, own_session: bool = False, **more: str) -> AnyProcess:
    """Start `python -m module` on this test's database and Stripe, with more of an environment.

    What it says goes where the test's own output goes, or is piped to the test.
    """
    return start_in(portal_environment() | more, module, *arguments, piped=piped, own_session=own_session)


def start_in(
    environment: dict[str, str], module: str, *arguments: str, piped: bool = False, own_session: bool = False
) -> AnyProcess:
    """Start `python -m module` in an environment."""
    argv = [module, *arguments]
    if sys.platform == "darwin":  # whose system libraries do not survive a fork reliably
        return start_anew(environment, argv, piped=piped, own_session=own_session)
    order = {"argv": argv, "environment": environment, "place": str(BASE_DIR), "own_session": own_session}
    told, telling = socket.socketpair()
    reading, writing = os.pipe() if piped else (None, os.dup(1))
    socket.send_fds(fork_server(), [json.dumps(order).encode() + b"\n"], [telling.fileno(), writing, 2])
    telling.close()
    os.close(writing)
    return PortalProcess(told, os.fdopen(reading) if reading is not None else None)


def start_anew(
    environment: dict[str, str], argv: list[str], *, piped: bool, own_session: bool
) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", *argv],
        cwd=BASE_DIR,
        env=environment,
        stdout=subprocess.PIPE if piped else None,
        text=True,
        start_new_session=own_session,
    )


@cache
def fork_server() -> socket.socket:
    """The socket that takes orders. Its process ends when nobody holds the other end."""
    ours, theirs = socket.socketpair()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.fork_server", str(theirs.fileno())],
        cwd=BASE_DIR,
        env=portal_environment(),
        pass_fds=[theirs.fileno()],
        stdin=subprocess.DEVNULL,
    )
    theirs.close()
    atexit.register(process.wait, 10)
    atexit.register(ours.close)
    return ours
