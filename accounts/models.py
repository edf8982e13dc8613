"""Who pays and who may act for them: users, organizations, memberships, invitations, customer links."""

from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.ids import new_organization_id


class UserManager(BaseUserManager["User"]):
    use_in_migrations = True

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        user = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def get_by_natural_key(self, email: str | None) -> "User":
        return self.get(email=(email or "").strip().lower())


class User(AbstractBaseUser, PermissionsMixin):
    """A person who signs in with an e-mail address, kept in lower case."""

    email = models.EmailField(_("e-mail address"), unique=True)
    name = models.CharField(_("name"), max_length=120, blank=True)
    language = models.CharField(_("language"), max_length=10, default="en")
    time_zone = models.CharField(_("time zone"), max_length=64, default="UTC")
    # The plan's page that they came from, until they have arrived there: accounts/onward.py.
    wanted_page = models.CharField(max_length=200, blank=True, default="", editable=False)
    is_staff = models.BooleanField(_("operator"), default=False, help_text=_("May enter the ops console."))
    is_active = models.BooleanField(_("active"), default=True)
    date_joined = models.DateTimeField(_("joined"), default=timezone.now)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        verbose_name = _("user")
        verbose_name_plural = _("users")
        constraints = [models.UniqueConstraint(Lower("email"), name="user_email_unique")]

    def __str__(self) -> str:
        return self.name or self.email

    def get_full_name(self) -> str:
        return self.name or self.email


class Organization(models.Model):
    """Who pays. The dj-stripe subscriber; may have a parent, whose subscription it then shares."""

    public_id = models.CharField(max_length=32, unique=True, default=new_organization_id, editable=False)
    name = models.CharField(_("name"), max_length=120)
    billing_email = models.EmailField(_("billing e-mail address"))
    parent = models.ForeignKey(
        "self",
        verbose_name=_("parent"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="children",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    members: "models.ManyToManyField[User, Membership]" = models.ManyToManyField(
        User, through="accounts.Membership", related_name="organizations"
    )

    class Meta:
        verbose_name = _("organization")
        verbose_name_plural = _("organizations")
        constraints = [
            models.CheckConstraint(
                condition=Q(parent__isnull=True) | ~Q(parent=F("id")), name="organization_not_own_parent"
            )
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Raise ValidationError for a parent that is, at any depth, the organization's own child."""
        if self.pk and self.parent and self.pk in {self.parent.pk, *(above.pk for above in self.parent.ancestors())}:
            raise ValidationError({"parent": _("This organization already stands above the one you chose.")})

    def ancestors(self) -> list["Organization"]:
        """Return the organizations above, nearest first."""
        found: list[Organization] = []
        while (above := (found[-1] if found else self).parent) and above not in found:
            found.append(above)
        return found

    @property
    def email(self) -> str:
        """The address under which dj-stripe knows its subscriber."""
        return self.billing_email


class Role(models.TextChoices):
    """What a member may do; `accounts.permissions` says it act by act."""

    OWNER = "owner", _("Owner")  # everything, and alone hands the organization on or closes it
    ADMIN = "admin", _("Admin")  # people and billing
    BILLING = "billing", _("Billing")  # plan, payment, invoices; not people
    MEMBER = "member", _("Member")  # sees the plan and its state; changes nothing


class Membership(models.Model):
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(_("role"), max_length=10, choices=Role.choices, default=Role.MEMBER)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "user"], name="membership_once"),
            models.UniqueConstraint(
                fields=["organization"], condition=Q(role="owner"), name="organization_has_one_owner"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} · {self.organization} · {self.role}"


class Invitation(models.Model):
    """An offer of membership by e-mail. Only the token's hash is kept; the token stands in the mail alone."""

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="invitations")
    email = models.EmailField(_("e-mail address"))
    role = models.CharField(_("role"), max_length=10, choices=Role.choices, default=Role.MEMBER)
    token_hash = models.CharField(max_length=64, unique=True)
    invited_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    # Who signed up from its link and has yet to confirm the address.
    signed_up = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                "organization",
                Lower("email"),
                condition=Q(accepted_at__isnull=True, revoked_at__isnull=True),
                name="invitation_pending_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.email} → {self.organization}"


class CustomerLink(models.Model):
    """Which Stripe customer is this organization's, for one Stripe account and mode.

    The row exists before the customer does: it is the intent, its key makes every attempt the same call.
    """

    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="customer_links")
    # Stripe's id of the account the customer lives in; empty for the account of our own key.
    account = models.CharField(max_length=64, blank=True, default="")
    livemode = models.BooleanField()
    idempotency_key = models.CharField(max_length=128, unique=True)
    # When this key was first used: Stripe forgets keys after 24 hours, so an older one no longer protects.
    keyed_at = models.DateTimeField(default=timezone.now)
    # What the creating call says. Kept as it was first said: Stripe refuses a key that comes back with other words.
    parameters = models.JSONField(default=dict, blank=True)
    customer_id = models.CharField(max_length=64, null=True, blank=True, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    linked_at = models.DateTimeField(null=True, blank=True)
    # The name and address that Stripe last heard from us; billing tells it again when the organization's are others.
    told_name = models.CharField(max_length=120, blank=True, default="")
    told_email = models.EmailField(blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "account", "livemode"], name="customer_link_once")
        ]

    def __str__(self) -> str:
        return f"{self.organization} ↔ {self.customer_id or '…'}"
