"""What resyncs and drift checks did and found: the resync's place to go on from, and drift as a number over time."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _


class RunState(models.TextChoices):
    """How far a resync has come. One that was killed stays running: the next of its kind goes on with it."""

    RUNNING = "running", _("Running")  # somebody works on it, or was killed while working on it
    DONE = "done", _("Done")  # all its parts are done or unavailable
    STOPPED = "stopped", _("Stopped")  # Stripe or a person made it stop; the same command goes on with it


class ResyncRun(models.Model):
    """One resync: what was asked for, and when it began and ended. Its parts say how far it has come."""

    # What was asked for: kinds, since, customer, accounts, check. The same words go on with an unfinished run.
    wanted = models.JSONField()
    state = models.CharField(_("state"), max_length=10, choices=RunState.choices, default=RunState.RUNNING)
    started_at = models.DateTimeField(_("started"))
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)
    stage = models.PositiveSmallIntegerField(default=0)  # the parts of this stage have been planned
    error = models.TextField(_("error"), blank=True, default="")
    # What it has written, once it is done: [account's name, kind, change, number of objects] each. Before: its notes.
    written = models.JSONField(default=list)

    class Meta:
        verbose_name = _("resync")
        verbose_name_plural = _("resyncs")
        indexes = [models.Index(fields=["-started_at"], name="resync_newest")]

    def __str__(self) -> str:
        return f"resync {self.pk}"


class PartState(models.TextChoices):
    """How far a part of a resync has come."""

    WAITING = "waiting", _("Waiting")  # to be walked from its cursor on
    DONE = "done", _("Done")
    UNAVAILABLE = "unavailable", _("Unavailable")  # Stripe does not list this kind here, or not to this key: see note


class ResyncPart(models.Model):
    """One list, or a span of one, that is walked from its newest object to its oldest."""

    run = models.ForeignKey(ResyncRun, on_delete=models.CASCADE, related_name="parts")
    stage = models.PositiveSmallIntegerField()
    owner = models.CharField(max_length=64, blank=True, default="")  # the configured account's name
    kind = models.CharField(_("kind"), max_length=64)
    # Of the list: a customer, a test clock; or the parents to ask about; or how many need not be asked about.
    params = models.JSONField(default=dict)
    # `created` in Unix seconds: from `since` on, before `until`; null where nothing bounds it.
    since = models.BigIntegerField(null=True, blank=True)
    until = models.BigIntegerField(null=True, blank=True)
    # The last object (or parent) that is done, and its `created`: the place to go on from.
    cursor = models.CharField(max_length=255, blank=True, default="")
    reached = models.BigIntegerField(null=True, blank=True)
    state = models.CharField(_("state"), max_length=12, choices=PartState.choices, default=PartState.WAITING)
    counts = models.JSONField(default=dict)  # change → number of objects, but for what was written: see `ResyncNote`
    note = models.TextField(blank=True, default="")

    class Meta:
        indexes = [models.Index(fields=["run", "stage", "state"], name="resync_part_open")]

    def __str__(self) -> str:
        return f"{self.kind} of {self.run}"


class ResyncNote(models.Model):
    """What one transaction of a resync has written, noted in it: so it is counted, whoever was killed when."""

    run = models.ForeignKey(ResyncRun, on_delete=models.CASCADE, related_name="notes")
    owner = models.CharField(max_length=64, blank=True, default="")  # the configured account's name
    changes = models.JSONField()  # kind → object's id → change

    def __str__(self) -> str:
        return f"written by {self.run}"


class ListedParent(models.Model):
    """What one parent's own list brought when it was last asked for: a customer's payment methods. It stands in the
    mirror; the next resync may spare the question (`resync_spared.py`)."""

    owner = models.CharField(max_length=64, blank=True, default="")  # the configured account's name
    kind = models.CharField(max_length=64)  # of the children
    parent = models.CharField(max_length=255)
    children = ArrayField(models.TextField())  # their ids, in order
    listed_at = models.BigIntegerField()  # Unix seconds of Stripe's time: a second before the question

    class Meta:
        constraints = [models.UniqueConstraint(fields=["owner", "kind", "parent"], name="listed_parent_once")]

    def __str__(self) -> str:
        return f"{self.kind} of {self.parent}"


class DriftCheck(models.Model):
    """One comparison of the mirror with Stripe: how much was looked at, how much differed, how much was healed."""

    owner = models.CharField(_("account"), max_length=64, blank=True, default="")
    started_at = models.DateTimeField(_("started"))
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)
    looked_at = models.PositiveIntegerField(_("looked at"), default=0)
    differing = models.PositiveIntegerField(_("differing"), default=0)
    healed = models.PositiveIntegerField(_("healed"), default=0)
    per_kind = models.JSONField(default=dict)  # kind → {"looked_at": …, "differing": …, "healed": …}
    error = models.TextField(_("error"), blank=True, default="")  # why it could not look at everything

    class Meta:
        verbose_name = _("drift check")
        verbose_name_plural = _("drift checks")
        indexes = [models.Index(fields=["owner", "-started_at"], name="drift_check_newest")]

    def __str__(self) -> str:
        return f"drift check {self.pk}"


class DriftDifference(models.Model):
    """One field in which the mirror differed from Stripe."""

    check_run = models.ForeignKey(DriftCheck, on_delete=models.CASCADE, related_name="differences")
    kind = models.CharField(_("kind"), max_length=64)
    object_id = models.CharField(_("object"), max_length=255)
    path = models.CharField(_("field"), max_length=255, blank=True)  # items.data[0].quantity; empty: the whole object
    ours = models.JSONField(_("in the mirror"), null=True)
    theirs = models.JSONField(_("at Stripe"), null=True)
    healed_at = models.DateTimeField(_("healed"), null=True, blank=True)

    class Meta:
        verbose_name = _("difference")
        verbose_name_plural = _("differences")
        indexes = [models.Index(fields=["kind", "object_id"], name="drift_difference_object")]

    def __str__(self) -> str:
        return f"{self.kind} {self.object_id} {self.path}"
