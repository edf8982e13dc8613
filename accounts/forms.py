"""Forms of people and organizations. Django's form classes take no type argument at run time, hence the ignores."""

from datetime import datetime
from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from accounts.models import Membership, Organization, Role, User
from accounts.zones import zone_choices

# What a role means, where one is chosen. The owner's is handed on by transfer alone.
OFFERED_ROLES = [
    (Role.MEMBER.value, _("Member: sees the plan and its state")),
    (Role.BILLING.value, _("Billing: plan, payment and invoices")),
    (Role.ADMIN.value, _("Admin: people and billing")),
]


class InvitationForm(forms.Form):
    """Whom to invite, and as what."""

    email = forms.EmailField(
        label=_("E-mail address"), max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "off"})
    )
    role = forms.ChoiceField(label=_("Role"), choices=OFFERED_ROLES, initial=Role.MEMBER.value)


class RoleForm(forms.Form):
    """Which role a member shall have."""

    role = forms.ChoiceField(label=_("Role"), choices=OFFERED_ROLES)


class MemberField(forms.ModelChoiceField):  # type: ignore[type-arg]
    """A choice of members, each with name and address, since names repeat."""

    def label_from_instance(self, obj: Membership) -> str:
        return f"{obj.user.name} ({obj.user.email})" if obj.user.name else obj.user.email


class TransferForm(forms.Form):
    """To whom ownership goes."""

    member = MemberField(label=_("New owner"), queryset=Membership.objects.none(), empty_label=_("Choose a member"))

    def __init__(self, organization: Organization, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["member"]
        assert isinstance(field, MemberField)  # noqa: S101 - tells the type checker
        others = organization.memberships.exclude(role=Role.OWNER).select_related("user", "organization")
        field.queryset = others.order_by("user__name", "user__email")


class OrganizationForm(forms.ModelForm):  # type: ignore[type-arg]
    """What stands on the invoices, and where they go."""

    class Meta:
        model = Organization
        fields = ("name", "billing_email")
        widgets = {
            "name": forms.TextInput(attrs={"autocomplete": "organization"}),
            "billing_email": forms.EmailInput(attrs={"autocomplete": "email"}),
        }
        help_texts = {
            "name": _("It stands on your invoices."),
            "billing_email": _("Invoices and news about payments go to this address."),
        }


class ProfileForm(forms.ModelForm):  # type: ignore[type-arg]
    """How a person is called and how pages and mails speak to them."""

    language = forms.ChoiceField(label=_("Language"), choices=settings.LANGUAGES)
    time_zone = forms.ChoiceField(
        label=_("Time zone"), help_text=_("Dates and times on pages and in mails are shown in this zone.")
    )

    class Meta:
        model = User
        fields = ("name", "language", "time_zone")
        widgets = {"name": forms.TextInput(attrs={"autocomplete": "name"})}

    def __init__(self, *args: Any, now: datetime, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"].required = True
        field = self.fields["time_zone"]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 - tells the type checker
        field.choices = zone_choices(now=now, chosen=self.instance.time_zone)
