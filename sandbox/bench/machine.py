"""What was measured on, and how much memory a process takes."""

import json
import os
import platform
import sqlite3
import time
from pathlib import Path


def described() -> str:
    """Processor, cores, memory, system, Python."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}"
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def resident(process: int) -> float | None:
    """MiB of memory that a process holds now; None where the system does not tell."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return None
    held = [line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")]
    return int(held[0]) / 1024 if held else None


def worked(process: int) -> float | None:
    """Seconds of processor time that a process has used; None where the system does not tell. It says more
    than the time on the wall where the machine is busy with other things."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def yardstick() -> float:
    """Seconds of a processor that a fixed piece of work takes here and now: documents in and out of SQLite. A machine
    that is shared does the same work at half its speed an hour later: numbers of two sessions can be compared by this
    one alone."""
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE pieces (id INTEGER PRIMARY KEY, body TEXT)")
    begun = time.process_time()
    for number in range(20_000):
        piece = {"id": f"piece_{number}", "lines": [{"amount": amount, "number": number} for amount in range(10)]}
        connection.execute("INSERT INTO pieces (body) VALUES (?)", (json.dumps(piece),))
    for (body,) in connection.execute("SELECT body FROM pieces"):
        json.loads(body)
    return time.process_time() - begun
