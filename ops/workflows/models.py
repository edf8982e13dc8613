"""State machines, their versions, and executions: where each stands, what it has called, what happened in it."""

import json
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex, GinIndex
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from ops.rules.models import NAME


class StateMachine(models.Model):
    """A workflow by its name; what it does stands in its versions."""

    name = models.CharField(_("name"), max_length=80, unique=True, validators=[NAME])
    notes = models.TextField(_("notes"), blank=True, default="")
    # The version that new executions run. None: none may start.
    current = models.ForeignKey(
        "StateMachineVersion",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        verbose_name=_("version"),
    )
    # Another version that a part of new executions runs, in percent: a new one is tried on few (AWS docs, "Aliases").
    tried = models.ForeignKey("StateMachineVersion", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    tried_percent = models.PositiveSmallIntegerField(default=0)
    # What `$$.Execution.RoleArn` says; nothing here is done by that role. Empty: a name of this place's own.
    role_arn = models.CharField("role ARN", max_length=256, blank=True, default="", db_default="")

    class Meta:
        verbose_name = _("state machine")
        verbose_name_plural = _("state machines")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def purpose(self) -> str:
        """What it is for: its notes, else what its current definition says of itself."""
        said = json.loads(self.current.definition).get("Comment") if self.current and not self.notes else ""
        return self.notes or str(said or "")


class StateMachineVersion(models.Model):
    """A definition. Written once, never changed: executions keep the version that they began with."""

    machine = models.ForeignKey(StateMachine, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField(_("version"))
    definition = models.TextField(_("definition"))  # JSON text as it was written
    changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    reason = models.TextField(_("reason"), blank=True, default="")
    changed_at = models.DateTimeField(_("changed"))
    path = models.CharField(max_length=255, blank=True, default="")  # its file below the playbooks; empty: saved here

    class Meta:
        verbose_name = _("version of a state machine")
        verbose_name_plural = _("versions of state machines")
        ordering = ["machine", "-number"]
        constraints = [models.UniqueConstraint(fields=["machine", "number"], name="state_machine_version_once")]

    def __str__(self) -> str:
        return f"{self.machine_id}:{self.number}"

    @property
    def states_at_top(self) -> list[str]:
        """The names of the machine's own states, without those inside branches and maps."""
        return list(json.loads(self.definition)["States"])


class Status(models.TextChoices):
    """How an execution stands, in Step Functions' words."""

    RUNNING = "RUNNING", _("Running")
    SUCCEEDED = "SUCCEEDED", _("Succeeded")
    FAILED = "FAILED", _("Failed")
    TIMED_OUT = "TIMED_OUT", _("Timed out")
    ABORTED = "ABORTED", _("Stopped")  # by a person


class Execution(models.Model):
    """One run of a state machine. Whoever changes where it stands holds the row's lock."""

    version = models.ForeignKey(StateMachineVersion, on_delete=models.PROTECT, related_name="executions")
    # Unique for each machine at each place: starting one again by its name gives the one that was started.
    machine = models.ForeignKey(StateMachine, on_delete=models.PROTECT, related_name="executions")
    name = models.CharField(_("name"), max_length=80)
    status = models.CharField(_("status"), max_length=10, choices=Status.choices, default=Status.RUNNING)
    input: "models.JSONField[Any, Any]" = models.JSONField(_("input"), null=True)
    output: "models.JSONField[Any, Any]" = models.JSONField(_("output"), null=True)
    error = models.CharField(_("error"), max_length=256, blank=True, default="")
    cause = models.TextField(_("cause"), blank=True, default="")
    # Where it stands; of one that ended other than well, where it stood: a redrive goes on from there.
    walkers: "models.JSONField[Any, Any]" = models.JSONField(default=list)
    next_walker = models.PositiveIntegerField(default=1)
    # The states in which it stands, or in which it failed, a line each: what is counted for each state of a machine.
    standing = models.TextField(blank=True, default="")
    calls = models.PositiveIntegerField(default=0)  # that it has made
    events = models.PositiveIntegerField(default=0)  # in its history
    # When somebody must look at it next; None while it only waits for answers, is paused, or has ended.
    due_at = models.DateTimeField(null=True, blank=True)
    ends_by = models.DateTimeField(null=True, blank=True)  # the machine's TimeoutSeconds
    paused_at = models.DateTimeField(_("paused"), null=True, blank=True)
    redrives = models.PositiveSmallIntegerField(default=0)
    redriven_at = models.DateTimeField(null=True, blank=True)  # the last time
    # Of one that runs on AWS, its ARN there; empty for those that run here. Nothing here advances one on AWS.
    arn = models.CharField("ARN", max_length=2048, blank=True, default="")
    # What it goes back to, for people: the event and the customer.
    event_id = models.CharField(_("event"), max_length=255, blank=True, default="")
    customer_id = models.CharField(_("customer"), max_length=255, blank=True, default="")
    depth = models.PositiveSmallIntegerField(default=0)
    # The call of another execution that waits for this one; `untold` until it was told how this one ended.
    parent_call = models.ForeignKey(
        "TaskCall", null=True, blank=True, on_delete=models.SET_NULL, related_name="children", db_index=False
    )
    untold = models.BooleanField(default=False, db_default=False)
    map_index = models.PositiveIntegerField(null=True, blank=True)  # of a distributed Map's child: which item's
    has_history = models.BooleanField(default=True, db_default=True)  # until it is pruned
    started_at = models.DateTimeField(_("started"))
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)

    class Meta:
        verbose_name = _("execution")
        verbose_name_plural = _("executions")
        constraints = [
            models.UniqueConstraint(fields=["machine", "name"], condition=Q(arn=""), name="execution_name_once"),
            models.UniqueConstraint(fields=["arn"], condition=~Q(arn=""), name="execution_on_aws_once"),
        ]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(status="RUNNING", due_at__isnull=False), name="execution_due"),
            models.Index(fields=["machine", "-started_at"], name="execution_newest"),
            # Counts by state read this index alone, at a million rows too; its entries repeat and are stored once.
            models.Index(fields=["machine", "status", "standing"], name="execution_standing"),
            models.Index(fields=["customer_id", "-started_at"], name="execution_by_customer"),
            models.Index(fields=["id"], condition=Q(untold=True), name="execution_untold"),
            models.Index(
                fields=["finished_at"], condition=Q(has_history=True, finished_at__isnull=False), name="execution_told"
            ),
            models.Index(fields=["finished_at"], condition=Q(has_history=False), name="execution_old"),
            models.Index(fields=["-finished_at"], condition=Q(status="FAILED"), name="execution_failed"),
            # Those on AWS that may have more to tell.
            models.Index(
                fields=["machine"],
                condition=(Q(status="RUNNING") | Q(events=0)) & ~Q(arn=""),
                name="execution_on_aws_open",
            ),
            # What lists are filtered by, the newest first. Few rows have an entry in each.
            models.Index(
                fields=["parent_call", "id"], condition=Q(parent_call__isnull=False), name="execution_children"
            ),
            models.Index(fields=["id"], condition=Q(status="RUNNING"), name="execution_running"),
            models.Index(
                fields=["id"], condition=Q(status__in=["FAILED", "TIMED_OUT", "ABORTED"]), name="execution_broken"
            ),
            models.Index(fields=["id"], condition=Q(status="ABORTED"), name="execution_stopped"),
            models.Index(fields=["id"], condition=Q(paused_at__isnull=False), name="execution_paused"),
            models.Index(fields=["name"], condition=~Q(arn=""), name="execution_on_aws_named"),
            BrinIndex(fields=["started_at"], autosummarize=True, name="execution_by_day"),
        ]

    def __str__(self) -> str:
        return self.name


