"""Checkout orders: a wish to subscribe, kept from the click until its subscription is mirrored."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class OrderState(models.TextChoices):
    """Where a wish to subscribe stands."""

    OPENING = "opening", _("Opening")  # intent written, Stripe not yet asked (or its answer was lost)
    OPEN = "open", _("Open")  # a checkout page exists and may be paid
    PAID = "paid", _("Paid")  # Stripe says complete; its subscription is in the mirror
    EXPIRED = "expired", _("Expired")  # the page can no longer be paid


class CheckoutOrder(models.Model):
    """One per wish; at most one unfinished per organization, so a second click finds the first one's page."""

    organization = models.ForeignKey("accounts.Organization", on_delete=models.CASCADE, related_name="checkout_orders")
    price_id = models.CharField(max_length=255)
    state = models.CharField(max_length=10, choices=OrderState.choices, default=OrderState.OPENING)
    # The whole call but its customer: whoever repeats it after a crash says the same words under the same key.
    idempotency_key = models.CharField(max_length=128, unique=True)
    parameters = models.JSONField(default=dict)
    session_id = models.CharField(max_length=255, blank=True, default="", db_index=True)
    session_url = models.TextField(blank=True, default="")
    subscription_id = models.CharField(max_length=255, blank=True, default="", db_index=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, blank=True)
    returned_at = models.DateTimeField(null=True, blank=True)  # when the viewer came back from Stripe's page
    asked_at = models.DateTimeField(null=True, blank=True)  # when a person last had Stripe asked about it
    answer = models.CharField(max_length=20, blank=True, default="")  # the page's status, as Stripe told it then
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("checkout order")
        verbose_name_plural = _("checkout orders")
        constraints = [
            models.UniqueConstraint(
                fields=["organization"],
                condition=Q(state__in=["opening", "open"]),
                name="one_unfinished_order_per_organization",
            )
        ]

    def __str__(self) -> str:
        return f"{self.organization} · {self.price_id} · {self.state}"
