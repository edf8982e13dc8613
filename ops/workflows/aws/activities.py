"""The worker of Step Functions' activities: polls each, calls the effects, goes on with what was left.

A poller takes one task at a time and does it itself, so that nothing is taken from AWS that there is no hand for.
"""

import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import boto3
import structlog
from botocore.config import Config
from botocore.exceptions import ClientError
from django.db import DatabaseError, close_old_connections, connections

from ops.effects import aws
from ops.workflows.aws import tasks
from ops.workflows.aws.models import ActivityTask, TaskState
from ops.workflows.aws.places import Place
from ops.workflows.aws.there import GONE, code_of
from ops.workflows.resources import make

log = structlog.get_logger(__name__)

# A poll takes up to a minute, and whoever hangs up earlier may lose the task that was just handed out (Step Functions
# API reference, "GetActivityTask").
POLL_SECONDS = 70
CONFIG = Config(connect_timeout=5, read_timeout=POLL_SECONDS, retries={"total_max_attempts": 1})
FIRST_PATIENCE_SECONDS, LONGEST_PATIENCE_SECONDS = 2.0, 60.0  # after trouble with AWS or the database
SWEEP_SECONDS = 1.0
HEARTBEAT_SECONDS = 5.0
SWEEPS_AT_ONCE = 8


def patience(troubles: int) -> float:
    """Seconds to wait after so many troubles in a row: about twice as long each time, never all pollers at once."""
    longest = min(FIRST_PATIENCE_SECONDS * 2 ** min(troubles - 1, 10), LONGEST_PATIENCE_SECONDS)
    return random.uniform(longest / 2, longest)  # noqa: S311 - not a secret


@dataclass
class Tally:
    """What a worker has done."""

    tasks: int = 0
    resumed: int = 0  # calls and answers that were left
    trouble: int = 0


@dataclass
class Worker:
    """Serves the activities of these effects at one place until `stop` is set."""

    place: Place
    effects: Sequence[str]
    clock: tasks.Clock
    stop: threading.Event = field(default_factory=threading.Event)
    pollers: int = 1  # for each activity
    name: str = "kessai"
    make: tasks.Make = make
    tally: Tally = field(default_factory=Tally)
    missing: set[str] = field(default_factory=set)  # activities that are not there
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _in_hand: set[int] = field(default_factory=set)

    def start(self) -> list[threading.Thread]:
        """Begin, in threads. Each ends by itself once `stop` is set and what it has in hand is done."""
        states = boto3.client(
            "stepfunctions",
            region_name=self.place.region,
            config=CONFIG.merge(Config(max_pool_connections=len(self.effects) * self.pollers + 1)),
        )
        threads = [
            threading.Thread(target=self.poll_on, args=(states, effect), name=f"poll-{effect}", daemon=True)
            for effect in self.effects
            for _ in range(self.pollers)
        ]
        threads.append(threading.Thread(target=self.sweep_on, name="sweep", daemon=True))
        threads.append(threading.Thread(target=self.beat_on, name="heartbeats", daemon=True))
        for thread in threads:
            thread.start()
        return threads

    def poll_on(self, states: Any, effect: str) -> None:
        self.until_stopped(lambda: self.poll(states, effect), pause=0.0)

    def until_stopped(self, act: Callable[[], object], *, pause: float) -> None:
        """Do it again and again; trouble with AWS or the database is waited out, longer each time."""
        troubles = 0
        while not self.stop.is_set():
            wait = pause
            try:
                act()
                troubles = 0
            except (*aws.AwsTrouble, DatabaseError) as error:
                log.warning("step_functions:trouble", error=f"{type(error).__name__}: {error}"[:500])
                self.count("trouble")
                troubles += 1
                wait = patience(troubles)
            finally:
                close_old_connections()
            if wait:
                self.stop.wait(wait)
        connections.close_all()

    def poll(self, states: Any, effect: str) -> None:
        """Wait for one task, up to a minute, and do it."""
        arn = self.place.activity(effect)
        try:
            given = states.get_activity_task(activityArn=arn, workerName=self.name)
        except ClientError as error:
            if code_of(error) not in GONE:
                raise
            self.missing.add(effect)  # it may be deployed any time
            self.stop.wait(60)
            return
        self.missing.discard(effect)
        if given.get("taskToken"):
            self.do(tasks.receive(arn, given["taskToken"], given["input"], now=self.clock()))
            self.count("tasks")

    def do(self, task: ActivityTask) -> None:
        with self._lock:
            self._in_hand.add(task.pk)
        try:
            tasks.perform(task, self.clock, make=self.make)
        finally:
            with self._lock:
                self._in_hand.discard(task.pk)

    def sweep_on(self) -> None:
        with ThreadPoolExecutor(SWEEPS_AT_ONCE, thread_name_prefix="resume") as threads:
            self.until_stopped(lambda: list(threads.map(self.resume, tasks.sweep(self.clock))), pause=SWEEP_SECONDS)

    def resume(self, task: ActivityTask) -> None:
        try:
            self.do(task)
            self.count("resumed")
        finally:
            connections.close_all()

    def beat_on(self) -> None:
        self.until_stopped(self.beat, pause=HEARTBEAT_SECONDS)

    def beat(self) -> None:
        """Say that we are at what we have in hand, and at what waits to be called again."""
        since = self.clock() - timedelta(seconds=HEARTBEAT_SECONDS)
        for task in ActivityTask.objects.filter(state=TaskState.DUE, received_at__lt=since).order_by("id")[:500]:
            if not tasks.heartbeat(task):
                return  # the next beat is soon

    def count(self, what: str) -> None:
        with self._lock:
            setattr(self.tally, what, getattr(self.tally, what) + 1)

    def finish(self, threads: Sequence[threading.Thread], *, seconds: float) -> bool:
        """Stop, and wait for polls and for what is in hand; whether all came to an end."""
        self.stop.set()
        deadline = time.monotonic() + seconds
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)
