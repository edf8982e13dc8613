"""Objects of kinds that dj-stripe has no model for, kept whole."""

from django.db import models


class RawObject(models.Model):
    """One Stripe object of a kind without a table of its own; its columns are those that dj-stripe's models share."""

    djstripe_id = models.BigAutoField(primary_key=True)
    djstripe_created = models.DateTimeField()
    djstripe_updated = models.DateTimeField()
    djstripe_owner_account = models.ForeignKey(
        "djstripe.Account", models.CASCADE, to_field="id", null=True, related_name="+"
    )
    kind = models.CharField(max_length=64)  # Stripe's `object`
    # Stripe's; what Stripe keeps once for each customer (a summary of entitlements) goes under the customer's.
    id = models.CharField(max_length=255)
    livemode = models.BooleanField(null=True)
    created = models.DateTimeField(null=True)
    customer_id = models.CharField(max_length=255, default="")
    stripe_data = models.JSONField()

    class Meta:
        db_table = "billing_rawobject"
        constraints = [models.UniqueConstraint(fields=["kind", "id"], name="one_row_for_each_raw_object")]
        indexes = [
            models.Index(fields=["kind", "-created"], name="raw_by_kind"),
            models.Index(fields=["customer_id"], name="raw_by_customer", condition=~models.Q(customer_id="")),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"
