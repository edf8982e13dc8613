"""Executions that wait for an event, and the events that they wait for."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.utils import timezone

from billing.models import InboxEvent
from ops.rules.dispatch import dispatch_due
from ops.workflows.models import Execution, StateMachine
from ops.workflows.start import Cause, start
from ops.workflows.waits.wanted import ARN
from tests.ops.rules.made import paid_invoice
from tests.ops.workflows.moving import machine_of

PAID = {"detail-type": ["invoice.paid"], "detail": {"data": {"object": {"status": ["paid"]}}}}


def await_event(pattern: Any = PAID, *, end: bool = True, **more: Any) -> dict[str, Any]:
    """A state that waits; arguments in small letters go into its Parameters."""
    given = {name: more.pop(name) for name in list(more) if name.removesuffix(".$") in ("Object", "Since", "Account")}
    state = {"Type": "Task", "Resource": ARN, "Parameters": {"Pattern": pattern, **given}, **more}
    return {**state, "End": True} if end and "Next" not in state else state


def waiting_machine(**more: Any) -> StateMachine:
    return machine_of(Await=await_event(**more))


def begin(machine: StateMachine, name: str = "w", given: Any = None, *, now: datetime, event_id: str = "") -> Execution:
    return start(machine, name, given or {}, now=now, cause=Cause(event_id=event_id))


def invoice_paid(invoice: str, now: datetime | None = None, **fields: Any) -> InboxEvent:
    """A settled event of an invoice that was paid."""
    payload = {
        "object": "event",
        "type": "invoice.paid",
        "data": {"object": {"object": "invoice", "id": invoice, "status": "paid", "customer": "cus_1"}},
    }
    return paid_invoice(now, object_id=invoice, payload=payload, **fields)


def dispatch(clock: Callable[[], datetime] = timezone.now) -> None:
    dispatch_due(clock, budget_seconds=10)
