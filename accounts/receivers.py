"""What follows when allauth reports that something happened."""

from typing import Any

from allauth.account.models import EmailAddress
from allauth.account.signals import email_confirmed
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils import timezone

from accounts.invitations import accept_after_confirmation
from accounts.viewer import remember_organization


@receiver(email_confirmed)
def join_what_one_signed_up_for(request: HttpRequest, email_address: EmailAddress, **kwargs: Any) -> None:
    joined = accept_after_confirmation(email_address.user, email=email_address.email, now=timezone.now())
    if joined and request is not None:
        remember_organization(request, joined[0].organization)
