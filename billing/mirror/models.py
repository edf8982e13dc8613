"""What the mirror remembers of its own: how new each object is that it holds."""

from django.contrib.postgres.fields import ArrayField
from django.db import models


class MirrorGate(models.Model):
    """How new the mirror's state of one object is, in seconds of Stripe's time (`billing.mirror.gate`)."""

    pk = models.CompositePrimaryKey("object_id", "kind", "owner")
    object_id = models.CharField(max_length=255)
    kind = models.CharField(max_length=64)
    owner = models.CharField(max_length=64)  # the configured account's name
    low = models.BigIntegerField()
    high = models.BigIntegerField()
    version = models.BigIntegerField()
    gone = models.BooleanField()

    class Meta:
        db_table = "billing_mirrorgate"

    def __str__(self) -> str:
        return f"{self.kind} {self.object_id}"


class SilentChange(models.Model):
    """Objects that changed without an event, until whoever waits for a state was told (`billing.mirror.silence`)."""

    owner = models.CharField(max_length=64, blank=True, default="")  # the configured account's name
    livemode = models.BooleanField()
    object_ids: "ArrayField[list[str], list[str]]" = ArrayField(models.TextField())

    def __str__(self) -> str:
        return ", ".join(self.object_ids)
