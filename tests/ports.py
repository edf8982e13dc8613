"""Ports for servers that are told theirs: free now, and given to nobody else before the server listens on them.

A port that the system gives out ("0") may be given out again as soon as it is closed: to another test's server, while
the one it was meant for is still importing, or is killed and started again. These lie below those that systems give
out, and each test process counts through ports of its own.
"""

import os
import random
import socket
from itertools import count

FIRST, EACH = 12_500, 1_000
_numbers = count(random.randrange(EACH))  # another run of the tests, on the same machine, begins elsewhere


def next_port() -> int:
    process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 18
    for number in _numbers:
        port = FIRST + process * EACH + number % EACH
        if is_free(port):
            return port
    raise AssertionError("numbers never end")


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: those that have ended do not count
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
