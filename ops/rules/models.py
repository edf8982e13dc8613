"""Rules and what came of them: patterns with targets, their versions, matches, and the calls that matches made due."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

# AWS docs, "PutRule" and "PutTargets": names of [.\-_A-Za-z0-9]+, at most 64 characters.
NAME = RegexValidator(r"^[.\-_A-Za-z0-9]{1,64}\Z", _("Use at most 64 letters, digits, dots, hyphens and underscores."))


class RuleState(models.TextChoices):
    """What a rule does with the events that it matches."""

    ON = "on", _("On")  # its targets are called
    TRIAL = "trial", _("Trial")  # matches are recorded, with what would have been called; nothing is called
    OFF = "off", _("Off")  # it is not matched


class Mode(models.TextChoices):
    """Which of Stripe's modes a rule looks at. Events of sources that know no modes fit any."""

    ANY = "any", _("Live and test")
    LIVE = "live", _("Live")
    TEST = "test", _("Test")


class Rule(models.Model):
    """An event pattern and what is called when an event fits it. Rules are independent of each other."""

    name = models.CharField(_("name"), max_length=64, unique=True, validators=[NAME])
    notes = models.TextField(_("notes"), blank=True, default="")  # what it is for, for people
    # EventBridge's pattern as JSON text, just as it was written: order and layout are for whoever reviews it.
    pattern = models.TextField(_("pattern"))
    state = models.CharField(_("state"), max_length=5, choices=RuleState.choices, default=RuleState.OFF)
    # Scope. The name of a configured Stripe account ("" is the primary one); None: all of them.
    owner = models.CharField(_("account"), max_length=32, null=True, blank=True)  # noqa: DJ001 - "" is the primary one
    mode = models.CharField(_("mode"), max_length=4, choices=Mode.choices, default=Mode.ANY)
    # The file that it comes from, relative to the playbooks; empty for one that was made in the console.
    path = models.CharField(_("file"), max_length=255, blank=True, default="")
    # What that file said when it was applied, or exported, last: what differs from it here was edited here.
    applied: "models.JSONField[Any, Any]" = models.JSONField(null=True, blank=True)
    version = models.PositiveIntegerField(_("version"), default=0)
    # Since when it is on (or tried): it does not fire on events that were received before. None while off.
    on_since = models.DateTimeField(_("on since"), null=True, blank=True)
    changed_at = models.DateTimeField(_("changed"))

    class Meta:
        verbose_name = _("rule")
        verbose_name_plural = _("rules")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class TargetKind(models.TextChoices):
    """What a target calls. Each kind is one module of `ops.rules.targets`."""

    STATE_MACHINE = "state-machine", _("Start a state machine")
    EFFECT = "effect", _("Call an effect")  # a registered activity ARN
    DESTINATION = "destination", _("Call an API destination")
    BUS = "bus", _("Put on an EventBridge bus")
    TOPIC = "topic", _("Publish to an SNS topic")
    QUEUE = "queue", _("Send to an SQS queue")
    ACTIVITY = "activity", _("Tell the organization (activity)")
    FINDING = "finding", _("Open a finding")


class Target(models.Model):
    """One thing that a rule calls, with the input that it makes of the event, and how often it is tried."""

    # AWS docs, "RetryPolicy": 60 to 86,400 seconds, 0 to 185 retries; both at their largest where nothing is said.
    LONGEST_AGE = timedelta(days=1)
    MOST_RETRIES = 185

    rule = models.ForeignKey(Rule, on_delete=models.CASCADE, related_name="targets")
    name = models.CharField(_("name"), max_length=64, validators=[NAME])  # EventBridge's target id
    kind = models.CharField(_("kind"), max_length=16, choices=TargetKind.choices)
    arn = models.CharField(_("resource"), max_length=1600)  # an ARN; for a destination, one with its name
    # What it is given: at most one of these; nothing: the whole event (AWS docs, "EventBridge input transformation").
    input = models.TextField(_("constant input"), blank=True, default="")  # JSON text
    input_path = models.CharField(_("input path"), max_length=256, blank=True, default="")  # $.detail
    input_paths_map = models.JSONField(_("input paths"), default=dict, blank=True)  # name → path
    input_template = models.TextField(_("input template"), blank=True, default="")
    # Of the kind: an HTTP destination's path, query and header values, a queue's message group.
    parameters: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField(default=dict, blank=True)
    max_age_seconds = models.PositiveIntegerField(
        _("longest age"), default=86_400, validators=[MinValueValidator(60), MaxValueValidator(86_400)]
    )
    max_retries = models.PositiveSmallIntegerField(
        _("most retries"), default=MOST_RETRIES, validators=[MaxValueValidator(MOST_RETRIES)]
    )
    # Where AWS puts what it gave up, after an export; here dead letters are rows (`Delivery`).
    dead_letter_arn = models.CharField(_("dead-letter queue on AWS"), max_length=1600, blank=True, default="")
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        verbose_name = _("target")
        verbose_name_plural = _("targets")
        ordering = ["rule", "position", "pk"]
        constraints = [models.UniqueConstraint(fields=["rule", "name"], name="target_name_once")]

    def __str__(self) -> str:
        return f"{self.name} ({self.get_kind_display()})"


