"""Telling the workers that something is due. A lost nudge costs seconds: the sweep finds what it left."""

import structlog
from celery import current_app
from kombu.exceptions import OperationalError

from billing.nudge import first_within, forget, rest

log = structlog.get_logger(__name__)

MIRROR_DUE = "billing.tasks.mirror_due"
PENDING = "kessai:mirror-nudge"  # set while a message waits that no worker has taken
PENDING_SECONDS = 30


def mirror_soon() -> bool:
    """Ask a worker to mirror what is due; return whether a message was sent. Never raises, never waits for long.

    While one message waits for a worker a second would say nothing new: many events, one message.
    """
    if not first_within(PENDING, PENDING_SECONDS):
        return False
    try:
        current_app.send_task(MIRROR_DUE, retry=False)
    except OperationalError as error:
        rest()
        log.warning("nudge:lost", error=type(error).__name__)
        return False
    return True


def message_taken() -> None:
    """From here on a new event needs a new message: called by the worker before it looks."""
    forget(PENDING)
