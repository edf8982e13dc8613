"""What the portal does for Step Functions: tasks that it was handed, and machines whose executions it reads."""

from typing import Any

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from ops.workflows.models import StateMachine


class TaskState(models.TextChoices):
    """How far a task of an activity has come. The row is the intent, committed before the effect is called."""

    DUE = "due", _("Due")
    WAITING = "waiting", _("Waiting for an answer")  # the effect has begun something that will answer
    ANSWERED = "answered", _("Answered")  # recorded; Step Functions has yet to be told
    TOLD = "told", _("Told")  # Step Functions has the answer
    LATE = "late", _("No longer wanted")  # Step Functions waits no more; the same call may yet come again


class ActivityTask(models.Model):
    """One call of an effect by an execution on Step Functions, however often its task is handed out."""

    # Execution, state, entering of the state and arguments: the same when the state is tried again.
    origin = models.CharField(max_length=255)
    twin = models.PositiveIntegerField(default=0)  # tells calls with one origin apart (`origins.Origin`)
    tried = models.PositiveIntegerField(default=0)  # how often the state had been tried before the last hand-out
    # Counts calls that were refused for good, so that nothing was done; the next is another call, with another key.
    round = models.PositiveIntegerField(default=0)
    activity = models.CharField(max_length=2048)  # its ARN on AWS
    execution = models.CharField(max_length=2048, blank=True, default="")  # its ARN
    state_name = models.CharField(max_length=80, blank=True, default="")
    arguments: "models.JSONField[Any, Any]" = models.JSONField(null=True)
    token_hash = models.CharField(max_length=64)  # SHA-256
    sealed_token = models.TextField()
    state = models.CharField(max_length=8, choices=TaskState.choices, default=TaskState.DUE)
    # When somebody must look at it: to call, to call again, to tell. Whoever does so moves it on first: a lease.
    due_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    handed_out = models.PositiveIntegerField(default=1)
    answer: "models.JSONField[Any, Any]" = models.JSONField(null=True)  # {"result": …} or {"error": …, "cause": …}
    for_good = models.BooleanField(default=False)  # the answer is an error, and the effect surely did nothing
    error = models.TextField(blank=True, default="")  # why it is called again
    received_at = models.DateTimeField(_("received"))

    class Meta:
        verbose_name = _("task of Step Functions")
        verbose_name_plural = _("tasks of Step Functions")
        constraints = [models.UniqueConstraint(fields=["origin", "twin"], name="activity_task_once")]
        indexes = [
            models.Index(fields=["due_at", "id"], condition=Q(due_at__isnull=False), name="activity_task_due"),
            models.Index(fields=["received_at"], name="activity_task_old"),
        ]

    def __str__(self) -> str:
        return self.origin

    @property
    def key(self) -> str:
        """The effect's idempotency key."""
        return f"{self.origin}:{self.twin}:{self.round}"


class DeployedMachine(models.Model):
    """A state machine on AWS, and how far its executions there have been read."""

    machine = models.ForeignKey(StateMachine, on_delete=models.CASCADE, related_name="deployed")
    arn = models.CharField(max_length=2048, unique=True)
    # Every execution that started before it has its row here.
    listed_until = models.DateTimeField(null=True, blank=True)
    followed = models.BigIntegerField(default=0)  # the last execution whose history was looked at: they take turns
    looked_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True, default="")  # why AWS could not be read

    class Meta:
        verbose_name = _("state machine on AWS")
        verbose_name_plural = _("state machines on AWS")

    def __str__(self) -> str:
        return self.arn
