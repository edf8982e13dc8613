"""What operators do with mails that were not sent: send them again, or put them aside. Each act is written down."""

from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import User
from ops.audit import PUT_MAIL_ASIDE, SEND_MAIL_AGAIN, record_act
from ops.effects.mail.facts import readers_of
from ops.effects.mail.models import Mail, MailState
from ops.effects.mail.outbox import send_one

UNSENT = (MailState.DUE, MailState.REFUSED)


class CannotSend(Exception):
    """The mail cannot be sent, or was not taken again. The text says why, for whoever tried."""


def send_again(mail: Mail, actor: User, *, reason: str, now: datetime) -> None:
    """Send an unsent mail now, in its old words. Must not be called in a transaction.

    One that was written while nobody read the organization's mail goes to who reads it first by now. Raises CannotSend.
    """
    with transaction.atomic():
        row = locked(mail)
        if not row.to:
            readers = readers_of(row.organization)
            if not readers:
                raise CannotSend(_("There is still no address: give the organization an owner or a billing address."))
            row.to = readers[0].email
        tell(row, actor, SEND_MAIL_AGAIN, reason, MailState.DUE, now=now)
        row.state = MailState.DUE
        row.save(update_fields=["state", "to"])
    error = send_one(row)
    row.refresh_from_db()
    if row.state != MailState.SENT:
        raise CannotSend(_("It was not taken: %(error)s") % {"error": error or row.error})


def put_aside(mail: Mail, actor: User, *, reason: str, now: datetime) -> None:
    """Say that a mail is not to be sent any more: the customer knows by another way. Raises CannotSend."""
    with transaction.atomic():
        row = locked(mail)
        tell(row, actor, PUT_MAIL_ASIDE, reason, MailState.ASIDE, now=now)
        row.state = MailState.ASIDE
        row.save(update_fields=["state"])


def locked(mail: Mail) -> Mail:
    row = Mail.objects.select_for_update(of=("self",)).select_related("organization").get(pk=mail.pk)
    if row.state not in UNSENT:
        raise CannotSend(_("This mail is settled already: %(state)s.") % {"state": row.get_state_display()})
    return row


def tell(row: Mail, actor: User, act: str, reason: str, state: MailState, *, now: datetime) -> None:
    record_act(
        actor,
        act,
        subject_kind="mail",
        subject_id=str(row.pk),
        reason=reason,
        before={"state": row.state, "to": row.to, "error": row.error},
        after={"state": state.value, "to": row.to},
        now=now,
    )
