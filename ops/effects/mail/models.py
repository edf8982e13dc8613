"""The outbox: one row for each mail to one person, written whole before anything is sent."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy


class MailState(models.TextChoices):
    DUE = "due", _("To be sent")
    SENT = "sent", pgettext_lazy("mail", "Sent")  # a mail server has taken it
    REFUSED = "refused", _("Refused")  # by the mail server, for good; or there was no address
    ASIDE = "aside", _("Put aside")  # an operator has said that it is not to be sent any more


class Mail(models.Model):
    """A mail as it is, or was, sent: what was written once does not change, however often it is tried."""

    key = models.CharField(max_length=512)  # one execution and step
    to = models.EmailField(_("to"), blank=True)  # empty: nobody reads the organization's mail
    organization = models.ForeignKey("accounts.Organization", on_delete=models.CASCADE, related_name="+")
    customer_id = models.CharField(_("customer"), max_length=255)
    template = models.CharField(_("template"), max_length=128)  # playbook/name
    language = models.CharField(_("language"), max_length=10)
    subject = models.CharField(_("subject"), max_length=255)
    text = models.TextField()
    html = models.TextField()
    message_id = models.CharField(max_length=255)
    state = models.CharField(_("state"), max_length=8, choices=MailState.choices, default=MailState.DUE)
    claimed_until = models.DateTimeField(null=True, blank=True)  # one worker at a time
    attempts = models.PositiveIntegerField(default=0)
    error = models.TextField(blank=True, default="")  # why it was not taken last
    written_at = models.DateTimeField(_("written"))
    sent_at = models.DateTimeField(_("sent"), null=True, blank=True)

    class Meta:
        verbose_name = _("mail")
        verbose_name_plural = _("mails")
        constraints = [models.UniqueConstraint(fields=["key", "to"], name="mail_once")]
        indexes = [
            models.Index(fields=["-written_at"], name="mail_newest"),
            models.Index(fields=["customer_id", "-written_at"], name="mail_by_customer"),
            models.Index(fields=["written_at"], condition=Q(state="due"), name="mail_due"),
            models.Index(fields=["written_at"], condition=Q(state="refused"), name="mail_refused"),
            models.Index(fields=["written_at"], condition=Q(state__in=["sent", "aside"]), name="mail_settled"),
        ]

    def __str__(self) -> str:
        return self.subject
