"""Sign-up: a person and their organization at once, or a person who was invited into one."""

from typing import Any
from urllib.parse import urlsplit

from allauth.account.forms import SignupForm as AllauthSignupForm
from allauth.core import context
from django import forms
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.urls import Resolver404, resolve
from django.utils import timezone, translation
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.invitations import find_invitation, remember_sign_up, require_open
from accounts.models import Invitation, User
from accounts.organizations import create_organization
from accounts.refusals import Refused
from accounts.zones import zone_or_utc


class SignupForm(AllauthSignupForm):
    """allauth's form with a name, an organization's name (not for the invited) and the browser's time zone."""

    name = forms.CharField(label=_("Your name"), max_length=120, widget=forms.TextInput(attrs={"autocomplete": "name"}))
    organization_name = forms.CharField(
        label=_("Your organization's name"),
        max_length=120,
        widget=forms.TextInput(attrs={"autocomplete": "organization"}),
        help_text=_("It stands on your invoices. You can change it later."),
    )
    time_zone = forms.CharField(required=False, widget=forms.HiddenInput(attrs={"data-time-zone": ""}))
    field_order = ("name", "organization_name", "email", "password1", "time_zone")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.invitation = invitation_behind(context.request)
        if self.invitation:
            del self.fields["organization_name"]
            self.fields["email"].initial = self.invitation.email
            joins = gettext("With this address you join {organization}.")
            self.fields["email"].help_text = format_html(joins, organization=self.invitation.organization)

    def clean_email(self) -> str:
        email: str = super().clean_email()
        if self.invitation and email != self.invitation.email.lower():
            raise forms.ValidationError(
                _("The invitation is for %(email)s. Sign up with that address, or ask for an invitation to this one."),
                params={"email": self.invitation.email},
            )
        return email

    def try_save(self, request: HttpRequest) -> tuple[User | None, HttpResponse | None]:
        """Save, or answer as if saved where the address has an account: also when that one won a race just now."""
        try:
            saved: tuple[User | None, HttpResponse | None] = super().try_save(request)
        except IntegrityError:
            self.account_already_exists = True
            saved = super().try_save(request)
        return saved

    @transaction.atomic
    def save(self, request: HttpRequest) -> User:
        user: User = super().save(request)
        return user

    def signup(self, request: HttpRequest, user: User) -> None:
        """Called by allauth once the user's row stands, in the same transaction."""
        user.name = self.cleaned_data["name"]
        user.language = translation.get_language() or "en"
        user.time_zone = zone_or_utc(self.cleaned_data["time_zone"])
        user.save(update_fields=["name", "language", "time_zone"])
        if self.invitation:
            remember_sign_up(self.invitation, user)
        else:
            name = self.cleaned_data["organization_name"]
            create_organization(user, name=name, billing_email=user.email, now=timezone.now())


def invitation_behind(request: HttpRequest | None) -> Invitation | None:
    """Return the open invitation to whose page `next` leads back, so that sign-up needs no session to remember it."""
    if request is None:
        return None
    token = invitation_token(request.POST.get("next") or request.GET.get("next") or "")
    if not token:
        return None
    try:
        invitation = find_invitation(token)
        require_open(invitation, now=timezone.now())
    except Refused:
        return None
    return invitation


def invitation_token(address: str) -> str:
    try:
        match = resolve(urlsplit(address).path)
    except (Resolver404, ValueError):
        return ""
    return str(match.kwargs["token"]) if match.view_name == "accounts:invitation" else ""
