"""Durable workflows: transitions and effects a second with two workers, beside DBOS on the same PostgreSQL; and waits.

python -m tests.bench.workflows [--executions 1000] [--asleep 100000] [--quick] [--without-peer]

DBOS is installed into an environment of its own (.venv-dbos) the first time. Its steps are what it keeps for each call;
ours are states entered, of which a Task is an effect with its intent committed before it and its outcome after.
"""

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from config.env import BASE_DIR
from tests.bench.ground import Row, ground, median_of, print_table

DBOS = "dbos==3.4.0"
STEP_FUNCTIONS = 5_000.0  # state transitions a second of an account (Step Functions docs: "Quotas", state throttling)
WORKERS = 2
MIX = {
    "StartAt": "Begin",
    "States": {
        "Begin": {"Type": "Pass", "Parameters": {"n.$": "$.n", "large.$": "$.large"}, "Next": "Large"},
        "Large": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.large", "BooleanEquals": True, "Next": "Note"}],
            "Default": "Act",
        },
        "Note": {"Type": "Pass", "Result": "large", "ResultPath": "$.note", "Next": "Act"},
        "Act": {
            "Type": "Task",
            "Resource": "arn:aws:states:local:000000000000:activity:bench-nothing",
            "Parameters": {"n.$": "$.n"},
            "ResultPath": "$.done",
            "Next": "End",
        },
        "End": {"Type": "Succeed"},
    },
}
EFFECTS = {
    "StartAt": "A",
    "States": {
        name: {
            "Type": "Task",
            "Resource": "arn:aws:states:local:000000000000:activity:bench-nothing",
            "Parameters": {"n.$": "$.n"},
            "ResultPath": None,
            **({"Next": following} if following else {"End": True}),
        }
        for name, following in (("A", "B"), ("B", "C"), ("C", "D"), ("D", ""))
    },
}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--executions", type=int, default=1_000)
    parser.add_argument("--asleep", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a look in a minute: 200 executions, 2,000 asleep, once")
    parser.add_argument("--without-peer", action="store_true", help="do not measure DBOS")
    options = parser.parse_args(argv)
    if options.quick:
        options.executions, options.asleep, options.runs = 200, 2_000, 1
    with ground():
        peer = float("nan")
        theirs = peer if options.without_peer else median_of(lambda: dbos_steps(options.executions), runs=options.runs)
        mix = median_of(lambda: per_second(MIX, "mix", options.executions, "StateEntered"), runs=options.runs)
        effects = median_of(
            lambda: per_second(EFFECTS, "effects", options.executions, "ActivitySucceeded"), runs=options.runs
        )
        first = latencies(10 if options.quick else 40)
        fall_asleep(options.asleep)
        beside = median_of(lambda: per_second(MIX, "mix", options.executions, "StateEntered"), runs=options.runs)
        woken = wake(min(10_000, options.asleep))
    print_table(
        f"Durable workflows, {WORKERS} workers, {options.executions:,} executions at once, median of {options.runs}",
        [
            Row("transitions per second (Pass, Choice, Task)", mix, theirs, "DBOS steps", "10 ×"),
            Row("the same", mix, STEP_FUNCTIONS, "the quota of Step Functions' largest regions"),
            Row("effects per second", effects, theirs, "DBOS steps", "3 ×"),
            Row(f"transitions per second beside {options.asleep:,} asleep", beside, mix, "none asleep", "1 ×"),
            Row(
                f"{min(10_000, options.asleep):,} due in one second: seconds until all have gone on",
                woken,
                reach="seconds",
            ),
            Row("start to first effect, p95, milliseconds, idle", first, reach="under 100"),
        ],
    )
    return 0


def register_nothing() -> None:
    import msgspec

    from ops.effects import local
    from ops.effects.outcome import Done
    from ops.effects.registry import EFFECTS as KNOWN
    from ops.effects.registry import effect

    class Given(msgspec.Struct):
        n: int

    def nothing(given: Any, call: Any) -> Done:
        """Do nothing."""
        return Done(given.n)

    nothing.__module__ = local.__name__  # made at once, as effects inside the portal are
    if "bench-nothing" not in KNOWN:
        effect("bench-nothing", takes=Given)(nothing)


def worker(ready: Any, go: Any, stop: Any) -> None:
    import django

    django.setup()
    from django.utils import timezone

    from ops.workflows import engine

    register_nothing()
    engine.waiting(timezone.now())  # connected
    ready.release()
    go.wait()
    while not stop.is_set():
        if not engine.advance_due(timezone.now, budget_seconds=2):
            time.sleep(0.005)


def per_second(definition: dict[str, Any], name: str, executions: int, event: str) -> float:
    """Start so many executions, let the workers run them to their ends; return events of a type a second."""
    from django.db import connection

    from ops.workflows.models import Execution, HistoryEvent, Status

    Execution.objects.filter(machine__name=name).delete()
    started(definition, name, executions)
    connection.close()
    with workers() as go:
        go.set()
        begun = time.perf_counter()
        while Execution.objects.filter(machine__name=name, status=Status.RUNNING).exists():
            time.sleep(0.02)
        seconds = time.perf_counter() - begun
    told = HistoryEvent.objects.filter(execution__machine__name=name, type__endswith=event)
    return told.count() / seconds


@contextmanager
def workers() -> Iterator[Any]:
    """Workers that are ready, and begin when what this gives is set; stopped at the end."""
    context = multiprocessing.get_context("spawn")
    ready, go, stop = context.Semaphore(0), context.Event(), context.Event()
    processes = [context.Process(target=worker, args=(ready, go, stop), daemon=True) for _ in range(WORKERS)]
    for process in processes:
        process.start()
    for _ in processes:
        ready.acquire()
    try:
        yield go
    finally:
        stop.set()
        for process in processes:
            process.join(20)


def started(definition: dict[str, Any], name: str, executions: int) -> None:
    """Start executions in one transaction: they are due together."""
    from django.db import transaction

    from ops.workflows.machines import save_version
    from ops.workflows.start import start

    now = datetime.now(UTC)
    machine = save_version(name, json.dumps(definition), reason="bench", now=now).machine
    with transaction.atomic():
        for number in range(executions):
            start(machine, f"{name}-{now.timestamp()}-{number}", {"n": number, "large": number % 2 == 0}, now=now)


def latencies(times: int) -> float:
    """Milliseconds from starting an execution to the start of its effect, 95th of a hundred, with idle workers."""
    from ops.workflows.models import HistoryEvent

    waits = []
    with workers() as go:
        go.set()
        for number in range(times):
            begun = datetime.now(UTC)
            started(EFFECTS, f"first-{number % 2}", 1)
            done = HistoryEvent.objects.filter(execution__started_at__gte=begun, type="ActivitySucceeded")
            first = None
            while first is None and (datetime.now(UTC) - begun).total_seconds() < 5:
                time.sleep(0.05)
                first = done.order_by("at").first()
            waits.append((first.at - begun).total_seconds() * 1000 if first else 5_000.0)
    return sorted(waits)[int(len(waits) * 0.95) - 1]


SLEEP = {
    "StartAt": "Wait",
    "States": {"Wait": {"Type": "Wait", "TimestampPath": "$.until", "Next": "End"}, "End": {"Type": "Succeed"}},
}
ASLEEP = """
    INSERT INTO ops_execution (version_id, machine_id, name, status, input, walkers, next_walker, calls, events, due_at,
        redrives, event_id, customer_id, depth, error, cause, started_at, standing, arn)
    SELECT version_id, machine_id, 'asleep-' || number, status, input, walkers, next_walker, calls, events, due_at,
        redrives, event_id, customer_id, depth, error, cause, started_at, standing, arn
    FROM ops_execution, generate_series(1, %s) AS number WHERE id = %s
"""


def fall_asleep(amount: int) -> None:
    """Lay so many sleeping executions beside, as one that fell asleep by itself is laid down."""
    from django.db import connection
    from django.utils import timezone

    from ops.workflows import engine
    from ops.workflows.machines import save_version
    from ops.workflows.start import start

    now = timezone.now()
    machine = save_version("asleep", json.dumps(SLEEP), reason="bench", now=now).machine
    execution = start(machine, "asleep", {"until": "2099-01-01T00:00:00Z"}, now=now)
    engine.advance_due(timezone.now, budget_seconds=2)
    with connection.cursor() as cursor:
        cursor.execute(ASLEEP, [amount, execution.pk])
        cursor.execute("ANALYZE ops_execution")


def wake(amount: int) -> float:
    """Let so many sleepers be due at once; return the seconds until the last has ended."""
    from django.db import connection

    from ops.workflows.models import Execution, Status

    with workers() as go, connection.cursor() as cursor:
        cursor.execute(DUE, [amount])
        go.set()
        begun = time.perf_counter()
        ended = Execution.objects.filter(machine__name="asleep", status=Status.SUCCEEDED)
        while ended.count() < amount and time.perf_counter() - begun < 120:
            time.sleep(0.05)
        return time.perf_counter() - begun


DUE = """
    UPDATE ops_execution SET due_at = now(), walkers = jsonb_set(walkers, '{0,due}', to_jsonb(now()))
    WHERE id IN (SELECT id FROM ops_execution WHERE name LIKE 'asleep-%%' AND status = 'RUNNING' LIMIT %s)
"""


PEER = """
import os, sys, time
from dbos import DBOS

DBOS(config={"name": "bench", "system_database_url": os.environ["PEER_URL"], "log_level": "ERROR"})

@DBOS.step()
def nothing(n: int) -> int:
    return n

@DBOS.workflow()
def flow(n: int) -> int:
    for _ in range(4):
        nothing(n)
    return n

DBOS.launch()
amount = int(sys.argv[1])
begun = time.perf_counter()
for handle in [DBOS.start_workflow(flow, n) for n in range(amount)]:
    handle.get_result()
print(4 * amount / (time.perf_counter() - begun))
DBOS.destroy()
"""


def dbos_steps(workflows: int) -> float:
    """DBOS's durable steps a second: as many workflows of four steps that do nothing, in its own threads."""
    python = peer_environment()
    from django.db import connection

    place = connection.settings_dict
    url = f"postgresql+psycopg://{place['USER']}@/dbos_bench?host={place['HOST']}&port={place['PORT']}"
    environment = os.environ | {"PEER_URL": url}
    told = subprocess.run(
        [str(python), "-c", PEER, str(workflows)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    if told.returncode:
        sys.stderr.write(told.stderr[-2000:])
        return float("nan")
    return float(told.stdout.strip().splitlines()[-1])


def peer_environment() -> Path:
    directory = BASE_DIR / ".venv-dbos"
    python = directory / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(directory)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", DBOS], check=True)
    return python


if __name__ == "__main__":
    sys.exit(main())
