"""Stacks live in time: they are being built, complete or fail, are being deleted, and every change is an event.

AWS CloudFormation User Guide, "Stack status codes" and "Stack Status Change event detail"; API reference, "CreateStack"
(`OnFailure`: a stack that cannot be built deletes itself, or rolls back and stays).
"""

import threading
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from flask import has_request_context, request

from config.demo.aws.bus import tell

REMEMBERED = 200  # changes, for whoever looks
FAILED = "The following resource(s) failed to create: [Instance]. Delete requested by user."
NO_CAPACITY = "We currently do not have sufficient capacity in the Availability Zone you requested."


@dataclass(frozen=True)
class Change:
    """A status that a stack came into."""

    at: datetime
    stack: str
    status: str
    reason: str


@dataclass
class Lives:
    """How long stacks take (seconds), and how many of the next builds fail. Threads share it."""

    build_seconds: float = 0.0
    delete_seconds: float = 0.0
    failing: int = 0
    changes: deque[Change] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def fail_next(self, times: int) -> None:
        """Let the next so many builds fail; 0: none."""
        with self._lock:
            self.failing = times

    def takes_failure(self) -> bool:
        with self._lock:
            failing = self.failing > 0
            self.failing -= failing
        return failing

    def install(self) -> None:
        """Have moto's stacks live by this. The import takes seconds: it draws in whatever a stack can hold."""
        from moto.cloudformation import models as moto

        backends: Any = moto.CloudFormationBackend
        create, delete = backends.create_stack, backends.delete_stack

        def create_stack(backend: Any, *given: Any, **named: Any) -> Any:
            stack = create(backend, *given, **named)
            self.build(Life(self, backend, stack, delete))
            return stack

        def delete_stack(backend: Any, name: str) -> None:
            for stack in list(backend.stacks.values()):
                if name in (stack.stack_id, stack.name) and stack.status != "DELETE_IN_PROGRESS":
                    Life(self, backend, stack, delete).take_down("User Initiated")

        backends.create_stack, backends.delete_stack = create_stack, delete_stack

    def build(self, life: "Life") -> None:
        life.come_into("CREATE_IN_PROGRESS", "User Initiated")
        later(self.build_seconds, life.fail if self.takes_failure() else life.complete)


@dataclass
class Life:
    """One stack on its way."""

    lives: Lives
    backend: Any
    stack: Any
    delete: Callable[[Any, str], None]  # moto's own
    on_failure: str = ""
    token: str = ""

    def __post_init__(self) -> None:
        if has_request_context():
            self.on_failure = request.form.get("OnFailure", "ROLLBACK")
            self.token = request.form.get("ClientRequestToken", "")

    def complete(self) -> None:
        if self.stack.status == "CREATE_IN_PROGRESS":  # or somebody deleted it meanwhile
            self.come_into("CREATE_COMPLETE")

    def fail(self) -> None:
        if self.stack.status != "CREATE_IN_PROGRESS":
            return
        self.stack._add_stack_event("CREATE_FAILED", resource_status_reason=NO_CAPACITY)
        if self.on_failure == "DELETE":
            self.take_down(FAILED)
        else:
            self.come_into("ROLLBACK_IN_PROGRESS", FAILED)
            later(self.lives.delete_seconds, lambda: self.come_into("ROLLBACK_COMPLETE"))

    def take_down(self, reason: str) -> None:
        self.come_into("DELETE_IN_PROGRESS", reason)
        later(self.lives.delete_seconds, self.be_gone)

    def be_gone(self) -> None:
        self.delete(self.backend, self.stack.stack_id)
        self.come_into("DELETE_COMPLETE")

    def come_into(self, status: str, reason: str = "") -> None:
        """Change the status, and tell the bus. What a failed build said stays readable, as on AWS."""
        now = datetime.now(tz=UTC)
        self.stack.status = status
        self.lives.changes.append(Change(now, self.stack.stack_id, status, reason))
        detail = {
            "stack-id": self.stack.stack_id,
            "status-details": {"status": status, "status-reason": reason},
            "client-request-token": self.token or str(uuid.uuid4()),
        }
        kind = "CloudFormation Stack Status Change"
        where = {"account": self.backend.account_id, "region": self.backend.region_name}
        tell("aws.cloudformation", kind, self.stack.stack_id, detail, **where)


def later(seconds: float, act: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, act)
    timer.daemon = True
    timer.start()
