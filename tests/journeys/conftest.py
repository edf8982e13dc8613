"""The whole portal, started as a person starts it: `python -m config.demo` in a directory of its own."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from config.env import BASE_DIR
from config.local import free_port

START_SECONDS = 180


@dataclass(frozen=True)
class Portal:
    """A running demo and where it answers."""

    url: str
    sandbox: str
    stripe_key: str
    customer: str = "demo@kessai.example"
    operator: str = "operator@kessai.example"
    password: str = "kessai-demo-2026"


@pytest.fixture(scope="session")
def portal() -> Iterator[Portal]:
    with tempfile.TemporaryDirectory(prefix="kessai-journey-") as name:
        place, web, sandbox = Path(name), free_port(), free_port()
        process = start_demo(place, web=web, sandbox=sandbox)
        try:
            wait_until_ready(place, process)
            keys = json.loads((place / "keys.json").read_text())
            yield Portal(f"http://localhost:{web}", f"http://127.0.0.1:{sandbox}", keys["STRIPE_SECRET_KEY"])
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def start_demo(place: Path, *, web: int, sandbox: int) -> subprocess.Popen[bytes]:
    given = ("DATABASE_URL", "REDIS_URL", "STRIPE_", "SECRET_KEY", "EMAIL_URL", "STATICFILES_", "DJANGO_", "LOG_")
    env = {name: value for name, value in os.environ.items() if not name.startswith(given)}
    env |= {
        "KESSAI_LOCAL_DIR": str(place),
        "KESSAI_PORT": str(web),
        "KESSAI_SANDBOX_PORT": str(sandbox),
        "KESSAI_AWS_PORT": str(free_port()),
    }
    with (place / "demo.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "config.demo"], cwd=BASE_DIR, env=env, stdout=log, stderr=log, start_new_session=True
        )


def wait_until_ready(place: Path, process: subprocess.Popen[bytes]) -> None:
    """The demo ends its start with how to stop it."""
    deadline = time.monotonic() + START_SECONDS
    log = place / "demo.log"
    while time.monotonic() < deadline and process.poll() is None:
        if "Ctrl-C stops" in log.read_text():
            return
        time.sleep(0.1)
    pytest.fail(f"The demo did not start:\n{log.read_text()[-2000:]}")
