"""What the archive holds: which hours were looked at, and each object that was put there."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class ArchivedHour(models.Model):
    """An hour of arrivals that was archived. Hours are looked at in order; some of them once more."""

    hour = models.DateTimeField(_("hour"), unique=True)  # its beginning
    # Payloads that stayed: their events had failed or still waited, or were brought back from the archive.
    left = models.PositiveIntegerField(_("payloads left"), default=0)
    look_again_at = models.DateTimeField(null=True, blank=True)
    archived_at = models.DateTimeField(_("archived"))

    class Meta:
        verbose_name = _("archived hour")
        verbose_name_plural = _("archived hours")
        indexes = [
            models.Index(
                fields=["look_again_at"], condition=models.Q(look_again_at__isnull=False), name="archived_hour_again"
            )
        ]

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H}:00"


class ArchivePart(models.Model):
    """One object in the archive: events of an hour, a source and an account. Verified before anything is dropped."""

    hour = models.DateTimeField(_("hour"), db_index=True)
    source = models.CharField(_("source"), max_length=256)
    owner = models.CharField(_("account"), max_length=32, blank=True, default="")
    bucket = models.CharField(_("bucket"), max_length=255)
    key = models.CharField(_("key"), max_length=1024)
    events = models.PositiveIntegerField(_("events"))
    length = models.PositiveBigIntegerField(_("length"))  # bytes, compressed
    sha256 = models.CharField(max_length=64)  # of the lines before they were compressed
    verified_at = models.DateTimeField(_("verified"))
    dropped = models.PositiveIntegerField(_("payloads dropped"), default=0)

    class Meta:
        verbose_name = _("archive object")
        verbose_name_plural = _("archive objects")
        constraints = [models.UniqueConstraint(fields=["bucket", "key"], name="archive_part_once")]

    def __str__(self) -> str:
        return str(self.key)
