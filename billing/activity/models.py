"""Activity: the one line of news that pages and console show live."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Activity(models.Model):
    """Something that happened to an organization, as a fact; the sentence is made where it is read."""

    organization = models.ForeignKey(
        "accounts.Organization", null=True, blank=True, on_delete=models.CASCADE, related_name="activities"
    )
    verb = models.CharField(_("verb"), max_length=64)  # noun:verb, from billing.activity.verbs
    subject_id = models.CharField(_("subject"), max_length=255, blank=True, default="")  # sub_…, in_…, pm_…
    data = models.JSONField(default=dict)
    # The same fact published twice (a replay, a second event) is one activity.
    dedup_key = models.CharField(max_length=255, unique=True)
    at = models.DateTimeField(_("at"))

    class Meta:
        verbose_name = _("activity")
        verbose_name_plural = _("activities")
        indexes = [models.Index(fields=["organization", "-id"], name="activity_by_organization")]

    def __str__(self) -> str:
        return f"{self.verb} {self.subject_id}"