LONGEST_STANDING = 2_000  # bytes; an entry of an index must fit a page


def written_states(names: Iterable[str]) -> str:
    """Write the names of states a line each, as `Execution.standing` holds them; as many as fit an index's entry."""
    lines: list[str] = []
    room = LONGEST_STANDING
    for name in names:
        room -= len(name.encode()) + 1
        if room < 0:
            break
        lines.append(name)
    return "\n".join(lines)


class HistoryEvent(models.Model):
    """One event of an execution, in Step Functions' types and order."""

    # No constraint and no index of its own: a dozen rows are written for each execution, always with it, and the
    # unique index below finds them.
    execution = models.ForeignKey(
        Execution, on_delete=models.CASCADE, related_name="history", db_index=False, db_constraint=False
    )
    number = models.PositiveIntegerField()
    previous = models.PositiveIntegerField()
    type = models.CharField(max_length=40)
    name = models.CharField(max_length=80, blank=True, default="")  # the state's
    details: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField(default=dict)
    at = models.DateTimeField()

    class Meta:
        verbose_name = _("event of an execution")
        verbose_name_plural = _("events of executions")
        constraints = [models.UniqueConstraint(fields=["execution", "number"], name="history_event_once")]

    def __str__(self) -> str:
        return f"{self.number} {self.type}"


class CallState(models.TextChoices):
    """How far a Task's call has come. The row is the intent, committed before anything is called."""

    DUE = "due", _("Due")
    WAITING = "waiting", _("Waiting for an answer")  # it was called; the answer comes from outside, by its token
    ANSWERED = "answered", _("Answered")
    TAKEN = "taken", _("Taken")  # the execution has gone on with the answer
    DROPPED = "dropped", _("No longer wanted")  # the execution went on or ended without it


