"""The inbox: every event as it reached us, and how far it has come since."""

from datetime import datetime, timedelta

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from billing.inbox.refusals import Reason


class InboxState(models.TextChoices):
    """How far an inbox event has come. The row is the truth; messages are nudges."""

    RECEIVED = "received", _("Received")  # stored; the mirror has not looked at it, or will try again at due_at
    MIRRORED = "mirrored", _("Mirrored")  # the dj-stripe tables say what Stripe said at or after this event
    STORED = "stored", _("Stored only")  # a type or object that the mirror has no table for: kept and counted
    FAILED = "failed", _("Failed")  # tried as often as we try; waits for a person or a replay


class Door(models.TextChoices):
    """By which way an event came in."""

    WEBHOOK = "webhook", _("Webhook")
    SQS = "sqs", _("EventBridge over SQS")
    POLL = "poll", _("Events API")
    OWN = "own", _("The portal itself")


class InboxEvent(models.Model):
    """One event, stored once: unique on source and the source's own event id."""

    source = models.CharField(max_length=256, default="stripe.com")  # AWS's longest source
    external_id = models.CharField(_("event id"), max_length=255)
    door = models.CharField(_("door"), max_length=10, choices=Door.choices)
    # The name of the configured Stripe account that it belongs to; empty for the primary one, and where it is of none.
    owner = models.CharField(_("account"), max_length=32, blank=True, default="")
    # Stripe's account id where the event names one.
    account = models.CharField(max_length=64, blank=True, default="")
    livemode = models.BooleanField(default=False)
    type = models.CharField(_("type"), max_length=255)
    api_version = models.CharField(max_length=64, blank=True, default="")
    # What the event is about: Stripe's `object` name and id, and the customer it belongs to where it says so.
    object_kind = models.CharField(_("kind"), max_length=64, blank=True, default="")
    object_id = models.CharField(_("object"), max_length=255, blank=True, default="")
    customer_id = models.CharField(_("customer"), max_length=255, blank=True, default="")
    occurred_at = models.DateTimeField(_("happened"))
    received_at = models.DateTimeField(_("received"))
    # None when it has gone to the archive (billing/retention); a replay then asks Stripe.
    payload = models.JSONField(null=True)

    state = models.CharField(_("state"), max_length=10, choices=InboxState.choices, default=InboxState.RECEIVED)
    due_at = models.DateTimeField(null=True, blank=True)  # when the mirror may look (again); null when it need not
    claimed_until = models.DateTimeField(null=True, blank=True)  # a worker's lease
    attempts = models.PositiveIntegerField(default=0)
    error = models.TextField(_("error"), blank=True, default="")
    mirrored_at = models.DateTimeField(_("mirrored"), null=True, blank=True)
    # When the rules were matched against it, once and for all: a later replay by the mirror does not match it again.
    dispatched_at = models.DateTimeField(_("matched with rules"), null=True, blank=True)
    # What a bus said around Stripe's event (its envelope without `detail`); None for other doors, and for events of
    # other sources, whose payload is the whole envelope.
    bus_envelope = models.JSONField(null=True)
    # How many rules' targets lie between an event from outside and this one of our own: chains must end.
    depth = models.PositiveSmallIntegerField(db_default=0, default=0)

    class Meta:
        verbose_name = _("inbox event")
        verbose_name_plural = _("inbox events")
        constraints = [models.UniqueConstraint(fields=["source", "external_id"], name="inbox_event_once")]
        indexes = [
            models.Index(fields=["due_at", "id"], condition=Q(state="received"), name="inbox_due"),
            models.Index(fields=["object_id", "occurred_at"], name="inbox_by_object"),
            models.Index(fields=["customer_id", "occurred_at"], name="inbox_by_customer"),
            models.Index(fields=["type", "received_at"], name="inbox_by_type"),
            models.Index(fields=["received_at"], condition=Q(state="failed"), name="inbox_failed"),
            models.Index(fields=["received_at"], condition=Q(state="stored"), name="inbox_stored"),
            models.Index(fields=["received_at"], name="inbox_by_arrival"),
            models.Index(
                fields=["id"],
                condition=Q(state__in=["mirrored", "stored"], dispatched_at__isnull=True),
                name="inbox_undispatched",
            ),
            models.Index(fields=["-received_at"], condition=Q(depth__gt=0), name="inbox_chained"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.external_id}"


class AsideMessage(models.Model):
    """A queue message that is no event of ours: kept, so that a person can see what came, and out of the queue."""

    queue = models.CharField(_("queue"), max_length=512)  # its URL
    message_id = models.CharField(_("message id"), max_length=128)
    reason = models.CharField(_("reason"), max_length=20, choices=Reason.choices)
    error = models.TextField(_("error"), blank=True, default="")  # the sentence that says what was wrong
    # Its beginning; characters that cannot be kept are U+FFFD.
    body = models.TextField(_("body"), blank=True, default="")
    length = models.PositiveBigIntegerField(_("length"), default=0)  # of the whole body, in characters
    receive_count = models.PositiveIntegerField(_("received times"), default=1)  # as the queue counts
    sent_at = models.DateTimeField(_("sent"), null=True, blank=True)
    received_at = models.DateTimeField(_("received"))

    class Meta:
        verbose_name = _("message kept aside")
        verbose_name_plural = _("messages kept aside")
        constraints = [models.UniqueConstraint(fields=["queue", "message_id"], name="aside_message_once")]
        indexes = [models.Index(fields=["received_at"], name="aside_by_arrival")]

    def __str__(self) -> str:
        return f"{self.message_id} ({self.get_reason_display()})"


class PollState(models.TextChoices):
    """How the reading of Stripe's events API stands."""

    CURRENT = "current", _("Up to date")  # the last sweep was read to its end
    CATCHING_UP = "catching-up", _("Catching up")  # a sweep is under way; the next run goes on
    FAILING = "failing", _("Failing")  # Stripe does not answer, or refuses; tried again at due_at


class EventForm(models.TextChoices):
    """The two forms of Stripe's events, each with a list of its own at Stripe."""

    SNAPSHOT = "event", _("With their object")  # GET /v1/events
    THIN = "v2.core.event", _("Thin")  # GET /v2/core/events


class PollCursor(models.Model):
    """How far one of Stripe's lists of events has been read, for one account in one mode."""

    # Stripe docs, "List all events": "events going back up to 30 days".
    KEPT_BY_STRIPE = timedelta(days=30)
    OLD_AFTER = timedelta(days=20)

    owner = models.CharField(_("account"), max_length=32, blank=True, default="")
    livemode = models.BooleanField(default=False)
    form = models.CharField(_("events"), max_length=16, choices=EventForm.choices, default=EventForm.SNAPSHOT)
    state = models.CharField(_("state"), max_length=12, choices=PollState.choices, default=PollState.CURRENT)
    # All events that Stripe made until then have been seen. Stripe's time.
    read_until = models.DateTimeField(_("read until"), null=True, blank=True)
    # A sweep reads from the newest event back to `read_until`. While one is under way: where it began, and where it
    # goes on: after this event, or at this address of thin events.
    sweep_from = models.DateTimeField(null=True, blank=True)
    sweep_after = models.TextField(blank=True, default="")
    missed = models.PositiveBigIntegerField(_("missed by other doors"), default=0)  # since the beginning
    failures = models.PositiveIntegerField(default=0)  # in a row
    error = models.TextField(_("error"), blank=True, default="")
    due_at = models.DateTimeField(null=True, blank=True)  # not polled before: somebody is at it, or it failed
    polled_at = models.DateTimeField(_("last asked"), null=True, blank=True)  # our time
    started_at = models.DateTimeField()

    class Meta:
        verbose_name = _("events API cursor")
        verbose_name_plural = _("events API cursors")
        constraints = [models.UniqueConstraint(fields=["owner", "livemode", "form"], name="poll_cursor_once")]

    def __str__(self) -> str:
        of_what = " thin" if self.form == EventForm.THIN else ""
        return f"{self.owner or 'primary'} {'live' if self.livemode else 'test'}{of_what}"

    def is_old(self, now: datetime) -> bool:
        """Whether it is so far behind that a person should look before Stripe forgets what was not read."""
        return now - (self.read_until or self.started_at) > self.OLD_AFTER
