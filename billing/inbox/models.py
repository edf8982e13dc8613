"""The inbox: every event as it reached us, and how far it has come since."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class InboxState(models.TextChoices):
    """How far an inbox event has come. The row is the truth; messages are nudges."""

    RECEIVED = (
        "received",
        _("Received"),
    )  # stored; the mirror has not looked at it, or will try again at due_at
    MIRRORED = "mirrored", _("Mirrored")  # the dj-stripe tables say what Stripe said at or after this event
    STORED = "stored", _("Stored only")  # a type or object that the mirror has no table for: kept and counted
    FAILED = "failed", _("Failed")  # tried as often as we try; waits for a person or a replay


class Door(models.TextChoices):
    """By which way an event came in."""

    WEBHOOK = "webhook", _("Webhook")
    SQS = "sqs", _("EventBridge over SQS")
    POLL = "poll", _("Events API")


class InboxEvent(models.Model):
    """One event, stored once: unique on source and the source's own event id."""

    source = models.CharField(max_length=128, default="stripe.com")
    external_id = models.CharField(_("event id"), max_length=255)
    door = models.CharField(_("door"), max_length=10, choices=Door.choices)
    # Stripe's account id of a connected account; empty for our own account.
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
    payload = models.JSONField()

    state = models.CharField(_("state"), max_length=10, choices=InboxState.choices, default=InboxState.RECEIVED)
    due_at = models.DateTimeField(null=True, blank=True)  # when the mirror may look (again); null when it need not
    claimed_until = models.DateTimeField(null=True, blank=True)  # a worker's lease
    attempts = models.PositiveIntegerField(default=0)
    error = models.TextField(_("error"), blank=True, default="")
    mirrored_at = models.DateTimeField(_("mirrored"), null=True, blank=True)

    class Meta:
        verbose_name = _("inbox event")
        verbose_name_plural = _("inbox events")
        constraints = [models.UniqueConstraint(fields=["source", "external_id"], name="inbox_event_once")]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(state="received"), name="inbox_due"),
            models.Index(fields=["object_id", "occurred_at"], name="inbox_by_object"),
            models.Index(fields=["customer_id", "occurred_at"], name="inbox_by_customer"),
            models.Index(fields=["type", "received_at"], name="inbox_by_type"),
            models.Index(fields=["state", "received_at"], name="inbox_by_state"),
            models.Index(fields=["received_at"], name="inbox_by_arrival"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.external_id}"
