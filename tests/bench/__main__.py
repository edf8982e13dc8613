"""`make bench`: every measurement, one after the other, each in a process of its own; ARGS names some of them."""

import argparse
import subprocess
import sys

from config.env import BASE_DIR

MEASUREMENTS = {
    "waits": ("tests.journeys.measure", "how long a person waits"),
    "webhook": ("tests.bench.webhook", "events accepted per second"),
    "mirror": ("tests.bench.mirror", "events mirrored per second, with few rows and with a million"),
    "memory": ("tests.bench.memory", "memory of a worker"),
    "tables": ("tests.bench.tables", "rows written in bulk"),
    "resync": ("tests.bench.resync", "objects resynced per second"),
    "workflows": ("tests.bench.workflows", "durable transitions and effects per second, beside DBOS"),
    "interpreter": ("tests.bench.interpreter", "transitions in memory, beside moto"),
    "backtest": ("tests.bench.backtest", "patterns tried on a million stored events"),
    "readmodel": ("tests.bench.readmodel", "business questions over a million subscriptions"),
    "patterns": ("tests.bench.patterns", "one pattern and a thousand on one event"),
    "rules": ("tests.bench.rules", "events matched with a thousand rules per second"),
}


def main() -> int:
    listed = "\n".join(f"  {name:<12} {what}" for name, (_, what) in MEASUREMENTS.items())
    parser = argparse.ArgumentParser(
        prog="make bench",
        description=f"{__doc__}\n\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="name", help="what to measure; everything when none is named")
    names = parser.parse_args().names or list(MEASUREMENTS)
    unknown = sorted(set(names) - set(MEASUREMENTS))
    if unknown:
        parser.error(f"there is no measurement {', '.join(unknown)}")
    failed = [name for name in names if measure(*MEASUREMENTS[name])]
    if failed:
        sys.stderr.write(f"Not measured: {', '.join(failed)}.\n")
    return bool(failed)


def measure(module: str, what: str) -> int:
    sys.stderr.write(f"· {what}\n")
    return subprocess.run([sys.executable, "-m", module], cwd=BASE_DIR, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
