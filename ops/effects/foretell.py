"""The effect by which a workflow lets a customer know beforehand what it will do, and when."""

from typing import Annotated

import msgspec

from accounts.customers import organization_of
from billing.entitlements.outlook import Subject, open_outlook
from ops.effects.outcome import Done, Outcome, Refused
from ops.effects.registry import Call, effect
from ops.workflows.foresight import source_of, steps_of
from ops.workflows.models import TaskCall

Id = Annotated[str, msgspec.Meta(max_length=255)]


class Foretell(msgspec.Struct, forbid_unknown_fields=True):
    """About which subscription. `invoice`: what is said holds while it is owed. `customer`: the event's own if none."""

    subscription: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    invoice: Id = ""
    customer: Id = ""


@effect(
    "foretell",
    takes=Foretell,
    errors={
        "NoOrganization": "The customer belongs to no organization here.",
        "NoWorkflow": "Only a workflow that runs here can be foreseen.",
    },
)
def foretell(given: Foretell, call: Call) -> Outcome:
    """From now on the account page says what this execution will do if nothing comes: when access rests, when the
    subscription ends. It follows the execution by itself, until that has ended.
    """
    row = TaskCall.objects.filter(pk=call.call_id).only("execution_id").first() if call.call_id else None
    if row is None:
        return Refused("NoWorkflow: only a workflow that runs here can be foreseen.")
    customer = given.customer or call.customer_id
    organization = organization_of(customer)
    if organization is None:
        return Refused(f"NoOrganization: the customer “{customer}” belongs to no organization here.")
    source = source_of(row.execution_id)
    subject = Subject(organization, customer, given.subscription, given.invoice, source, call.cause[:255])
    steps = steps_of(row.execution_id, now=call.now)
    open_outlook(subject, steps, now=call.now)
    return Done({"steps": [{"act": step.act.value, "at": step.at.isoformat()} for step in steps]})
