"""All numbers as Prometheus reads them: what processes counted, and what stands in rows."""

import os
from collections.abc import Callable
from datetime import datetime

from prometheus_client import REGISTRY, CollectorRegistry, generate_latest, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from billing.measures import RowMeasures

# What is read from rows when Prometheus asks; higher rooms add theirs when Django starts.
COLLECTORS: list[Callable[[datetime], Collector]] = [RowMeasures]
SHARED = "PROMETHEUS_MULTIPROC_DIR"  # where all processes of this machine write; read by prometheus_client


def exposition(now: datetime) -> bytes:
    """Return what all processes of this machine counted, or this one alone, and the rows' numbers."""
    rows = CollectorRegistry()
    for collector in COLLECTORS:
        rows.register(collector(now))
    return generate_latest(counted()) + generate_latest(rows)


def counted() -> CollectorRegistry:
    if not os.environ.get(SHARED):
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return registry


def serve_counted(port: int) -> None:
    """Let Prometheus ask a machine that has workers and no web process. Starts a thread; tells no rows."""
    start_http_server(port, registry=counted())
