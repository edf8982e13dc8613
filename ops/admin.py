"""The door by which Django finds the console's pages."""

from ops.console import (
    calls,
    connections,
    destination_log,
    destinations,
    doors,
    findings,
    inbox,
    mails,
    mirror,
    people,
    records,
    rules,
    schedules,
    servers,
    subscriptions,
    truth,
)
from ops.console.workflows import approvals, executions, machines, trials

__all__ = [
    "approvals",
    "calls",
    "connections",
    "destination_log",
    "destinations",
    "doors",
    "executions",
    "findings",
    "inbox",
    "machines",
    "mails",
    "mirror",
    "people",
    "records",
    "rules",
    "schedules",
    "servers",
    "subscriptions",
    "trials",
    "truth",
]
