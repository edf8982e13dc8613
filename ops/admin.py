"""The door by which Django finds the console's pages."""

from ops.console import (
    connections,
    destination_log,
    destinations,
    doors,
    findings,
    inbox,
    mirror,
    people,
    records,
    schedules,
    subscriptions,
    truth,
)

__all__ = [
    "connections",
    "destination_log",
    "destinations",
    "doors",
    "findings",
    "inbox",
    "mirror",
    "people",
    "records",
    "schedules",
    "subscriptions",
    "truth",
]
