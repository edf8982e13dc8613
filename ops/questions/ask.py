"""Asking a customer, and taking the answer: one question a call, a link a reader, the first answer counts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from django.db import transaction

from accounts.models import Organization
from billing.inbox import own
from ops.effects.mail.facts import Reader
from ops.questions.links import hash_of, new_salt, token_of
from ops.questions.models import Answer, Question, QuestionLink
from ops.workflows import answers
from ops.workflows.aws.answers import answer_task
from ops.workflows.aws.models import TaskState
from ops.workflows.models import CallState, Status

LIFETIME = timedelta(days=30)  # of a link whose workflow waits for ever


@dataclass(frozen=True)
class Asked:
    """What is asked, of whom, and which call waits. Amounts in minor units; None: it is not about money."""

    organization: Organization
    customer_id: str
    key: str
    by: str
    call_id: int | None
    task_id: int | None
    text: dict[str, str]
    note: dict[str, str]
    amount: int | None
    currency: str
    subject: str
    until: datetime | None


def ask(asked: Asked, readers: Sequence[Reader], *, now: datetime, depth: int = 0) -> list[QuestionLink]:
    """Write a question down, once for its call, with a link for each reader; return the links.

    An open question of the same workflow about the same subject is replaced by it; its call goes on waiting.
    """
    with transaction.atomic():
        question, new = Question.objects.get_or_create(key=asked.key, defaults=fields_of(asked, now=now))
        if new:
            replace_open(question, now=now)
            for reader in readers:
                make_link(question, reader)
            detail = {"question": str(question), "by": question.by, "subject": question.subject}
            tell(own.QUESTION_ASKED, question, detail, now=now, depth=depth)
        elif not question.answer:
            # The state is tried again under the same key, by another call: that is who waits now.
            question.call_id, question.task_id = asked.call_id, asked.task_id
            question.until = asked.until or question.until
            question.save(update_fields=["call", "task", "until"])
    return list(question.links.order_by("pk"))


def fields_of(asked: Asked, *, now: datetime) -> dict[str, object]:
    given = {name: value for name, value in vars(asked).items() if name not in ("key", "until")}
    return {**given, "asked_at": now, "until": asked.until or now + LIFETIME}


def replace_open(question: Question, *, now: datetime) -> None:
    if not question.subject:
        return
    same = {"customer_id": question.customer_id, "by": question.by, "subject": question.subject}
    older = Question.objects.filter(**same, answer="", replaced_at=None).exclude(pk=question.pk)
    older.update(replaced_at=now)


def make_link(question: Question, reader: Reader) -> QuestionLink:
    salt = new_salt()
    link = QuestionLink.objects.create(
        question=question,
        email=reader.email,
        name=reader.name,
        language=reader.language,
        zone=reader.zone,
        salt=salt,
        token_hash=salt,  # until it has a number, which its token is made of
    )
    link.token_hash = hash_of(token_of(link))
    link.save(update_fields=["token_hash"])
    return link


def answer_given(links: Sequence[QuestionLink]) -> dict[str, object] | None:
    """What a question was answered before whoever asks it once more; None where it waits."""
    question = links[0].question if links else None
    if question is None or not question.answer:
        return None
    return result_of(question)


def result_of(question: Question) -> dict[str, object]:
    by, at = question.answered_by, question.answered_at
    return {
        "approved": question.answer == Answer.YES,
        "by": by.email if by else "",
        "reason": "",
        "at": at.isoformat() if at else "",
    }


def link_of(token: str) -> QuestionLink | None:
    """The link of a token; None where it is nobody's."""
    found = QuestionLink.objects.filter(token_hash=hash_of(token))
    return found.select_related("question__organization", "question__answered_by", "question__call__execution").first()


class Stand(StrEnum):
    """How a question stands for whoever opens its link."""

    OPEN = "open"
    ANSWERED = "answered"
    REPLACED = "replaced"  # it was asked anew, by another mail
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"  # the workflow has gone on without it, or was stopped


def stand_of(question: Question, *, now: datetime) -> Stand:
    if question.answer:
        return Stand.ANSWERED
    if question.replaced_at:
        return Stand.REPLACED
    if question.until <= now:
        return Stand.EXPIRED
    return Stand.OPEN if is_awaited(question) else Stand.WITHDRAWN


def is_awaited(question: Question) -> bool:
    if question.task is not None:
        return question.task.state in (TaskState.DUE, TaskState.WAITING)
    call = question.call
    if call is None or call.execution.status != Status.RUNNING:
        return False
    return call.state in (CallState.DUE, CallState.WAITING)


def decide(link: QuestionLink, answer: Answer, *, now: datetime) -> Stand:
    """Answer a question by a reader's link; return how it stood. Only where it was open has anything happened.

    The answer and the execution's wake-up are one transaction; of two readers one is first.
    """
    with transaction.atomic():
        question = Question.objects.select_for_update().get(pk=link.question_id)
        stand = stand_of(question, now=now)
        if stand is not Stand.OPEN:
            return stand
        question.answer, question.answered_at, question.answered_by = answer, now, link
        if not tell_whoever_waits(question, {"result": result_of(question)}, now=now):
            return Stand.WITHDRAWN
        question.save(update_fields=["answer", "answered_at", "answered_by"])
        tell(own.QUESTION_ANSWERED, question, {"answer": answer.value, "by": question.by}, now=now)
    return Stand.OPEN


def tell_whoever_waits(question: Question, told: dict[str, object], *, now: datetime) -> bool:
    if question.task_id:
        return answer_task(question.task_id, told, now=now)
    return bool(question.call_id and answers.answer_calls({question.call_id: told}, now=now))


def tell(kind: str, question: Question, detail: Mapping[str, object], *, now: datetime, depth: int = 0) -> None:
    """An event of our own, which rules may see."""
    about = {"customer": question.customer_id, "organization": question.organization.public_id, **detail}
    money = {"amount": question.amount, "currency": question.currency} if question.amount is not None else {}
    own.publish(kind, key=str(question.pk), detail=about | money, now=now, depth=depth)
