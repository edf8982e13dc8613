"""The demo's processes, with real ones."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from config.demo import children as room
from config.demo.children import Children, marked, same_process, started_at, stop_left_over
from config.local import Command

SLEEP = "import time; time.sleep(600)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
)
OBEDIENT = (
    "import signal, sys, time; "
    "signal.signal(signal.SIGTERM, lambda *_: (print({name!r}, flush=True), sys.exit())); "
    "print('up', flush=True); time.sleep(600)"
)
PARENT = (
    "import subprocess, sys, time; "
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); "
    "print(child.pid, flush=True); time.sleep(600)"
)


@pytest.fixture
def mark(tmp_path: Path) -> Iterator[str]:
    """A mark of this test's own; whatever carries it is gone afterwards."""
    yield str(tmp_path)
    for process in marked(str(tmp_path)):
        process.kill()


@pytest.fixture
def children(tmp_path: Path, mark: str) -> Children:
    return Children(tmp_path / "run.json", mark)


def python(tmp_path: Path, code: str) -> Command:
    return Command(argv=[sys.executable, "-c", code], log=tmp_path / "log")


def eventually(holds: Callable[[], bool], seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_it_writes_down_each_process_with_the_moment_it_started(tmp_path: Path, children: Children) -> None:
    children.note(url="http://localhost:1")
    process = children.start("one", python(tmp_path, SLEEP))
    written = json.loads((tmp_path / "run.json").read_text())
    assert written["url"] == "http://localhost:1"
    assert [(row["name"], row["pid"]) for row in written["processes"]] == [("one", process.pid)]
    assert same_process(process.pid, written["processes"][0]["started"])
    assert (tmp_path / "run.json").stat().st_mode & 0o077 == 0


def test_it_stops_what_it_started_in_the_order_given(tmp_path: Path, children: Children) -> None:
    for name in ("first", "second"):
        children.start(name, python(tmp_path, OBEDIENT.format(name=name)))
    assert eventually(lambda: (tmp_path / "log").read_text().count("up") == 2)
    killed = children.stop([["second"], ["first"]], hurry=threading.Event())
    assert killed == []
    assert (tmp_path / "log").read_text().split() == ["up", "up", "second", "first"]
    assert not (tmp_path / "run.json").exists()


def test_it_kills_what_does_not_stop(tmp_path: Path, children: Children, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "PATIENCE", 0.3)
    process = children.start("stubborn", python(tmp_path, STUBBORN))
    assert eventually(lambda: "up" in (tmp_path / "log").read_text())
    assert children.stop([], hurry=threading.Event()) == ["stubborn"]
    assert process.poll() == -signal.SIGKILL


def test_a_second_ctrl_c_cuts_the_patience_short(
    tmp_path: Path, children: Children, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "PATIENCE", 600.0)
    children.start("stubborn", python(tmp_path, STUBBORN))
    assert eventually(lambda: "up" in (tmp_path / "log").read_text())
    hurry = threading.Event()
    hurry.set()
    begun = time.monotonic()
    assert children.stop([], hurry=hurry) == ["stubborn"]
    assert time.monotonic() - begun < 120


def test_the_children_of_a_child_go_too(tmp_path: Path, children: Children) -> None:
    children.start("parent", python(tmp_path, PARENT))
    assert eventually(lambda: (tmp_path / "log").read_text().strip() != "")
    grandchild = int((tmp_path / "log").read_text())
    children.stop([], hurry=threading.Event())
    assert eventually(lambda: not psutil.pid_exists(grandchild))


def test_it_sees_a_child_that_died(tmp_path: Path, children: Children) -> None:
    process = children.start("brief", python(tmp_path, "raise SystemExit(3)"))
    process.wait()
    assert [(child.name, child.process.returncode) for child in children.dead()] == [("brief", 3)]


def test_the_next_start_stops_what_a_killed_run_left(tmp_path: Path, mark: str) -> None:
    """The run is a process of its own here, killed as `kill -9` does: it cannot clean up."""
    code = (
        "from pathlib import Path; from config.demo.children import Children; from config.local import Command; "
        f"place = Path({str(tmp_path)!r}); children = Children(place / 'run.json', {mark!r}); "
        f"children.start('orphan', Command(argv=[{sys.executable!r}, '-c', {PARENT!r}], log=place / 'log')); "
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    assert eventually(lambda: (tmp_path / "log").read_text().strip() != "")
    orphan = json.loads((tmp_path / "run.json").read_text())["processes"][0]["pid"]
    grandchild = int((tmp_path / "log").read_text())
    assert stop_left_over(tmp_path / "run.json", mark) == ["orphan"]
    assert eventually(lambda: not runs(orphan) and not runs(grandchild))
    assert not (tmp_path / "run.json").exists()


def runs(pid: int) -> bool:
    """A zombie that nobody has reaped yet does not run."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_foreign_process_that_got_a_recorded_number_is_left_alone(tmp_path: Path, mark: str) -> None:
    foreign = subprocess.Popen([sys.executable, "-c", SLEEP])
    try:
        row = {"name": "web", "pid": foreign.pid, "started": started_at(foreign.pid) - 60}
        (tmp_path / "run.json").write_text(json.dumps({"processes": [row]}))
        assert stop_left_over(tmp_path / "run.json", mark) == []
        assert foreign.poll() is None
    finally:
        foreign.kill()
        foreign.wait()


def test_another_demo_of_this_machine_is_left_alone(tmp_path: Path, children: Children) -> None:
    process = children.start("web", python(tmp_path, SLEEP))
    assert stop_left_over(tmp_path / "none.json", f"{tmp_path}-other") == []
    assert process.poll() is None
    children.stop([], hurry=threading.Event())


def test_no_record_or_a_torn_one_means_nothing_to_stop(tmp_path: Path, mark: str) -> None:
    assert stop_left_over(tmp_path / "run.json", mark) == []
    (tmp_path / "run.json").write_text('{"processes": [{"na')
    assert stop_left_over(tmp_path / "run.json", mark) == []


def test_a_step_that_is_interrupted_leaves_its_process_to_be_stopped(tmp_path: Path, children: Children) -> None:
    class Asked(Exception):
        pass

    def stop_asked() -> None:
        raise Asked

    with pytest.raises(Asked):
        children.run("long", python(tmp_path, SLEEP), go_on=stop_asked)
    process = children.running["long"].process
    assert process.poll() is None
    children.stop([], hurry=threading.Event())
    assert process.poll() is not None


def test_children_do_not_get_the_terminals_ctrl_c(tmp_path: Path, children: Children) -> None:
    process = children.start("web", python(tmp_path, SLEEP))
    assert os.getpgid(process.pid) == process.pid != os.getpgrp()
    children.stop([], hurry=threading.Event())
