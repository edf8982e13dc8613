"""The door by which Django finds the console's pages."""

from ops.console import (
    calls,
    doors,
    findings,
    inbox,
    mirror,
    people,
    records,
    rules,
    schedules,
    subscriptions,
    truth,
)

__all__ = [
    "calls",
    "doors",
    "findings",
    "inbox",
    "mirror",
    "people",
    "records",
    "rules",
    "schedules",
    "subscriptions",
    "truth",
]
