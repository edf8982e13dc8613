"""The whole portal, started as a person starts it: `python -m config.demo` in a directory of its own.

Its first start takes half a minute: the tests that need it share one, whether they look at it or kill it.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.demo.children import marked
from config.env import BASE_DIR
from tests.ports import next_port

START_SECONDS = 180
# What would give it services, keys or ways of this test run.
NOT_ITS = ("DATABASE", "REDIS", "STRIPE_", "AWS_", "EMAIL", "SECRET_KEY", "STATICFILES_", "DJANGO_", "LOG_")


class WholeDemo:
    """A demo that may be started, killed and started again: on the same ports, with the same data."""

    def __init__(self, place: Path) -> None:
        self.place, self.port, self.sandbox_port = place, next_port(), next_port()
        self.url, self.sandbox = f"http://localhost:{self.port}", f"http://127.0.0.1:{self.sandbox_port}"
        self.env = {name: value for name, value in os.environ.items() if not name.startswith(NOT_ITS)} | {
            "KESSAI_LOCAL_DIR": str(place),
            "KESSAI_PORT": str(self.port),
            "KESSAI_SANDBOX_PORT": str(self.sandbox_port),
            "KESSAI_AWS_PORT": str(next_port()),
        }
        self.log = place.with_name(f"{place.name}.log")
        self.process: subprocess.Popen[bytes] | None = None

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        self.begin()
        self.wait_until_ready()

    def begin(self) -> None:
        command = [sys.executable, "-m", "config.demo"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=BASE_DIR, env=self.env, stdout=log, stderr=log, start_new_session=True
            )

    def wait_until_ready(self) -> None:
        """The demo ends its start with how to stop it."""
        deadline = time.monotonic() + START_SECONDS
        while "Ctrl-C stops" not in self.said():
            assert self.is_running() and time.monotonic() < deadline, f"The demo did not start:\n{self.said()[-2000:]}"
            time.sleep(0.1)

    def said(self) -> str:
        """What it has said since it was last started."""
        return self.log.read_text()

    def once(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "config.demo", *arguments],
            env=self.env, cwd=BASE_DIR, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def end(self, number: signal.Signals) -> int:
        assert self.process
        self.process.send_signal(number)
        return self.process.wait(60)

    def pid_of(self, name: str) -> int:
        rows = json.loads((self.place / "run.json").read_text())["processes"]
        return int(next(row["pid"] for row in rows if row["name"] == name))

    def left(self) -> list[str]:
        return [" ".join(process.cmdline()) for process in marked(str(self.place))]


@pytest.fixture(scope="session")
def one_demo() -> Iterator[WholeDemo]:
    place = Path(tempfile.mkdtemp(prefix="kessai-test-"))
    place.chmod(0o711)  # root's PostgreSQL must get through
    demo = WholeDemo(place / "local")
    yield demo
    if demo.is_running():
        demo.end(signal.SIGINT)
    for process in marked(str(demo.place)):
        process.kill()
    shutil.rmtree(place, ignore_errors=True)


@pytest.fixture
def whole_demo(one_demo: WholeDemo) -> WholeDemo:
    """The demo, running: whoever ends it leaves it to the next to start it again."""
    if not one_demo.is_running():
        one_demo.start()
    return one_demo
