"""Questions to customers, and the links by which they are answered."""

from datetime import datetime
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class Answer(models.TextChoices):
    YES = "yes", _("Agreed")
    NO = "no", _("Declined")


class Question(models.Model):
    """What a workflow asks an organization. Its call waits until one reader answers, or until its time is over."""

    # Who waits: the call of an execution here, or a task of Step Functions. Without both, nobody does any more.
    call: "models.ForeignKey[Any, Any]" = models.ForeignKey(
        "ops.TaskCall", null=True, on_delete=models.SET_NULL, related_name="questions"
    )
    task: "models.ForeignKey[Any, Any]" = models.ForeignKey(
        "ops.ActivityTask", null=True, on_delete=models.SET_NULL, related_name="questions"
    )
    key = models.CharField(max_length=255, unique=True)  # of the call that asks
    by = models.CharField(_("asked by"), max_length=255)  # the state machine
    organization = models.ForeignKey("accounts.Organization", on_delete=models.CASCADE, related_name="+")
    customer_id = models.CharField(_("customer"), max_length=255)
    subject = models.CharField(_("about"), max_length=255, blank=True, default="")  # in_…, sub_…
    # By language, or in one for all under an empty name.
    text: "models.JSONField[dict[str, str], dict[str, str]]" = models.JSONField()
    note: "models.JSONField[dict[str, str], dict[str, str]]" = models.JSONField(default=dict)
    amount = models.BigIntegerField(_("amount"), null=True, blank=True)  # minor units; None: it is not about money
    currency = models.CharField(max_length=3, blank=True, default="")
    asked_at: "models.DateTimeField[datetime, datetime]" = models.DateTimeField(_("asked"))
    until: "models.DateTimeField[datetime, datetime]" = models.DateTimeField(_("until"))
    replaced_at = models.DateTimeField(_("replaced"), null=True, blank=True)  # it was asked anew
    answer = models.CharField(_("answer"), max_length=3, choices=Answer.choices, blank=True, default="")
    answered_at = models.DateTimeField(_("answered"), null=True, blank=True)
    answered_by = models.ForeignKey("ops.QuestionLink", null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        verbose_name = _("question to a customer")
        verbose_name_plural = _("questions to customers")
        indexes = [
            models.Index(fields=["-asked_at"], name="question_newest"),
            models.Index(
                fields=["customer_id", "by", "subject"],
                condition=Q(answer="", replaced_at__isnull=True),
                name="question_open",
            ),
        ]

    def __str__(self) -> str:
        return said(self.text, "en")


class QuestionLink(models.Model):
    """One reader's link. The token in it stands nowhere: it is made of this row and a secret when the mail goes out."""

    question = models.ForeignKey(Question, on_delete=models.CASCADE, related_name="links")
    email = models.EmailField()
    name = models.CharField(max_length=255, blank=True, default="")
    language = models.CharField(max_length=10)
    zone = models.CharField(max_length=64)
    salt = models.CharField(max_length=64)  # random
    token_hash = models.CharField(max_length=64, unique=True)  # SHA-256

    class Meta:
        constraints = [models.UniqueConstraint(fields=["question", "email"], name="question_link_once")]

    def __str__(self) -> str:
        return self.email


def said(text: dict[str, str], language: str) -> str:
    """A text in this language, else in English, else in whichever there is."""
    return text.get(language) or text.get("en") or next(iter(text.values()), "")
