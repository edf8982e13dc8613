"""Findings: one row for each problem, from when it was seen first until its cause is gone."""

from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import F, Q, Value
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy as _


class FindingKind(models.TextChoices):
    """Which problem it is; the words for each stand in `ops.remediation.words`."""

    EVENTS_FAILED = "events-failed", _("Events failed")  # the mirror gave them up for one cause
    MIRROR_LATE = "mirror-late", _("The mirror is late")  # events wait longer than they should
    DRIFT = "drift", _("The mirror differs from Stripe")  # of one kind of object
    POLL_OLD = "poll-old", _("The events API was not read for long")  # Stripe forgets after 30 days
    POLL_FAILING = "poll-failing", _("The events API does not answer")
    MESSAGES_ASIDE = "messages-aside", _("Messages stand aside")  # of one queue, that nobody could read
    ARCHIVE_BEHIND = "archive-behind", _("The archive is behind")  # payloads stay longer than they should
    BEAT_SILENT = "beat-silent", _("Beat is silent")  # schedules do not run
    RULE = "rule", _("A rule says so")  # a rule's target opened it; closed by a rule or by hand
    DEAD_LETTERS = "dead-letters", _("Calls of targets were given up")  # of one rule's target
    RULES_LATE = "rules-late", _("Rules are late")  # events wait for them, or calls that are due
    RULE_LOOP = "rule-loop", _("Rules call each other in a circle")
    EXECUTION_LOOP = "execution-loop", _("A workflow goes round without an end")
    DESTINATION_AWAY = "destination-away", _("A destination does not answer")  # its circuit breaker is open
    MAILS_REFUSED = "mails-refused", _("Mails were refused")  # to one address for good, or there is none
    MAILS_WAITING = "mails-waiting", _("Mails wait")  # the mail server does not take them


class Severity(models.TextChoices):
    URGENT = "urgent", _("Urgent")  # customers see or will soon see something wrong
    ATTENTION = "attention", _("Attention")  # nobody is harmed yet


NEVER = Value(datetime(9999, 12, 31, tzinfo=UTC), models.DateTimeField())
# The order of lists, descending: what is open before what is closed, the newest first.
OPEN_FIRST = (Coalesce("closed_at", NEVER), F("severity"), F("opened_at"))
UNDECIDED_FIRST = (Coalesce("decided_at", NEVER), F("asked_at"))


class Finding(models.Model):
    """One problem. Opened and closed by looking at rows (`ops.remediation.findings`), never by hand.

    Only what a rule opened (`RULE`) has no row to be looked at: a rule closes it, or a person does.
    """

    kind = models.CharField(_("kind"), max_length=32, choices=FindingKind.choices)
    subject = models.CharField(_("subject"), max_length=512, blank=True, default="")  # what it is about, as ids go
    severity = models.CharField(_("severity"), max_length=10, choices=Severity.choices)
    evidence = models.JSONField(default=dict)  # what was seen last: numbers, ids, sentences
    dedup_key = models.CharField(max_length=600)  # one finding is open for each
    opened_at: "models.DateTimeField[datetime, datetime]" = models.DateTimeField(_("opened"))
    seen_at: "models.DateTimeField[datetime, datetime]" = models.DateTimeField(_("last seen"))
    closed_at = models.DateTimeField(_("closed"), null=True, blank=True)  # the cause was gone
    acknowledged_at = models.DateTimeField(_("acknowledged"), null=True, blank=True)  # somebody sees to it
    acknowledged_by: "models.ForeignKey[Any, Any]" = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        verbose_name = _("finding")
        verbose_name_plural = _("findings")
        constraints = [
            models.UniqueConstraint(fields=["dedup_key"], condition=Q(closed_at__isnull=True), name="finding_open_once")
        ]
        indexes = [
            models.Index(fields=["-opened_at"], name="finding_newest"),
            models.Index(*(column.desc() for column in OPEN_FIRST), F("id").desc(), name="finding_open_first"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} · {self.subject}" if self.subject else str(self.get_kind_display())

    @property
    def open(self) -> bool:
        return self.closed_at is None


class Decision(models.TextChoices):
    APPROVED = "approved", _("Approved")
    REFUSED = "refused", _("Refused")


class Approval(models.Model):
    """A question that a workflow asks people. Its call waits until somebody decides, or until its time is over."""

    # Who asks: the call of an execution here, or a task of Step Functions.
    call = models.OneToOneField("ops.TaskCall", null=True, on_delete=models.CASCADE, related_name="approval")
    task = models.OneToOneField("ops.ActivityTask", null=True, on_delete=models.CASCADE, related_name="approval")
    key = models.CharField(max_length=255, unique=True)  # of the call
    by = models.CharField(_("asked by"), max_length=255)  # the state machine
    question = models.CharField(_("question"), max_length=300)
    note = models.TextField(blank=True, default="")
    amount = models.BigIntegerField(_("amount"), null=True, blank=True)  # minor units; None: it is not about money
    currency = models.CharField(max_length=3, blank=True, default="")
    customer_id = models.CharField(_("customer"), max_length=255, blank=True, default="")
    subject = models.CharField(_("about"), max_length=255, blank=True, default="")  # in_…, sub_…
    evidence: "models.JSONField[Any, Any]" = models.JSONField(null=True)
    asked_at: "models.DateTimeField[datetime, datetime]" = models.DateTimeField(_("asked"))
    until = models.DateTimeField(_("until"), null=True, blank=True)
    decision = models.CharField(_("decision"), max_length=8, choices=Decision.choices, blank=True, default="")
    decided_by: "models.ForeignKey[Any, Any]" = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    decided_at = models.DateTimeField(_("decided"), null=True, blank=True)
    reason = models.TextField(_("reason"), blank=True, default="")

    class Meta:
        verbose_name = _("approval")
        verbose_name_plural = _("approvals")
        indexes = [
            models.Index(fields=["-asked_at"], name="approval_newest"),
            models.Index(*(column.desc() for column in UNDECIDED_FIRST), F("id").desc(), name="approval_open_first"),
            models.Index(fields=["asked_at"], condition=Q(decision=""), name="approval_open"),
        ]

    def __str__(self) -> str:
        return self.question