class TaskCall(models.Model):
    """One call of a Task state. The key is the same however often it is made."""

    execution = models.ForeignKey(Execution, on_delete=models.CASCADE, related_name="task_calls", db_index=False)
    number = models.PositiveIntegerField()  # of the execution's calls
    # The number in its key: that of an earlier call which it tries again, where that one may have done something.
    key_number = models.PositiveIntegerField(null=True)
    # Whether something may have been done under its key: it succeeded, or what came of it is not known.
    may_be_done = models.BooleanField(default=False)
    walker = models.PositiveIntegerField()
    state_name = models.CharField(max_length=80)
    resource = models.CharField(max_length=1600)
    arguments: "models.JSONField[Any, Any]" = models.JSONField(null=True)
    # SHA-256 of the token by which an answer comes from outside; the token itself stands nowhere.
    token_hash = models.CharField(max_length=64, blank=True, default="")
    heartbeat_seconds = models.PositiveIntegerField(null=True)
    timeout_at = models.DateTimeField(null=True)
    state = models.CharField(max_length=8, choices=CallState.choices, default=CallState.DUE)
    due_at = models.DateTimeField(null=True, blank=True)
    claimed_until = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)  # whether it was made before
    answer: "models.JSONField[Any, Any]" = models.JSONField(null=True)  # {"result": …} or {"error": …, "cause": …}
    error = models.TextField(blank=True, default="")  # why it is made again

    class Meta:
        constraints = [models.UniqueConstraint(fields=["execution", "number"], name="task_call_once")]
        indexes = [
            models.Index(fields=["due_at", "id"], condition=Q(state="due"), name="task_call_due"),
            models.Index(
                fields=["due_at"],
                condition=Q(state__in=["answered", "taken", "dropped"], due_at__isnull=False),
                name="task_call_stray",
            ),
            models.Index(fields=["token_hash"], condition=~Q(token_hash=""), name="task_call_token"),
        ]

    def __str__(self) -> str:
        return f"{self.execution_id}:{self.number}"


class MapRun(models.Model):
    """How far a distributed Map has come; its children are executions whose `parent_call` is this one's call."""

    call = models.OneToOneField(TaskCall, on_delete=models.CASCADE, related_name="map_run")
    total = models.PositiveIntegerField()
    concurrency = models.PositiveIntegerField()
    tolerated_count = models.FloatField(null=True)
    tolerated_percentage = models.FloatField(null=True)
    started = models.PositiveIntegerField(default=0)
    succeeded = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    exceeded = models.BooleanField(default=False)  # more failed than may
    redrives = models.PositiveSmallIntegerField(default=0, db_default=0)
    # Of a redriven run: how many of its children wait to go on, and from which item on they stand.
    pending = models.PositiveIntegerField(default=0, db_default=0)
    redriven_until = models.PositiveIntegerField(default=0, db_default=0)

    def __str__(self) -> str:
        return f"map-{self.call_id}"


class EventWait(models.Model):
    """A call that waits for an event. Gone once it is met; what was met stands in the call's answer."""

    # Who waits: a call of an execution here, or a task of Step Functions by its token.
    call = models.OneToOneField(TaskCall, null=True, blank=True, on_delete=models.CASCADE, related_name="wait")
    foreign_token = models.TextField(blank=True, default="")
    pattern = models.TextField()  # JSON
    object_id = models.CharField(max_length=255, blank=True, default="")  # only events about it count
    since = models.DateTimeField()  # what arrived before does not count
    not_event = models.CharField(max_length=255, blank=True, default="")  # the event that began the execution
    # Whose events of Stripe's count: a configured account's by its name, in one mode. Without a mode: everybody's.
    owner = models.CharField(max_length=64, blank=True, default="", db_default="")
    livemode = models.BooleanField(null=True)
    # Every event that meets it has one of `keys`, which are all of one name (`waits.wanted`).
    key_name = models.CharField(max_length=512)
    keys: "ArrayField[list[str], list[str]]" = ArrayField(models.TextField())
    until = models.DateTimeField(_("at most until"), null=True, blank=True)
    created_at = models.DateTimeField(_("since"))
    # The event, where a task of Step Functions has yet to be told of it.
    met: "models.JSONField[Any, Any]" = models.JSONField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["foreign_token"], condition=~Q(foreign_token=""), name="event_wait_abroad_once"
            )
        ]
        indexes = [
            models.Index(fields=["key_name"], condition=Q(met__isnull=True), name="event_wait_names"),
            GinIndex(fields=["keys"], name="event_wait_keys", fastupdate=False),
        ]

    def __str__(self) -> str:
        return self.pattern