class RuleVersion(models.Model):
    """A rule as it was from one change to the next: who changed it, and why. Written once, never changed."""

    rule = models.ForeignKey(Rule, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField(_("version"))
    document: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField()  # the rule as a file says it
    # Nobody for what came from code: then `reason` says from which file.
    changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    reason = models.TextField(_("reason"), blank=True, default="")
    from_file = models.BooleanField(default=False)  # a file said so (`manage.py rules apply`)
    changed_at = models.DateTimeField(_("changed"))

    class Meta:
        verbose_name = _("version of a rule")
        verbose_name_plural = _("versions of rules")
        ordering = ["rule", "-number"]
        constraints = [models.UniqueConstraint(fields=["rule", "number"], name="rule_version_once")]

    def __str__(self) -> str:
        return f"{self.rule_id} version {self.number}"


class Match(models.Model):
    """An event fitted a rule. Once for each rule and event, and once more for each replay that says so."""

    rule = models.ForeignKey(Rule, on_delete=models.CASCADE, related_name="matches")
    rule_version = models.PositiveIntegerField()
    # The inbox row; it may be pruned while this stays, so nothing holds it, and what people look for is kept here too.
    inbox_id = models.BigIntegerField()
    event_id = models.CharField(_("event"), max_length=255)
    event_type = models.CharField(_("type"), max_length=255)
    customer_id = models.CharField(_("customer"), max_length=255, blank=True, default="")
    replay = models.CharField(max_length=36, blank=True, default="")  # the id of the replay; empty: it happened
    trial = models.BooleanField(default=False)
    matched_at = models.DateTimeField(_("matched"))

    class Meta:
        verbose_name = _("match")
        verbose_name_plural = _("matches")
        constraints = [models.UniqueConstraint(fields=["rule", "inbox_id", "replay"], name="match_once")]
        indexes = [
            models.Index(fields=["rule", "-matched_at"], name="match_by_rule"),
            models.Index(fields=["event_id"], name="match_by_event"),
            models.Index(fields=["customer_id", "-matched_at"], name="match_by_customer"),
        ]

    def __str__(self) -> str:
        return f"{self.rule_id} {self.event_id}"


class DeliveryState(models.TextChoices):
    """How far the call of a target has come. The row is the truth; messages are nudges."""

    DUE = "due", _("Due")  # to be called at due_at, for the first time or again
    DONE = "done", _("Done")
    DEAD = "dead", _("Dead letter")  # given up: too old, too often tried, or refused for good; can be redriven
    TRIED = "tried", _("Described")  # of a rule in trial: what would have been called


class Delivery(models.Model):
    """One call of one target for one match: its intent, committed before the call, and what came of it."""

    match = models.ForeignKey(Match, on_delete=models.CASCADE, related_name="deliveries")
    # The target as it was when the event matched: later changes of the rule do not reach back.
    rule_name = models.CharField(_("rule"), max_length=64)
    target_name = models.CharField(_("target"), max_length=64)
    kind = models.CharField(_("kind"), max_length=16, choices=TargetKind.choices)
    arn = models.CharField(_("resource"), max_length=1600)
    parameters: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField(default=dict)
    input = models.TextField(_("input"))  # the text that the target is given
    key = models.CharField(_("idempotency key"), max_length=255, unique=True)
    # How many rules' targets lie between an event from outside and what this call publishes.
    depth = models.PositiveSmallIntegerField(default=1)
    state = models.CharField(_("state"), max_length=5, choices=DeliveryState.choices, default=DeliveryState.DUE)
    due_at = models.DateTimeField(null=True, blank=True)  # while a worker calls: when its lease ends
    claimed_until = models.DateTimeField(null=True, blank=True)  # a worker's lease
    attempts = models.PositiveIntegerField(_("attempts"), default=0)  # since it was made, or redriven
    give_up_at = models.DateTimeField()
    max_age_seconds = models.PositiveIntegerField()  # from being made, or redriven, until it is given up
    max_retries = models.PositiveSmallIntegerField()
    error = models.TextField(_("error"), blank=True, default="")  # name and sentence of the last failure
    result: "models.JSONField[Any, Any]" = models.JSONField(_("result"), null=True)
    created_at = models.DateTimeField(_("made"))
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)

    class Meta:
        verbose_name = _("call of a target")
        verbose_name_plural = _("calls of targets")
        constraints = [models.UniqueConstraint(fields=["match", "target_name"], name="delivery_once")]
        indexes = [
            # Each resource has a queue of its own: a slow one holds up none of the others.
            models.Index(fields=["arn", "due_at", "id"], condition=Q(state="due"), name="delivery_due"),
            models.Index(fields=["-finished_at"], condition=Q(state="dead"), name="delivery_dead"),
            models.Index(fields=["rule_name", "-created_at"], name="delivery_by_rule"),
        ]

    def __str__(self) -> str:
        return self.key
