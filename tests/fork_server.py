"""A process that has imported the portal, and forks itself for every process of the portal that a test starts.

Importing the portal costs a second or two, which tests that kill workers would pay some eighty times. What is forked is
a process of its own with a command line, an environment and settings of its own, and may be killed like any other.
Run as `python -m tests.fork_server FD`: orders come in through that socket, see `tests.processes.start`.
"""

import gc
import importlib
import json
import os
import runpy
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

ORDER_BYTES = 1 << 20
# Those that build nothing out of settings while they are imported: settings come with each order.
IMPORTED_BEFORE = (
    "billing.mirror.apply",
    "billing.mirror.resync",
    "billing.tasks",
    "celery.__main__",
    "celery.apps.worker",
    "celery.bin.celery",
    "celery.concurrency.solo",
    "config.celery",
    "config.urls",
    "django.core.management",
    "ops.rules.deliver",
    "ops.tasks",
    "ops.workflows.resources",
    "tests.crashes.worker",
    "uvicorn.main",
    "uvicorn.lifespan.on",
    "uvicorn.protocols.http.auto",
)


@dataclass(frozen=True)
class Order:
    """What to run: a module with its arguments, where, and with which environment and output."""

    argv: list[str]
    environment: dict[str, str]
    place: str
    own_session: bool
    outputs: tuple[int, int]


def serve(orders: socket.socket) -> Order | None:
    """Fork for each order. Return in the forked processes, with their orders; in this one when nobody orders more."""
    while received := next_order(orders):
        order, told = received
        if not os.fork():
            orders.close()
            return keep(order, told)
        told.close()
        for number in order.outputs:
            os.close(number)
        forget_ended()
    return None


def forget_ended() -> None:
    """Keepers that have told how theirs ended are nobody's concern."""
    with suppress(ChildProcessError):  # none is left
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def next_order(orders: socket.socket) -> tuple[Order, socket.socket] | None:
    """A line of JSON, with which come: where to tell what becomes of it, its output, its errors."""
    line, numbers, _, _ = socket.recv_fds(orders, ORDER_BYTES, 3)
    while line and not line.endswith(b"\n"):
        line += orders.recv(ORDER_BYTES)
    if not line:
        return None
    told, out, errors = numbers
    return Order(**json.loads(line), outputs=(out, errors)), socket.socket(fileno=told)


def keep(order: Order, told: socket.socket) -> Order:
    """Fork once more: one returns with the order, the other tells how that one ended. It is the parent that waits."""
    pid = os.fork()
    if not pid:
        told.close()
        return order
    for number in order.outputs:
        os.close(number)
    told.sendall(b"%d\n" % pid)
    ended = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    told.sendall(b"%d\n" % ended)
    os._exit(0)


def become(order: Order) -> None:
    """Be what `python -m` with these arguments would have become."""
    if order.own_session:
        os.setsid()
    for number, output in zip((1, 2), order.outputs, strict=True):
        os.dup2(output, number)
        os.close(output)
    os.chdir(order.place)
    os.environ.clear()
    os.environ.update(order.environment)
    sys.argv = list(order.argv)
    renew_settings()
    runpy.run_module(order.argv[0], run_name="__main__", alter_sys=True)


def renew_settings() -> None:
    """Read the settings again, and take back the little that was made of the former ones."""
    import django
    from django.conf import empty, settings  # type: ignore[attr-defined]
    from django.core.cache import caches
    from django.db import connections

    from billing.stripe_client import set_up_stripe_library

    importlib.reload(sys.modules["config.settings"])
    settings._wrapped = empty
    django.setup()
    for handler in (connections, caches):
        forget(handler)
    set_up_stripe_library()


def forget(handler: Any) -> None:
    """Connections by their names: none is open yet, but one may have been made for what it knows of its database."""
    for alias in handler:
        if hasattr(handler._connections, alias):
            del handler[alias]
    vars(handler).pop("settings", None)
    handler._settings = None


def import_before() -> None:
    import django

    django.setup()
    for name in IMPORTED_BEFORE:
        importlib.import_module(name)
    gc.freeze()  # what all share is left where it is


if __name__ == "__main__":
    import_before()
    order = serve(socket.socket(fileno=int(sys.argv[1])))
    if order:
        become(order)
