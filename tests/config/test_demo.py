"""The demo's ground: ports, places, keys, steps, and one whole run."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from config.demo import ports
from config.demo.environment import Given, first_environment, keep_keys, refuse_live, share, unshare
from config.demo.places import NEEDED_MB, Places, lock
from config.demo.plan import Plan
from config.demo.screen import Screen
from config.demo.trouble import Interrupted, Trouble
from config.env import BASE_DIR
from tests.ports import next_port
from tests.whole_demo import WholeDemo

NOTHING_GIVEN = Given(postgres=False, redis=False, stripe=False, aws=False)


@contextmanager
def somebody_listens(host: str = "127.0.0.1") -> Iterator[int]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as server:
        yield int(server.getsockname()[1])


def test_a_taken_port_is_named_with_the_variable_that_chooses_another(monkeypatch: pytest.MonkeyPatch) -> None:
    with somebody_listens() as port:
        monkeypatch.setenv("KESSAI_PORT", str(port))
        with pytest.raises(Trouble, match=rf"cannot use port {port}: .* `KESSAI_PORT=\d+ make demo`"):
            ports.choose(ports.WEB)


def test_a_port_taken_on_the_other_localhost_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A browser asks ::1 first when it is told `localhost`."""
    try:
        with somebody_listens("::1") as port:
            assert ports.is_taken(port)
    except OSError:
        pytest.skip("This machine has no IPv6 loopback.")


def test_a_free_port_is_used_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    port = next_port()
    monkeypatch.setenv("KESSAI_PORT", str(port))
    assert ports.choose(ports.WEB) == port


@pytest.mark.parametrize("text", ["eighty", "0", "70000", "-1", "80 80"])
def test_what_is_no_port_is_said(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("KESSAI_PORT", text)
    with pytest.raises(Trouble, match="is not a port"):
        ports.choose(ports.WEB)


def test_the_local_aws_moves_aside_when_its_usual_port_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    with somebody_listens() as port:
        monkeypatch.delenv("KESSAI_AWS_PORT", raising=False)
        assert ports.choose(ports.Port("The local AWS", "KESSAI_AWS_PORT", port, must=False)) != port


def test_a_second_demo_is_told_where_the_first_one_is(tmp_path: Path) -> None:
    places = Places(tmp_path)
    places.run_file.write_text(json.dumps({"url": "http://localhost:8000"}))
    with lock(places), pytest.raises(Trouble, match="runs already at http://localhost:8000"):
        lock(places)
    lock(places).close()  # the lock goes with the one that held it


def test_a_full_disk_is_said_before_anything_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nearly_full = shutil._ntuple_diskusage(10**12, 10**12 - 10**6, 10**6)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: nearly_full)
    with pytest.raises(Trouble, match=f"disk is full: the demo needs about {NEEDED_MB} MB"):
        Places(tmp_path).make()


def test_keys_are_made_once_and_closed_to_others(tmp_path: Path) -> None:
    places = Places(tmp_path)
    first = keep_keys(places)
    assert keep_keys(places) == first
    assert places.keys_file.stat().st_mode & 0o077 == 0
    assert first["STRIPE_SECRET_KEY"].startswith("sk_test_51")
    assert first["STRIPE_SECRET_KEY"][8:25] == first["STRIPE_PUBLISHABLE_KEY"][8:25]  # of one account


@pytest.mark.parametrize(
    ("environ", "given"),
    [
        ({}, NOTHING_GIVEN),
        ({"DATABASE_URL": ""}, NOTHING_GIVEN),  # set to nothing is not given
        ({"DATABASE_URL": "postgres://db/x"}, Given(postgres=True, redis=False, stripe=False, aws=False)),
        ({"REDIS_URL": "redis://r"}, Given(postgres=False, redis=True, stripe=False, aws=False)),
        ({"STRIPE_SECRET_KEY": "sk_test_1"}, Given(postgres=False, redis=False, stripe=True, aws=False)),
        ({"AWS_PROFILE": "work"}, Given(postgres=False, redis=False, stripe=False, aws=True)),
    ],
)
def test_what_is_given_is_not_started(environ: dict[str, str], given: Given) -> None:
    assert Given.read(environ) == given


def test_a_given_stripe_account_is_left_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIPE_SECRET_KEY", "sk_test_theirs")
    monkeypatch.delenv("STRIPE_API_BASE", raising=False)
    given = Given(postgres=False, redis=False, stripe=True, aws=False)
    env = first_environment(Places(tmp_path), given, url="http://localhost:8000")
    assert env["STRIPE_SECRET_KEY"] == "sk_test_theirs"
    assert "STRIPE_API_BASE" not in env


