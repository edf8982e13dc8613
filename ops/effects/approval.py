"""The effect that asks people: it is begun here, and answered in the console (`ops.remediation.approvals`)."""

from typing import Annotated, Any

import msgspec

from ops.effects.outcome import Later, Outcome, Refused
from ops.effects.registry import Call, effect
from ops.remediation.approvals import Question, ask


class AskApproval(msgspec.Struct, forbid_unknown_fields=True):
    """`amount` in the currency's minor unit, where it is about money. `evidence`: what whoever decides is to see.

    The state's TimeoutSeconds says how long is waited.
    """

    question: Annotated[str, msgspec.Meta(min_length=1, max_length=300)]
    note: Annotated[str, msgspec.Meta(max_length=4000)] = ""
    amount: Annotated[int, msgspec.Meta(ge=0)] | None = None
    currency: Annotated[str, msgspec.Meta(pattern="^([a-z]{3})?$")] = ""
    customer: Annotated[str, msgspec.Meta(max_length=255)] = ""
    subject: Annotated[str, msgspec.Meta(max_length=255)] = ""
    evidence: Any = None


@effect(
    "ask-approval",
    takes=AskApproval,
    errors={
        "NoWorkflow": "Nobody would get the answer: only a workflow can ask.",
        "NoCurrency": "There is an amount and no currency.",
        "States.Timeout": "Nobody decided in time (TimeoutSeconds).",
    },
)
def ask_approval(given: AskApproval, call: Call) -> Outcome | Later:
    """Ask operators; the result is {"approved": true or false, "by": …, "reason": …, "at": …}."""
    if not call.call_id and not call.task_id:
        return Refused("NoWorkflow: a rule cannot ask for approval; let it start a workflow that does.")
    if given.amount is not None and not given.currency:
        return Refused("NoCurrency: an amount needs its currency.")
    ask(
        Question(
            call_id=call.call_id or None,
            task_id=call.task_id or None,
            key=call.key[:255],
            by=call.cause,
            text=given.question,
            note=given.note,
            amount=given.amount,
            currency=given.currency,
            customer_id=given.customer or call.customer_id,
            subject=given.subject,
            evidence=given.evidence,
            until=call.until,
        ),
        now=call.now,
        depth=call.depth,
    )
    return Later()
