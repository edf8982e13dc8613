"""Invite, send again, withdraw; and the page behind an invitation's link."""

import logging
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts import invitations
from accounts.forms import InvitationForm
from accounts.invitations import Offer
from accounts.mail import mail_invitation
from accounts.models import Invitation, Membership, Role, User
from accounts.permissions import Act
from accounts.refusals import InvitationIsForAnother, InvitationUnknown, InvitationUsed, Refused
from accounts.viewer import OrganizationRequest, organization_page, remember_organization
from accounts.views.members import acting, render_members, to_members

logger = logging.getLogger(__name__)


@require_http_methods(["GET", "POST"])
@organization_page(Act.MANAGE_MEMBERS)
def invite(request: OrganizationRequest) -> HttpResponse:
    """The form stands on the page of members; what is wrong with it is said there, beside what was typed."""
    if request.method == "GET":
        return to_members(request)
    form = InvitationForm(request.POST)
    if form.is_valid():
        try:
            offer = make_offer(request, form)
        except Refused as refusal:
            form.add_error("email", str(refusal))
        else:
            deliver(request, offer)
            return to_members(request)
    return render_members(request, form, status=422)


def make_offer(request: OrganizationRequest, form: InvitationForm) -> Offer:
    return invitations.invite(
        request.organization,
        actor=acting(request),
        email=form.cleaned_data["email"],
        role=Role(form.cleaned_data["role"]),
        now=timezone.now(),
    )


def deliver(request: OrganizationRequest, offer: Offer) -> None:
    """Send the mail and tell the inviter how that went; the invitation stands either way and can be sent again."""
    email = offer.invitation.email
    try:
        mail_invitation(offer)
    except OSError:
        logger.exception("invitation:mail_failed", extra={"invitation": offer.invitation.pk})
        told = _("The invitation stands, but our mail to %(email)s could not be sent. Send it again in a few minutes.")
        messages.error(request, told % {"email": email})
    else:
        told = _("We have sent an invitation to %(email)s. The link in it works for seven days.")
        messages.success(request, told % {"email": email})


@require_POST
@organization_page(Act.MANAGE_MEMBERS)
def resend(request: OrganizationRequest, invitation_id: int) -> HttpResponse:
    try:
        offer = invitations.resend(
            request.organization, actor=acting(request), invitation_id=invitation_id, now=timezone.now()
        )
    except Refused as refusal:
        messages.error(request, str(refusal))
    else:
        deliver(request, offer)
    return to_members(request)


@require_POST
@organization_page(Act.MANAGE_MEMBERS)
def revoke(request: OrganizationRequest, invitation_id: int) -> HttpResponse:
    try:
        revoked = invitations.revoke(
            request.organization, actor=acting(request), invitation_id=invitation_id, now=timezone.now()
        )
    except Refused as refusal:
        messages.error(request, str(refusal))
    else:
        told = _("The invitation to %(email)s is withdrawn; its link no longer works.")
        messages.success(request, told % {"email": revoked.email})
    return to_members(request)


@never_cache
@require_http_methods(["GET", "POST"])
def show_invitation(request: HttpRequest, token: str) -> HttpResponse:
    """The page behind the link: what is offered, and what to do, for everybody who may hold the link."""
    try:
        invitation = invitations.find_invitation(token)
        if request.method == "POST" and request.user.is_authenticated:
            return join(request, token)
        if joined := membership_by(request, invitation):
            return enter(request, joined)
        invitations.require_open(invitation, now=timezone.now())
    except Refused as refusal:
        return render_refusal(request, refusal)
    return render(request, "accounts/invitation.html", describe_offer(request, invitation))


def join(request: HttpRequest, token: str) -> HttpResponse:
    try:
        membership = invitations.accept(token, user=acting(request), now=timezone.now())
    except InvitationUsed:
        joined = membership_by(request, invitations.find_invitation(token))
        if joined is None:
            raise
        return enter(request, joined)
    except InvitationIsForAnother:
        return redirect("accounts:invitation", token)  # whose page says it and what to do
    told = _("You are now a member of %(organization)s.")
    messages.success(request, told % {"organization": membership.organization})
    return enter(request, membership)


def membership_by(request: HttpRequest, invitation: Invitation) -> Membership | None:
    """The viewer's membership, if the invitation was accepted: a second click, or the way back from sign-up."""
    if not (invitation.accepted_at and isinstance(request.user, User)):
        return None
    return Membership.objects.filter(organization=invitation.organization, user=request.user).first()


def enter(request: HttpRequest, membership: Membership) -> HttpResponse:
    remember_organization(request, membership.organization)
    return redirect("billing:overview", organization_id=membership.organization.public_id)


def render_refusal(request: HttpRequest, refusal: Refused) -> HttpResponse:
    status = 404 if isinstance(refusal, InvitationUnknown) else 410
    return render(request, "accounts/invitation_refused.html", {"sentence": str(refusal)}, status=status)


def describe_offer(request: HttpRequest, invitation: Invitation) -> dict[str, Any]:
    user = request.user if isinstance(request.user, User) else None
    return {
        "invitation": invitation,
        "organization": invitation.organization,
        "fits": bool(user and invitations.has_confirmed(user, invitation.email)),
        "already": user and invitation.organization.memberships.filter(user=user).exists(),
    }
