"""Where a task of an activity comes from: read from what the moved definition sends along (`moving`)."""

import json
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any

import structlog
from botocore.exceptions import ClientError

from billing.inbox.models import InboxEvent
from ops.effects import aws
from ops.effects.outcome import Retry
from ops.workflows.asl.written import written
from ops.workflows.aws.moving import FROM, INPUT

Json = Any
log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Origin:
    """`key` is the same however often the call's task is handed out.

    Items of a Map that call with the same, having entered their state in the same millisecond, share it. `tried` tells
    them from one that is tried again: how often the state was tried before.
    """

    key: str
    execution: str  # its ARN; empty where nothing says so
    state: str
    arguments: Json
    tried: int = 0

    @property
    def machine(self) -> str:
        """The state machine's name, as people know it."""
        parts = self.execution.split(":")
        return parts[6] if len(parts) > 6 else "step-functions"


def origin_of(text: str, token: str) -> Origin:
    """Read a task's input. Raises ValueError where it is no JSON.

    A definition that was not moved by us tells nothing: its task is known by its token alone, and each try of the
    state is a call of its own.
    """
    given = json.loads(text)
    told = given.get(FROM) if isinstance(given, dict) else None
    if not isinstance(told, dict) or not isinstance(told.get("execution"), str):
        return Origin(f"step-functions:{digest(token)}", "", "", given)
    arguments = given.get(INPUT)
    execution, state = told["execution"], str(told.get("state", ""))
    place = written([execution, state, told.get("entered"), arguments])
    names = ":".join(execution.split(":")[6:])[:160]
    tried = told.get("tried")
    return Origin(
        f"{names}:{state[:40]}:{digest(place)}",
        execution,
        state[:80],
        arguments,
        tried if isinstance(tried, int) and tried > 0 else 0,
    )


def digest(text: str) -> str:
    return sha256(text.encode(errors="surrogatepass")).hexdigest()[:40]


@dataclass(frozen=True)
class Cause:
    """The event that an execution goes back to, and its customer; empty where it goes back to none."""

    event_id: str = ""
    customer_id: str = ""
    started_at: datetime | None = None  # the execution


@lru_cache(maxsize=4096)
def cause_of(execution: str) -> Cause:
    """What began an execution there: the event that is its input, where the inbox has it.

    Raises what boto3 raises where AWS does not say the input now; where it may not be read, nothing began it.
    """
    if not execution:
        return Cause()
    try:
        said = aws.client("stepfunctions", execution.split(":")[3]).describe_execution(executionArn=execution)
    except ClientError as error:
        if isinstance(aws.outcome_of(error), Retry):
            raise
        log.warning("step_functions:execution_unreadable", execution=execution, error=str(error))
        return Cause()
    event = InboxEvent.objects.filter(external_id=event_id_of(json.loads(said.get("input", "null")))).first()
    started_at = said.get("startDate")
    return Cause(event.external_id, event.customer_id, started_at) if event else Cause(started_at=started_at)


def redrives_of(execution: str) -> int:
    """How often AWS has redriven an execution. Raises what boto3 raises where AWS does not say it now.

    Where it may not be read, it counts as never redriven, and the log says so.
    """
    states = aws.patient("stepfunctions", execution.split(":")[3])
    try:
        return int(states.describe_execution(executionArn=execution).get("redriveCount", 0))
    except ClientError as error:
        if isinstance(aws.outcome_of(error), Retry):
            raise
        log.error("step_functions:redrives_unreadable", execution=execution, error=str(error))
        return 0


def event_id_of(given: Json) -> str:
    """The id of the event that an execution was given: Stripe's own, in whatever envelope; else the envelope's."""
    if not isinstance(given, dict):
        return ""
    detail = given.get("detail")
    inner = detail.get("id") if isinstance(detail, dict) else None
    stripes = inner if isinstance(inner, str) and inner.startswith("evt_") else None
    return str(stripes or given.get("id") or "")[:255]
