"""The outbox: all mails of one call are written in one transaction, then sent one by one, each recorded at once.

SMTP knows no idempotency. A worker that is killed after the mail server's answer and before the row's update sends
that one mail again, with the same words and the same Message-ID, by which most mailboxes show it once. Nothing else
repeats a mail; and none is lost. Between answer and update stands one statement.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parseaddr
from hashlib import sha256
from smtplib import SMTPDataError, SMTPException, SMTPRecipientsRefused, SMTPResponseException
from typing import Any

import structlog
from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from ops.effects.mail.facts import Reader, Topic, write_to
from ops.effects.mail.models import Mail, MailState
from ops.questions.links import signed

log = structlog.get_logger(__name__)

CLAIM = timedelta(seconds=60)  # longer than EMAIL_TIMEOUT lets an attempt take


@dataclass(frozen=True)
class Sent:
    """What came of a call's mails."""

    sent: int = 0
    refused: int = 0
    waiting: int = 0  # to be tried again
    error: str = ""


def mails_of(key: str) -> list[Mail]:
    """A call's mails, without the one that was kept because nobody read the organization's mail."""
    return list(Mail.objects.filter(key=key).exclude(to="").order_by("pk"))


def write_mails(
    key: str,
    readers: Sequence[Reader],
    template: str,
    topic: Topic,
    *,
    customer_id: str,
    now: datetime,
    more: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[Mail]:
    """Write a call's mails, or find those that were written before. Raises BadLetter, and writes none.

    `more`: what the letter of each address may name besides.
    """
    if written := mails_of(key):
        return written
    own = more or {}
    rows = [
        mail_to(reader, key, template, topic, own.get(reader.email, {}), customer_id=customer_id, now=now)
        for reader in readers
    ]
    with transaction.atomic():
        Mail.objects.bulk_create(rows, ignore_conflicts=True)
        # Somebody reads it now: what was kept for nobody is not to be sent besides.
        Mail.objects.filter(key=key, to="", state=MailState.REFUSED).update(state=MailState.ASIDE)
    return mails_of(key)


def keep_for_nobody(key: str, template: str, topic: Topic, *, customer_id: str, now: datetime) -> None:
    """Keep the mail that nobody reads, refused, so that a person sees it and can send it. Raises BadLetter."""
    nobody = Reader("", topic.organization.name, settings.LANGUAGE_CODE, "UTC")
    mail = mail_to(nobody, key, template, topic, {}, customer_id=customer_id, now=now)
    mail.state, mail.error = MailState.REFUSED, "The organization has neither an owner nor a billing address."
    Mail.objects.bulk_create([mail], ignore_conflicts=True)


def mail_to(
    reader: Reader,
    key: str,
    template: str,
    topic: Topic,
    more: Mapping[str, Any],
    *,
    customer_id: str,
    now: datetime,
) -> Mail:
    letter = write_to(reader, template, topic, more)
    return Mail(
        key=key,
        to=reader.email,
        organization=topic.organization,
        customer_id=customer_id,
        template=template,
        language=reader.language,
        subject=letter.subject,
        text=letter.text,
        html=letter.html,
        message_id=message_id_of(key, reader.email),
        written_at=now,
    )


def message_id_of(key: str, to: str) -> str:
    """The same for the same mail, however often it is sent (RFC 5322, 3.6.4: Message-ID is unique for one message)."""
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2] or "localhost"
    return f"<{sha256(f'{key} {to.lower()}'.encode()).hexdigest()[:40]}@{domain}>"


def send_due(mails: Sequence[Mail]) -> Sent:
    """Send those of a call's mails that are due. Must not be called in a transaction."""
    errors = [error for mail in mails if mail.state == MailState.DUE and (error := send_one(mail))]
    states = [mail.state for mail in mails_of(mails[0].key)] if mails else []
    return Sent(
        sent=states.count(MailState.SENT),
        refused=states.count(MailState.REFUSED),
        waiting=states.count(MailState.DUE),
        error=next(iter(errors), ""),
    )


def send_one(mail: Mail) -> str:
    """Send one mail and record it at once; return why it is to be tried again, else nothing."""
    if not claim(mail):
        return "Another worker is sending it."
    try:
        connection = get_connection(timeout=settings.EMAIL_TIMEOUT)
        connection.open()
    except (SMTPException, OSError) as error:
        return put_off(mail, error)
    try:
        connection.send_messages([message_of(mail)])
        settle(mail, MailState.SENT)
    except (SMTPException, OSError) as error:
        if not is_final(error):
            return put_off(mail, error)
        log.warning("mail:refused", mail=mail.pk, error=words_of(error))
        settle(mail, MailState.REFUSED, words_of(error))
    finally:
        close(connection)
    return ""


def claim(mail: Mail) -> bool:
    """Take a mail for this worker, by the machine's own time: a workflow's clock may be ahead of it."""
    now = timezone.now()
    free = Q(claimed_until=None) | Q(claimed_until__lt=now)
    rows = Mail.objects.filter(free, pk=mail.pk, state=MailState.DUE)
    return bool(rows.update(claimed_until=now + CLAIM, attempts=F("attempts") + 1))


def message_of(mail: Mail) -> EmailMultiAlternatives:
    headers = {"Message-ID": mail.message_id, "Auto-Submitted": "auto-generated"}  # RFC 3834: no holiday replies
    text, html = signed(mail.to, mail.organization_id, mail.text, mail.html)
    message = EmailMultiAlternatives(mail.subject, text, to=[mail.to], headers=headers)
    message.attach_alternative(html, "text/html")
    return message


def settle(mail: Mail, state: MailState, error: str = "") -> None:
    sent_at = timezone.now() if state == MailState.SENT else None
    Mail.objects.filter(pk=mail.pk).update(state=state, error=error, sent_at=sent_at, claimed_until=None)


def put_off(mail: Mail, error: Exception) -> str:
    said = words_of(error)
    Mail.objects.filter(pk=mail.pk).update(claimed_until=None, error=said)
    return said


def is_final(error: Exception) -> bool:
    """Whether the mail server will never take it: a 5xx about this address or this message (RFC 5321, 4.2.1)."""
    if isinstance(error, SMTPRecipientsRefused):
        return all(code >= 500 for code, _ in error.recipients.values())
    return isinstance(error, SMTPDataError) and error.smtp_code >= 500


def words_of(error: Exception) -> str:
    if isinstance(error, SMTPRecipientsRefused):
        return "; ".join(f"{code} {said.decode(errors='replace')}" for code, said in error.recipients.values())[:500]
    if isinstance(error, SMTPResponseException):
        said = error.smtp_error
        return f"{error.smtp_code} {said.decode(errors='replace') if isinstance(said, bytes) else said}"[:500]
    return f"{type(error).__name__}: {error}"[:500]


def close(connection: object) -> None:
    """Say goodbye; what the server makes of that changes nothing."""
    try:
        connection.close()  # type: ignore[attr-defined]
    except (SMTPException, OSError):
        log.info("mail:no_goodbye")
