"""Approvals: a workflow asks people, with money and evidence; one of them answers, once, with a reason."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import User
from billing.inbox import own
from ops.audit import APPROVE, REFUSE, record_act
from ops.remediation.models import Approval, Decision
from ops.workflows import answers
from ops.workflows.aws.answers import answer_task

PERMISSION = "ops.change_approval"


@dataclass(frozen=True)
class Question:
    """What is asked, and by which call. Amounts are in the currency's minor unit; None: it is not about money."""

    call_id: int | None
    task_id: int | None  # where Step Functions asks
    key: str
    by: str
    text: str
    note: str
    amount: int | None
    currency: str
    customer_id: str
    subject: str
    evidence: Any
    until: datetime | None


def ask(question: Question, *, now: datetime, depth: int = 0) -> Approval:
    """Write a question down, once for its call, and tell of it by an event of our own, which rules may see."""
    with transaction.atomic():
        row, new = Approval.objects.get_or_create(
            key=question.key,
            defaults={
                "call_id": question.call_id,
                "task_id": question.task_id,
                "by": question.by,
                "question": question.text,
                "note": question.note,
                "amount": question.amount,
                "currency": question.currency,
                "customer_id": question.customer_id,
                "subject": question.subject,
                "evidence": question.evidence,
                "asked_at": now,
                "until": question.until,
            },
        )
        if new:
            detail = {"question": row.question, "by": row.by, "customer": row.customer_id, "subject": row.subject}
            money = {"amount": row.amount, "currency": row.currency} if row.amount is not None else {}
            own.publish(own.APPROVAL_ASKED, key=str(row.pk), detail=detail | money, now=now, depth=depth)
    return row


def answer(row: Approval, result: dict[str, Any], *, now: datetime) -> bool:
    """Tell whoever asked; whether somebody still waited. Step Functions is told by the worker of its activities."""
    if row.task_id:
        return answer_task(row.task_id, {"result": result}, now=now)
    return bool(row.call_id and answers.answer_calls({row.call_id: {"result": result}}, now=now))


class CannotDecide(Exception):
    """The question cannot be answered. The text says why, for whoever tried."""


def decide(approval: Approval, actor: User, decision: Decision, *, reason: str, now: datetime) -> None:
    """Answer a question; the workflow goes on with it. Raises CannotDecide.

    The answer, the act and the execution's wake-up are one transaction; of two people one is first.
    """
    if not actor.has_perm(PERMISSION):
        raise CannotDecide(_("You are not allowed to decide this."))
    with transaction.atomic():
        row = Approval.objects.select_for_update().get(pk=approval.pk)
        if row.decision:
            told = {"who": row.decided_by or _("somebody"), "what": row.get_decision_display()}
            raise CannotDecide(_("%(who)s has answered meanwhile: %(what)s.") % told)
        result = {"approved": decision == Decision.APPROVED, "by": actor.email, "reason": reason, "at": now.isoformat()}
        if not answer(row, result, now=now):
            raise CannotDecide(_("Nobody waits for this answer any more: the workflow has gone on without it."))
        row.decision, row.decided_by, row.decided_at, row.reason = decision, actor, now, reason
        row.save(update_fields=["decision", "decided_by", "decided_at", "reason"])
        record_act(
            actor,
            APPROVE if decision == Decision.APPROVED else REFUSE,
            subject_kind="approval",
            subject_id=str(row.pk),
            reason=reason,
            before={"decision": ""},
            after={"decision": decision.value, "question": row.question, "amount": row.amount},
            now=now,
        )
