"""Suspensions: somebody's word that access rests, and under which conditions that word holds."""

from datetime import datetime

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class Reason(models.TextChoices):
    """Why access rests. The sentence for customers stands in `billing.thread.present`."""

    UNPAID = "unpaid", _("An invoice is unpaid")
    REVIEW = "review", _("We are looking into something")


class Suspension(models.Model):
    """One suspension of one customer's access, until it is lifted.

    It never outlives its cause: one for an invoice holds while that invoice is owed, one of a subscription while that
    lives (`access.holds`). So a customer who pays is let in by the mirror itself, whoever has not got to it yet.
    """

    organization = models.ForeignKey("accounts.Organization", on_delete=models.CASCADE, related_name="suspensions")
    # Stripe's customer: with it go the account and the mode.
    customer_id = models.CharField(_("customer"), max_length=255)
    subscription_id = models.CharField(_("subscription"), max_length=255, blank=True, default="")  # empty: of all
    invoice_id = models.CharField(_("invoice"), max_length=255, blank=True, default="")  # that it waits for
    reason = models.CharField(_("reason"), max_length=16, choices=Reason.choices)
    since: "models.DateTimeField[datetime, datetime]" = models.DateTimeField(_("since"))
    cancels_at = models.DateTimeField(null=True, blank=True)  # when the plan ends if nothing changes
    by = models.CharField(_("by"), max_length=255)  # the state machine's, rule's or operator's name
    key = models.CharField(max_length=255, unique=True)  # of the call: made again, it finds this row
    lifted_at = models.DateTimeField(_("restored"), null=True, blank=True)
    lifted_by = models.CharField(max_length=255, blank=True, default="")

    class Meta:
        verbose_name = _("suspension")
        verbose_name_plural = _("suspensions")
        constraints = [
            models.UniqueConstraint(
                fields=["customer_id", "subscription_id", "invoice_id"],
                condition=Q(lifted_at__isnull=True),
                name="suspension_open_once",
            )
        ]
        indexes = [
            models.Index(fields=["organization"], condition=Q(lifted_at__isnull=True), name="suspension_open"),
        ]

    def __str__(self) -> str:
        return f"{self.customer_id} · {self.get_reason_display()}"


class Outlook(models.Model):
    """What somebody will do about a subscription if nothing changes (`billing.entitlements.outlook`)."""

    organization = models.ForeignKey("accounts.Organization", on_delete=models.CASCADE, related_name="outlooks")
    customer_id = models.CharField(max_length=255)
    subscription_id = models.CharField(max_length=255)
    invoice_id = models.CharField(max_length=255, blank=True, default="")  # while it is owed; empty: whatever is paid
    steps: "models.JSONField[list[dict[str, str]], list[dict[str, str]]]" = models.JSONField(default=list)
    held = models.BooleanField(default=False)  # whoever acts is paused: nothing is said
    source = models.CharField(max_length=64, unique=True)  # who acts: one execution
    by = models.CharField(max_length=255)  # its workflow's name
    changed_at: "models.DateTimeField[datetime, datetime]" = models.DateTimeField()

    class Meta:
        verbose_name = _("outlook")
        verbose_name_plural = _("outlooks")

    def __str__(self) -> str:
        return f"{self.subscription_id} · {self.by}"
