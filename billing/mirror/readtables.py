"""The read model: what pages, console, rules and analytics filter on, in plain columns with indexes.

A row stands beside each mirrored subscription and invoice and is written with it (`billing.mirror.readmodel`).
`stripe_data` stays the truth; a row here says nothing that could not be made from it again.
"""

from datetime import datetime
from typing import Any, ClassVar

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import Q

from accounts.models import Organization
from billing.mirror.questions import EARNING, InvoiceQuestions, SubscriptionQuestions

ID = 255  # characters: Stripe's longest


class ReadRow(models.Model):
    """What both tables have: whose it is, in which account and mode, in which currency and state."""

    owner = models.CharField(max_length=ID, blank=True, default="")  # Stripe's account id, empty when it is not known
    livemode = models.BooleanField()
    customer_id = models.CharField(max_length=ID, blank=True)
    # By our own links alone; null for customers of nobody here.
    organization: "models.ForeignKey[Organization | None, Organization | None]" = models.ForeignKey(
        Organization, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    status = models.CharField(max_length=32)  # Stripe's word, also one that was added after this was written
    currency = models.CharField(max_length=3, blank=True)
    created_at: "models.DateTimeField[datetime, datetime]" = models.DateTimeField()

    class Meta:
        abstract = True


class SubscriptionRow(ReadRow):
    """A subscription's columns. Money is a month's, in the currency's minor unit, before discounts and tax."""

    subscription: "models.OneToOneField[Any, Any]" = models.OneToOneField(
        "djstripe.Subscription",
        to_field="id",
        primary_key=True,
        db_column="id",
        on_delete=models.CASCADE,
        db_constraint=False,  # both are written in one transaction, in bulk; the check would be a look-up a row
        related_name="row",
    )
    period_ends_at = models.DateTimeField(null=True)  # the first end among its items
    ends_at = models.DateTimeField(null=True)  # when it will end as things stand; null when it goes on or has ended
    trial_ends_at = models.DateTimeField(null=True)
    canceled_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    # The first item's; `product_ids` has every item's, in Stripe's order, `item_amounts` what each brings a month.
    price_id = models.CharField(max_length=ID, blank=True)
    product_id = models.CharField(max_length=ID, blank=True)
    quantity = models.BigIntegerField()
    item_count = models.PositiveIntegerField()
    product_ids = ArrayField(models.CharField(max_length=ID))
    item_amounts = ArrayField(models.BigIntegerField())
    monthly_amount = models.BigIntegerField()  # what is charged by usage is not in it
    collection_method = models.CharField(max_length=32)
    collection_paused = models.BooleanField()
    schedule_id = models.CharField(max_length=ID, blank=True)
    latest_invoice_id = models.CharField(max_length=ID, blank=True)

    objects: ClassVar[Any] = SubscriptionQuestions.as_manager()

    class Meta:
        db_table = "billing_subscriptionrow"
        indexes = [
            models.Index(fields=["customer_id"], name="subrow_by_customer"),
            models.Index(fields=["-created_at", "-subscription"], name="subrow_by_age"),
            models.Index(fields=["status", "-created_at"], name="subrow_by_status"),
            models.Index(fields=["product_id", "-created_at"], name="subrow_by_product"),
            models.Index(fields=["period_ends_at"], name="subrow_by_period_end"),
            models.Index(fields=["ends_at"], name="subrow_ending"),
            models.Index(fields=["trial_ends_at"], condition=Q(status="trialing"), name="subrow_trials"),
            GinIndex(fields=["product_ids"], condition=Q(item_count__gt=1), name="subrow_by_products"),
            models.Index(
                fields=["livemode", "owner", "currency", "product_id"],
                include=["monthly_amount", "item_count"],
                condition=Q(status__in=EARNING),
                name="subrow_earning",
            ),
            models.Index(
                fields=["livemode"],
                condition=Q(status__in=EARNING, item_count__gt=1),
                name="subrow_earning_combined",
            ),
        ]

    def __str__(self) -> str:
        return str(self.pk)


class InvoiceRow(ReadRow):
    """An invoice's columns. Amounts are in the currency's minor unit. A deleted draft's status is "deleted"."""

    invoice: "models.OneToOneField[Any, Any]" = models.OneToOneField(
        "djstripe.Invoice",
        to_field="id",
        primary_key=True,
        db_column="id",
        on_delete=models.CASCADE,
        db_constraint=False,
        related_name="row",
    )
    subscription_id = models.CharField(max_length=ID, blank=True)
    number = models.CharField(max_length=ID, blank=True)
    total = models.BigIntegerField()
    amount_due = models.BigIntegerField()
    amount_paid = models.BigIntegerField()
    amount_remaining = models.BigIntegerField()
    due_at = models.DateTimeField(null=True)
    next_payment_attempt_at = models.DateTimeField(null=True)
    finalized_at = models.DateTimeField(null=True)
    paid_at = models.DateTimeField(null=True)
    attempt_count = models.PositiveIntegerField()
    collection_method = models.CharField(max_length=32)
    billing_reason = models.CharField(max_length=64, blank=True)

    objects: ClassVar[Any] = InvoiceQuestions.as_manager()

    class Meta:
        db_table = "billing_invoicerow"
        indexes = [
            models.Index(fields=["customer_id", "-created_at", "-invoice"], name="invrow_by_customer"),
            models.Index(fields=["-created_at", "-invoice"], name="invrow_by_age"),
            models.Index(fields=["status", "-created_at"], name="invrow_by_status"),
            models.Index(fields=["subscription_id", "-created_at"], name="invrow_by_subscription"),
            models.Index(fields=["number"], name="invrow_by_number"),
            models.Index(fields=["due_at"], condition=Q(status="open"), name="invrow_open_by_due"),
            models.Index(
                fields=["next_payment_attempt_at"],
                condition=Q(status="open", next_payment_attempt_at__isnull=False),
                name="invrow_next_attempt",
            ),
        ]

    def __str__(self) -> str:
        return str(self.pk)
