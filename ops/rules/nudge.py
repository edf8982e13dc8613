"""Telling the workers that events are to be matched or targets to be called. The sweep finds what a lost nudge left."""

from dataclasses import dataclass

import structlog
from celery import current_app
from kombu.exceptions import OperationalError

from billing.nudge import first_within, forget, rest

log = structlog.get_logger(__name__)

PENDING_SECONDS = 30


@dataclass(frozen=True)
class Nudge:
    """A message to one task. While one waits for a worker a second would say nothing new."""

    task: str
    pending: str  # set in Redis while a message waits that no worker has taken

    def soon(self) -> bool:
        """Ask a worker to look; return whether a message was sent. Never raises, never waits for long."""
        if not first_within(self.pending, PENDING_SECONDS):
            return False
        try:
            current_app.send_task(self.task, retry=False)
        except OperationalError as error:
            rest()
            log.warning("nudge:lost", error=type(error).__name__)
            return False
        return True

    def taken(self) -> None:
        """From here on new work needs a new message: called by the worker before it looks."""
        forget(self.pending)


DISPATCH = Nudge("ops.tasks.dispatch_due", "kessai:dispatch-nudge")
DELIVER = Nudge("ops.tasks.deliver_due", "kessai:deliver-nudge")