def test_a_proxy_is_never_asked_for_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "intranet")
    env = first_environment(Places(tmp_path), NOTHING_GIVEN, url="http://localhost:8000")
    assert env["NO_PROXY"] == "intranet,127.0.0.1,localhost"


def test_a_second_terminal_finds_the_running_demo(tmp_path: Path) -> None:
    places = Places(tmp_path)
    env = first_environment(places, NOTHING_GIVEN, url="http://localhost:8000")
    share(places, env | {"DATABASE_URL": "postgres://here/postgres"})
    assert places.env_file.stat().st_mode & 0o077 == 0
    assert settings_seen(tmp_path, {}) == ["here", "True"]
    assert settings_seen(tmp_path, {"DATABASE_URL": "postgres://here/postgres"}) == ["here", "True"]
    other = {"DATABASE_URL": "postgres://there/postgres", "SECRET_KEY": "x"}
    assert settings_seen(tmp_path, other) == ["there", "False"]
    unshare(places)
    assert not places.env_file.exists()


def settings_seen(local_dir: Path, environ: dict[str, str]) -> list[str]:
    """Return database host and DEMO as a command in a second terminal sees them."""
    code = "from config import settings; print(settings.DATABASES['default']['HOST'], settings.DEMO)"
    env = {"PATH": os.environ["PATH"], "KESSAI_LOCAL_DIR": str(local_dir)} | environ
    seen = subprocess.run(
        [sys.executable, "-c", code], env=env, cwd=BASE_DIR, capture_output=True, text=True, check=True
    )
    return seen.stdout.split()


def test_a_step_waits_for_those_it_needs() -> None:
    done: list[str] = []
    release = threading.Event()
    with ThreadPoolExecutor(4) as pool:
        plan = Plan(Screen(), pool, threading.Event())
        first = plan.step("first", lambda: (release.wait(60), done.append("first"))[1])
        plan.step("second", lambda: done.append("second"), after=[first])
        plan.step("not needed", lambda: done.append("never"), unless=True)
        release.set()
        plan.wait()
    assert done == ["first", "second"]


def test_a_step_that_fails_stops_those_that_need_it_and_is_the_one_that_is_told() -> None:
    done: list[str] = []

    def fail() -> None:
        raise Trouble("The disk is full.")

    def be_interrupted() -> None:
        failed.wait(60)
        raise Interrupted

    failed = threading.Event()
    with ThreadPoolExecutor(4) as pool:
        plan = Plan(Screen(), pool, failed)
        plan.step("drawn along", be_interrupted)
        first = plan.step("first", fail)
        plan.step("second", lambda: done.append("second"), after=[first])
        with pytest.raises(Trouble, match="disk is full"):
            plan.wait()
    assert done == []


def eventually(holds: Callable[[], bool], seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def answers_well(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False, timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


@pytest.mark.slow
@pytest.mark.crash
@pytest.mark.xdist_group("journeys")  # whose demo it ends
def test_the_whole_demo_starts_outlives_a_kill_and_leaves_nothing_behind(whole_demo: WholeDemo) -> None:
    url = whole_demo.url
    assert url in whole_demo.said()
    assert "demo@kessai.example" in whole_demo.said()
    assert httpx.get(f"{url}/", trust_env=False, follow_redirects=True).status_code == 200
    assert httpx.get(f"{url}/mail/", trust_env=False).status_code == 200

    second = whole_demo.once()
    assert (second.returncode, second.stdout.strip()) == (
        1, f"The demo runs already at {url}. Stop it with Ctrl-C in its terminal."
    )  # fmt: skip
    refused = whole_demo.once("--reset")
    assert refused.returncode == 1
    assert "runs already" in refused.stdout

    web = whole_demo.pid_of("web")
    os.kill(web, signal.SIGKILL)
    assert eventually(lambda: whole_demo.pid_of("web") != web and answers_well(f"{url}/readyz"))

    whole_demo.end(signal.SIGKILL)
    assert whole_demo.left(), "the kill was to leave processes behind, or this test shows nothing"
    whole_demo.start()
    assert "Stopped what an earlier run left" in whole_demo.said()
    assert whole_demo.end(signal.SIGINT) == 0
    assert whole_demo.left() == []

    assert whole_demo.once("--reset").returncode == 0
    assert not whole_demo.place.exists()


def test_a_live_key_is_refused() -> None:
    refuse_live({"STRIPE_SECRET_KEY": "sk_test_1"})
    with pytest.raises(Trouble, match="live key"):
        refuse_live({"STRIPE_SECRET_KEY": "rk_live_1"})
