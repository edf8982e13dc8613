"""The demo's processes: started, written down, stopped; those of a run that was killed are found and stopped too.

No foreign process is ever signalled: one is ours when it was written down with the second it started, or when it
carries our mark in its environment.
"""

import contextlib
import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from config.demo.places import read_json, write_private
from config.local import Command

MARK = "KESSAI_DEMO_OF"  # in every child's environment: which directory's demo it belongs to
SAME_SECOND = 1.5  # the kernel's and psutil's idea of when a process started differ by less
PATIENCE = 12.0  # seconds for an orderly end; Celery finishes the task in hand


@dataclass
class Child:
    """One process of the demo, with what starts it again."""

    name: str
    command: Command
    process: "subprocess.Popen[bytes]"
    started: float
    restarts: int = 0


class Children:
    """Every process that this demo started, in order; safe to use from several threads."""

    def __init__(self, record: Path, mark: str) -> None:
        self._record, self._mark = record, mark
        self._lock = threading.Lock()
        self._facts: dict[str, Any] = {}
        self.running: dict[str, Child] = {}

    def note(self, **facts: Any) -> None:
        """Write down something about the run as a whole, such as its address."""
        with self._lock:
            self._facts |= facts
            self._write()

    def start(self, name: str, command: Command) -> "subprocess.Popen[bytes]":
        """Start a process and write it down."""
        env = (command.env if command.env is not None else dict(os.environ)) | {MARK: self._mark}
        with self._lock:
            process = Command(**{**vars(command), "env": env}).start()
            known = self.running.get(name)
            child = Child(name, command, process, started_at(process.pid), known.restarts + 1 if known else 0)
            self.running[name] = child
            self._write()
        return process

    def run(self, name: str, command: Command, *, go_on: Callable[[], None]) -> int:
        """Run a process to its end and return its exit status; `go_on` is asked meanwhile and may raise."""
        process = self.start(name, command)
        while True:
            try:
                status = process.wait(0.05)
                break
            except subprocess.TimeoutExpired:
                go_on()
        with self._lock:
            del self.running[name]
            self._write()
        return status

    def dead(self) -> list[Child]:
        """Return the children that ended although nobody stopped them."""
        with self._lock:
            return [child for child in self.running.values() if child.process.poll() is not None]

    def stop(self, groups: Iterable[Iterable[str]], *, hurry: threading.Event) -> list[str]:
        """Stop group after group in order; return what had to be killed. `hurry` cuts the patience short."""
        killed: list[str] = []
        listed = {name for group in groups for name in group}
        first = [name for name in self.running if name not in listed]
        for group in [first, *[list(group) for group in groups]]:
            killed += stop_together([self.running[name] for name in group if name in self.running], hurry=hurry)
        for process in marked(self._mark):
            with contextlib.suppress(psutil.Error):
                process.kill()
        self._record.unlink(missing_ok=True)
        return killed

    def _write(self) -> None:
        processes = [
            {"name": child.name, "pid": child.process.pid, "started": child.started} for child in self.running.values()
        ]
        write_private(self._record, json.dumps(self._facts | {"processes": processes}, indent=1))


def started_at(pid: int) -> float:
    """Return when a process started, in seconds since 1970; 0 when it is gone already."""
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return 0.0


def stop_together(children: list[Child], *, hurry: threading.Event) -> list[str]:
    """Ask all of them to end, then end what does not; return the names of those that were killed."""
    families = {child.name: family(child.process.pid) for child in children}
    for child in children:
        send(child.process, child.command.stop_signal)
    waited = 0.0
    while any(child.process.poll() is None for child in children) and waited < PATIENCE and not hurry.wait(0.05):
        waited += 0.05
    killed = [child.name for child in children if child.process.poll() is None]
    for child in children:
        send(child.process, child.command.hurry_signal)
    with contextlib.suppress(subprocess.TimeoutExpired):
        for child in children:
            child.process.wait(3)
    for relatives in families.values():
        kill_all(relatives)
    return killed


def family(pid: int) -> list[psutil.Process]:
    """Return a process and those it started, as they are now."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return []


def send(process: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)


def kill_all(processes: list[psutil.Process]) -> None:
    """Kill those that still run; psutil refuses a pid that became another process."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(processes, timeout=3)


def stop_left_over(record: Path, mark: str) -> list[str]:
    """Stop what a killed run left; return the names. Call it only while holding the demo's lock."""
    known = {int(row["pid"]): row for row in read_json(record).get("processes", [])}
    names: list[str] = []
    leftover: list[psutil.Process] = []
    for pid, row in known.items():
        if same_process(pid, float(row["started"])):
            names.append(row["name"])
            leftover += family(pid)
    leftover += [process for process in marked(mark) if process not in leftover]
    for process in leftover:
        with contextlib.suppress(psutil.Error):
            # SIGINT ends PostgreSQL's sessions; SIGTERM would wait for their clients.
            process.send_signal(signal.SIGINT if process.name() == "postgres" else signal.SIGTERM)
    _, alive = psutil.wait_procs(leftover, timeout=PATIENCE)
    kill_all(alive)
    record.unlink(missing_ok=True)
    return names


def same_process(pid: int, started: float) -> bool:
    """Say whether the process `pid` is the one that started then, not another that got its number since."""
    return started > 0 and abs(started_at(pid) - started) < SAME_SECOND


def marked(mark: str) -> list[psutil.Process]:
    """Return the processes, other than this one, that carry our mark."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get(MARK) == mark:
                found.append(process)
    return found
