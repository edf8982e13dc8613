"""On which loopback ports the demo answers."""

import os
import socket
from dataclasses import dataclass

from config.demo.trouble import Trouble
from config.local import answers, free_port


@dataclass(frozen=True)
class Port:
    """A port that people know by heart, and the variable that names another."""

    service: str
    variable: str
    usual: int
    must: bool  # whether addresses that outlive a run contain it, so that no other may be taken silently


WEB = Port("The portal", "KESSAI_PORT", 8000, must=True)
SANDBOX = Port("The sandbox Stripe", "KESSAI_SANDBOX_PORT", 12111, must=True)
AWS = Port("The local AWS", "KESSAI_AWS_PORT", 5555, must=False)


def choose(port: Port) -> int:
    """Return the port to listen on: the one asked for, or the usual one, or any free one where that is harmless.

    Raises Trouble when it is taken or is no port.
    """
    asked = os.environ.get(port.variable, "")
    number = read_number(port, asked) if asked else port.usual
    if not is_taken(number):
        return number
    if not asked and not port.must:
        return free_port()
    raise Trouble(
        f"{port.service} cannot use port {number}: something else listens there. "
        f"Stop it, or choose another port: `{port.variable}={free_port()} make demo`."
    )


def read_number(port: Port, text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise Trouble(f"{port.variable}={text} is not a port; give a number from 1024 to 65535.")
    return int(text)


def is_taken(number: int) -> bool:
    """Say whether anything listens on the port, by either meaning of `localhost`."""
    if answers(number):
        return True
    with socket.socket(socket.AF_INET6) as probe:
        probe.settimeout(0.5)
        try:
            return probe.connect_ex(("::1", number)) == 0
        except OSError:  # a machine without IPv6
            return False
