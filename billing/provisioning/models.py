"""What a subscription has at AWS."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from billing.provisioning.states import WORDS, State


class Provision(models.Model):
    """A subscription's stack, as far as its customer and operators need to know. One row a subscription, for ever."""

    organization = models.ForeignKey("accounts.Organization", on_delete=models.CASCADE, related_name="provisions")
    subscription_id = models.CharField(_("subscription"), max_length=255, unique=True)  # Stripe's
    state = models.CharField(_("state"), max_length=10, choices=[(state.value, WORDS[state]) for state in State])
    since = models.DateTimeField(_("since"))
    begun_by = models.CharField(max_length=255)  # the key of the call that began it: the same call again is no second
    attempt = models.PositiveSmallIntegerField(_("attempt"), default=1)
    changes = models.PositiveIntegerField(default=0)  # of state: what makes each of its news a fact of its own
    stack_id = models.CharField(_("stack"), max_length=255, blank=True, default="")  # its ARN
    instance_id = models.CharField(_("instance"), max_length=32, blank=True, default="")
    address = models.CharField(_("address"), max_length=255, blank=True, default="")
    reason = models.CharField(_("reason"), max_length=500, blank=True, default="")  # AWS's words, for operators
    stop_at = models.DateTimeField(_("to be stopped"), null=True, blank=True)  # unless a payment arrives by then
    held = models.BooleanField(default=False)  # it stands still because an operator stopped it
    delete_at = models.DateTimeField(_("to be deleted"), null=True, blank=True)
    # What went back to the customer when it could not be built, in the currency's minor unit; null: not known yet.
    refunded = models.BigIntegerField(_("refunded"), null=True, blank=True)
    currency = models.CharField(max_length=3, blank=True, default="")

    class Meta:
        verbose_name = _("server")
        verbose_name_plural = _("servers")
        indexes = [models.Index(fields=["organization", "-since"], name="provision_of_organization")]

    def __str__(self) -> str:
        return self.subscription_id
