"""Backtests that were asked for, and the executions that would have run."""

from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class TrialState(models.TextChoices):
    DUE = "due", _("Waits for a worker")
    RUNNING = "running", _("Running")
    DONE = "done", _("Done")
    FAILED = "failed", _("Failed")


class PlaybookTrial(models.Model):
    """One backtest of a playbook over a period. Whoever runs it holds a lease; one that died is begun anew."""

    playbook = models.CharField(_("playbook"), max_length=80)
    rule_name = models.CharField(_("rule"), max_length=80)
    machine_name = models.CharField(_("state machine"), max_length=80, blank=True, default="")
    since: "models.DateTimeField[datetime, datetime]" = models.DateTimeField(_("from"))
    until: "models.DateTimeField[datetime, datetime]" = models.DateTimeField(_("to"))
    asked_by: "models.ForeignKey[Any, Any]" = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    asked_at: "models.DateTimeField[datetime, datetime]" = models.DateTimeField(_("asked"))
    state = models.CharField(_("state"), max_length=8, choices=TrialState.choices, default=TrialState.DUE)
    claimed_until = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    error = models.TextField(blank=True, default="")
    total = models.PositiveBigIntegerField(default=0)  # events of the period
    looked = models.PositiveBigIntegerField(default=0)
    archived = models.PositiveBigIntegerField(default=0)  # without a payload here: whether they fit is not known
    matched = models.PositiveBigIntegerField(default=0)
    repeated = models.PositiveBigIntegerField(default=0)  # told of what had an execution already
    without_input = models.PositiveBigIntegerField(default=0)
    seconds = models.FloatField(default=0.0)

    class Meta:
        verbose_name = _("backtest of a playbook")
        verbose_name_plural = _("backtests of playbooks")
        indexes = [
            models.Index(fields=["-asked_at"], name="trial_newest"),
            models.Index(fields=["asked_at"], condition=Q(state__in=["due", "running"]), name="trial_open"),
        ]

    def __str__(self) -> str:
        return f"{self.playbook} · {self.rule_name}"


class TriedRun(models.Model):
    """One execution as it would have gone; amounts in minor units."""

    trial = models.ForeignKey(PlaybookTrial, on_delete=models.CASCADE, related_name="runs", db_index=False)
    name = models.CharField(max_length=255)
    event_id = models.CharField(max_length=255)
    customer_id = models.CharField(max_length=255)
    organization = models.CharField(max_length=255)
    started_at: "models.DateTimeField[datetime, datetime]" = models.DateTimeField()
    ended_at: "models.DateTimeField[datetime, datetime]" = models.DateTimeField()
    status = models.CharField(max_length=10)
    ending = models.CharField(max_length=255)
    error = models.CharField(max_length=256, blank=True, default="")
    amount = models.BigIntegerField(null=True)
    currency = models.CharField(max_length=3, blank=True, default="")
    touched: "models.JSONField[list[dict[str, str]], list[dict[str, str]]]" = models.JSONField(default=list)

    class Meta:
        indexes = [models.Index(fields=["trial", "ending"], name="tried_run_by_ending")]

    def __str__(self) -> str:
        return self.name

    @property
    def steps(self) -> list[dict[str, Any]]:
        """What would have been done, each with its moment."""
        return [{**each, "at": datetime.fromisoformat(each["at"])} for each in self.touched]
