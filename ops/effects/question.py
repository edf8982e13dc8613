"""The effect that asks a customer by mail: it is begun here, and answered by a link (`ops.questions`)."""

from typing import Annotated, Any

import msgspec

from accounts.customers import organization_of
from accounts.models import Organization
from ops.effects import email
from ops.effects.email import outcome_of_mails
from ops.effects.mail.facts import NoSuchInvoice, readers_of, topic_of
from ops.effects.mail.letters import NAME, BadLetter
from ops.effects.mail.outbox import send_due, write_mails
from ops.effects.outcome import Done, Later, Outcome, Refused
from ops.effects.registry import Call, effect
from ops.questions.ask import LIFETIME, Asked, answer_given, ask
from ops.questions.links import url_to_be_signed
from ops.questions.models import QuestionLink, said
from ops.workflows.answers import waiting_call_of
from ops.workflows.models import TaskCall

Id = Annotated[str, msgspec.Meta(max_length=255)]
Line = Annotated[str, msgspec.Meta(min_length=1, max_length=300)]
Text = Annotated[str, msgspec.Meta(max_length=4000)]


class AskCustomer(msgspec.Struct, forbid_unknown_fields=True):
    """`question` and `note` in one language, or by language: {"en": …, "ja": …}. `amount` in minor units.

    `template`: the letter, `playbook/name`; it may name `question` and `answer_url` besides what each letter may.
    `token`: the task token of another state (.waitForTaskToken), which the answer then goes to; the effect itself is
    done as soon as the mail is sent. The waiting state's TimeoutSeconds says how long the link works, else 30 days.
    """

    template: Annotated[str, msgspec.Meta(pattern=f"^{NAME.pattern}$", max_length=128)]
    question: Line | Annotated[dict[str, Line], msgspec.Meta(min_length=1)]
    note: Text | dict[str, Text] = ""
    amount: Annotated[int, msgspec.Meta(ge=0)] | None = None
    currency: Annotated[str, msgspec.Meta(pattern="^([a-z]{3})?$")] = ""
    customer: Id = ""
    subject: Id = ""
    invoice: Id = ""
    data: dict[str, Any] = {}
    token: Annotated[str, msgspec.Meta(max_length=1024)] = ""


@effect(
    "ask-customer",
    takes=AskCustomer,
    errors={
        "NoWorkflow": "Nobody would get the answer: only a workflow can ask.",
        "InvalidToken": "The token is nobody's here, or nobody waits by it any more.",
        "NoCurrency": "There is an amount and no currency.",
        **email.ERRORS,
        "States.Timeout": "Nobody answered in time (TimeoutSeconds).",
    },
)
def ask_customer(given: AskCustomer, call: Call) -> Outcome | Later:
    """Ask who sees to an organization's money, each by a link of their own; the first answer counts.

    The result is {"approved": true or false, "by": the reader's address, "at": …}.
    """
    waits = waiting_call_of(given.token) if given.token else None
    if wrong := why_not(given, call, waits):
        return Refused(wrong)
    customer = given.customer or call.customer_id
    organization = organization_of(customer)
    if organization is None:
        return Refused(f"NoOrganization: the customer “{customer}” belongs to no organization here.")
    readers = readers_of(organization)
    if not readers:
        return Refused(f"Email.NoReader: nobody reads the mail of {organization.public_id}.")
    asked = asked_of(given, call, waits, organization, customer)
    try:
        # What the letter speaks of is read before anything is written.
        topic = topic_of(organization, customer, invoice_id=given.invoice, data=given.data, now=call.now)
        links = ask(asked, readers, now=call.now, depth=call.depth)
        if (given_before := answer_given(links)) is not None:
            return Done(given_before)
        values = {link.email: letter_values(link, asked, call) for link in links}
        own = [reader for reader in readers if reader.email in values]
        mails = write_mails(
            f"{call.key}:question"[:512], own, given.template, topic, customer_id=customer, now=call.now, more=values
        )
    except NoSuchInvoice as error:
        return Refused(f"Email.NoSuchInvoice: {error}")
    except BadLetter as error:
        return Refused(f"Email.Letter: {error}")
    outcome = outcome_of_mails(send_due(mails))
    if not isinstance(outcome, Done):
        return outcome
    return outcome if waits else Later()


def why_not(given: AskCustomer, call: Call, waits: TaskCall | None) -> str:
    """Why nothing can be asked; empty where it can."""
    if given.amount is not None and not given.currency:
        return "NoCurrency: an amount needs its currency."
    if given.token and waits is None:
        return "InvalidToken: nobody waits for an answer by this token."
    if not given.token and not call.call_id and not call.task_id:
        return "NoWorkflow: a rule cannot wait for an answer; let it start a workflow that does."
    return ""


def asked_of(
    given: AskCustomer, call: Call, waits: TaskCall | None, organization: Organization, customer: str
) -> Asked:
    """What is asked, and who waits: the state whose token was given, else the call itself."""
    return Asked(
        organization=organization,
        customer_id=customer,
        key=call.key[:255],
        by=call.cause[:255],
        call_id=waits.pk if waits else call.call_id or None,
        task_id=None if waits else call.task_id or None,
        text=by_language(given.question),
        note=by_language(given.note),
        amount=given.amount,
        currency=given.currency,
        subject=given.subject or given.invoice,
        until=waits.timeout_at if waits else call.until,
    )


def by_language(text: str | dict[str, str]) -> dict[str, str]:
    if isinstance(text, dict):
        return text
    return {"": text} if text else {}


def letter_values(link: QuestionLink, asked: Asked, call: Call) -> dict[str, Any]:
    return {
        "question": said(asked.text, link.language),
        "note": said(asked.note, link.language),
        "answer_url": url_to_be_signed(link),
        "until": (asked.until or call.now + LIFETIME).isoformat(),
    }
