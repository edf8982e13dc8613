"""The mail that accounts send themselves; allauth's go through the adapter."""

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation

from accounts.invitations import Offer
from accounts.models import Invitation, User


def mail_invitation(offer: Offer) -> None:
    """Send the offer's link. Call after commit. Raises OSError (SMTP's errors included) when mail cannot be sent."""
    if offer.token is None:
        return
    with translation.override(language_for(offer.invitation)):
        write_invitation(offer.invitation, offer.token).send()


def language_for(invitation: Invitation) -> str:
    """The recipient's language if we know them, else the inviter's."""
    recipient = User.objects.filter(email=invitation.email).first()
    writer = recipient or invitation.invited_by
    return writer.language if writer else settings.LANGUAGE_CODE


def write_invitation(invitation: Invitation, token: str) -> EmailMultiAlternatives:
    context = {
        "invitation": invitation,
        "organization": invitation.organization,
        "url": settings.SITE_URL + reverse("accounts:invitation", args=[token]),
        "site_url": settings.SITE_URL,
    }
    subject = " ".join(render_to_string("emails/accounts/invitation_subject.txt", context).split())
    text = render_to_string("emails/accounts/invitation.txt", context)
    message = EmailMultiAlternatives(subject, text, to=[invitation.email])
    message.attach_alternative(render_to_string("emails/accounts/invitation.html", context), "text/html")
    return message
