"""What the portal does for Step Functions: tasks that it was handed, and machines whose executions it reads."""

from typing import Any

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from ops.workflows.models import Execution, StateMachine


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
    redriven = models.PositiveIntegerField(default=0)  # how often the execution had been redriven when that was seen
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
    untold = models.PositiveIntegerField(default=0)  # how often Step Functions could not be told the answer
    answer: "models.JSONField[Any, Any]" = models.JSONField(null=True)  # {"result": …} or {"error": …, "cause": …}
    for_good = models.BooleanField(default=False)  # the answer is an error, and the effect surely did nothing
    # Why it is called again; of an answer, why Step Functions was not told it, or did not want it.
    error = models.TextField(blank=True, default="")
    received_at = models.DateTimeField(_("received"))

    class Meta:
        verbose_name = _("task of Step Functions")
        verbose_name_plural = _("tasks of Step Functions")
        constraints = [models.UniqueConstraint(fields=["origin", "twin"], name="activity_task_once")]
        indexes = [
            models.Index(fields=["due_at", "id"], condition=Q(due_at__isnull=False), name="activity_task_due"),
            models.Index(fields=["received_at"], name="activity_task_old"),
            models.Index(fields=["execution"], condition=~Q(execution=""), name="activity_task_execution"),
        ]

    def __str__(self) -> str:
        return self.origin

    @property
    def key(self) -> str:
        """The effect's idempotency key."""
        return f"{self.origin}:{self.twin}:{self.round}"

    @property
    def succeeded(self) -> bool:
        return self.state == TaskState.TOLD and "result" in (self.answer or {})

    @property
    def may_be_done(self) -> bool:
        """Whether its effect may have done something of which the execution there does not know."""
        return not self.succeeded and not self.for_good


class DeployedMachine(models.Model):
    """A state machine on AWS, and how far its executions there have been read."""

    machine = models.ForeignKey(StateMachine, on_delete=models.CASCADE, related_name="deployed")
    arn = models.CharField(max_length=2048, unique=True)
    # Every execution that started before it has its row here.
    listed_until = models.DateTimeField(null=True, blank=True)
    # A list that is not read to its end: when it was begun, and AWS's token for its next page.
    listing_since = models.DateTimeField(null=True, blank=True)
    next_page = models.TextField(blank=True, default="")
    followed = models.BigIntegerField(default=0)  # the last execution whose history was looked at: they take turns
    looked_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True, default="")  # why AWS could not be read
    troubles = models.PositiveSmallIntegerField(default=0)  # how often in a row
    # Nobody reads it before: somebody does so now, or AWS is left in peace after trouble.
    rests_until = models.DateTimeField(null=True, blank=True)
    # ARNs of published versions, which never change, with the ids of the versions here that say the same.
    versions: "models.JSONField[dict[str, int], dict[str, int]]" = models.JSONField(default=dict)
    asked = models.BigIntegerField(default=0)  # the last ended execution that AWS was asked about: they take turns

    class Meta:
        verbose_name = _("state machine on AWS")
        verbose_name_plural = _("state machines on AWS")

    def __str__(self) -> str:
        return self.arn


class MapRunOnAws(models.Model):
    """One run of a distributed Map of an execution on AWS, as AWS counts it."""

    execution = models.ForeignKey(Execution, on_delete=models.CASCADE, related_name="map_runs")
    arn = models.CharField(max_length=2048, unique=True)
    state_name = models.CharField(max_length=80, blank=True, default="")
    status = models.CharField(max_length=10, default="RUNNING")  # SUCCEEDED, FAILED, ABORTED: Step Functions' words
    # DescribeMapRun's itemCounts and executionCounts, of which one item may have many in a batch.
    items: "models.JSONField[dict[str, int], dict[str, int]]" = models.JSONField(default=dict)
    children_counts: "models.JSONField[dict[str, int], dict[str, int]]" = models.JSONField(default=dict)
    concurrency = models.PositiveIntegerField(default=0)  # 0: no limit of its own
    tolerated_count = models.PositiveBigIntegerField(default=0)
    tolerated_percentage = models.FloatField(default=0.0)
    redrives = models.PositiveSmallIntegerField(default=0)
    redriven_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    is_read = models.BooleanField(default=False)  # it has ended, and all that is kept of it is here
    error = models.TextField(blank=True, default="")  # why its children could not be listed

    class Meta:
        verbose_name = _("Map Run on AWS")
        verbose_name_plural = _("Map Runs on AWS")
        indexes = [models.Index(fields=["id"], condition=Q(is_read=False), name="map_run_on_aws_unread")]

    def __str__(self) -> str:
        return self.arn


class ExecutionOnAws(models.Model):
    """What only executions on AWS have: whose child one is, and whether AWS would redrive it."""

    execution = models.OneToOneField(Execution, on_delete=models.CASCADE, primary_key=True, related_name="on_aws")
    map_run = models.ForeignKey(MapRunOnAws, null=True, blank=True, on_delete=models.CASCADE, related_name="children")
    # DescribeExecution's redriveStatus: REDRIVABLE, NOT_REDRIVABLE, REDRIVABLE_BY_MAP_RUN; empty until it was asked.
    redrive_status = models.CharField(max_length=24, blank=True, default="")
    redrive_reason = models.TextField(blank=True, default="")
    redriven_at = models.DateTimeField(null=True, blank=True)
    looked_at = models.DateTimeField(null=True, blank=True)  # when its history was last asked for

    class Meta:
        verbose_name = _("execution on AWS")
        verbose_name_plural = _("executions on AWS")

    def __str__(self) -> str:
        return str(self.execution_id)
