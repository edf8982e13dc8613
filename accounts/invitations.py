"""Invitations: an offer of membership, by e-mail, that only who reads that e-mail can take up."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from allauth.account.models import EmailAddress
from django.db import transaction
from django.db.models import QuerySet

from accounts.members import lock_people, require
from accounts.models import Invitation, Membership, Organization, Role, User
from accounts.permissions import Act
from accounts.refusals import (
    AlreadyMember,
    InvitationExpired,
    InvitationIsForAnother,
    InvitationJustSent,
    InvitationRevoked,
    InvitationUnknown,
    InvitationUsed,
    OwnerIsMadeByTransfer,
    Refused,
    TooManyInvitations,
    TooManyInvitationsToday,
)

LIFETIME = timedelta(days=7)
# Per organization, so that nobody sends mail to the world through us.
MOST_PENDING = 20  # expired ones included
MOST_A_DAY = 100
BETWEEN_MAILS = timedelta(minutes=1)  # to one address; a second click would kill the link of the first's mail


@dataclass(frozen=True)
class Offer:
    """An invitation, and the token for its mail where one must be sent; the token exists nowhere else."""

    invitation: Invitation
    token: str | None


@transaction.atomic
def invite(organization: Organization, *, actor: User, email: str, role: Role, now: datetime) -> Offer:
    """Offer a role to an address. Asking again for what is already offered changes nothing and sends no mail.

    Raises NotAllowed, OwnerIsMadeByTransfer, AlreadyMember, TooManyInvitations, TooManyInvitationsToday,
    InvitationJustSent.
    """
    lock_people(organization)
    require(organization, actor, Act.MANAGE_MEMBERS)
    if role == Role.OWNER:
        raise OwnerIsMadeByTransfer
    email = email.strip().lower()
    if Membership.objects.filter(organization=organization, user__email=email).exists():
        raise AlreadyMember
    pending = pending_invitations(organization).filter(email=email).first()
    if pending is None:
        return make_offer(organization, actor=actor, email=email, role=role, now=now)
    if pending.role == role and pending.expires_at > now:
        return Offer(pending, token=None)
    return renew_offer(pending, role=role, now=now)


def pending_invitations(organization: Organization) -> QuerySet[Invitation]:
    """Invitations neither accepted nor revoked, newest first; expired ones are among them, and can be sent again."""
    return organization.invitations.filter(accepted_at__isnull=True, revoked_at__isnull=True).order_by("-created_at")


def make_offer(organization: Organization, *, actor: User, email: str, role: Role, now: datetime) -> Offer:
    if pending_invitations(organization).count() >= MOST_PENDING:
        raise TooManyInvitations
    if organization.invitations.filter(created_at__gt=now - timedelta(days=1)).count() >= MOST_A_DAY:
        raise TooManyInvitationsToday
    token = new_token()
    invitation = Invitation.objects.create(
        organization=organization,
        email=email,
        role=role,
        token_hash=hash_token(token),
        invited_by=actor,
        expires_at=now + LIFETIME,
    )
    return Offer(invitation, token)


def new_token() -> str:
    """Return 256 random bits, fit for an address."""
    return secrets.token_urlsafe(32)


def hash_token(token: str) -> str:
    """Return the token's SHA-256 in hexadecimal; 256 random bits need no salt and no slow hash."""
    return hashlib.sha256(token.encode()).hexdigest()


def renew_offer(invitation: Invitation, *, role: Role, now: datetime) -> Offer:
    """Give the invitation a new token and seven more days; the old link is dead."""
    last_mail_at = invitation.expires_at - LIFETIME
    if now - last_mail_at < BETWEEN_MAILS:
        raise InvitationJustSent
    token = new_token()
    invitation.role, invitation.token_hash, invitation.expires_at = role, hash_token(token), now + LIFETIME
    invitation.save(update_fields=["role", "token_hash", "expires_at"])
    return Offer(invitation, token)


@transaction.atomic
def resend(organization: Organization, *, actor: User, invitation_id: int, now: datetime) -> Offer:
    """Make the mail anew.

    Raises NotAllowed, InvitationUnknown, InvitationUsed, InvitationRevoked, InvitationJustSent.
    """
    lock_people(organization)
    require(organization, actor, Act.MANAGE_MEMBERS)
    invitation = find_own(organization, invitation_id)
    require_unanswered(invitation)
    return renew_offer(invitation, role=Role(invitation.role), now=now)


def find_own(organization: Organization, invitation_id: int) -> Invitation:
    invitation = organization.invitations.filter(pk=invitation_id).first()
    if invitation is None:
        raise InvitationUnknown
    return invitation


def require_unanswered(invitation: Invitation) -> None:
    if invitation.accepted_at:
        raise InvitationUsed
    if invitation.revoked_at:
        raise InvitationRevoked


@transaction.atomic
def revoke(organization: Organization, *, actor: User, invitation_id: int, now: datetime) -> Invitation:
    """Withdraw the offer; twice is once. Raises NotAllowed, InvitationUnknown, InvitationUsed."""
    lock_people(organization)
    require(organization, actor, Act.MANAGE_MEMBERS)
    invitation = find_own(organization, invitation_id)
    if invitation.accepted_at:
        raise InvitationUsed
    if invitation.revoked_at is None:
        invitation.revoked_at = now
        invitation.save(update_fields=["revoked_at"])
    return invitation


def find_invitation(token: str) -> Invitation:
    """Return the invitation that this link belongs to, whatever its state. Raises InvitationUnknown."""
    found = Invitation.objects.select_related("organization", "invited_by").filter(token_hash=hash_token(token)).first()
    if found is None:
        raise InvitationUnknown
    return found


def require_open(invitation: Invitation, *, now: datetime) -> None:
    """Raises InvitationUsed, InvitationRevoked, InvitationExpired unless the invitation can be accepted."""
    require_unanswered(invitation)
    if invitation.expires_at <= now:
        raise InvitationExpired


@transaction.atomic
def accept(token: str, *, user: User, now: datetime) -> Membership:
    """Take up the offer behind a link. Who is a member already keeps their role.

    Raises InvitationUnknown, InvitationUsed, InvitationRevoked, InvitationExpired, InvitationIsForAnother.
    """
    return take_up(find_invitation(token), user=user, now=now)


def take_up(found: Invitation, *, user: User, now: datetime) -> Membership:
    lock_people(found.organization)
    invitation = Invitation.objects.select_related("organization").get(pk=found.pk)
    if invitation.token_hash != found.token_hash:
        raise InvitationUnknown  # sent again between the look and the lock: the old link is dead
    require_open(invitation, now=now)
    if not has_confirmed(user, invitation.email):
        raise InvitationIsForAnother
    invitation.accepted_at = now
    invitation.save(update_fields=["accepted_at"])
    membership, _ = Membership.objects.get_or_create(
        organization=invitation.organization, user=user, defaults={"role": invitation.role}
    )
    return membership


def has_confirmed(user: User, email: str) -> bool:
    return bool(EmailAddress.objects.filter(user=user, email__iexact=email, verified=True).exists())


def remember_sign_up(invitation: Invitation, user: User) -> None:
    """Note who signed up from the invitation's link, so that it is accepted once their address is confirmed."""
    Invitation.objects.filter(pk=invitation.pk).update(signed_up=user)


def accept_after_confirmation(user: User, *, email: str, now: datetime) -> list[Membership]:
    """Accept what the user signed up for with exactly this address; what cannot be accepted any more is left."""
    signed_up_for = Invitation.objects.select_related("organization").filter(
        signed_up=user, email__iexact=email, accepted_at__isnull=True, revoked_at__isnull=True
    )
    return [membership for found in signed_up_for if (membership := try_to_take_up(found, user=user, now=now))]


def try_to_take_up(found: Invitation, *, user: User, now: datetime) -> Membership | None:
    try:
        with transaction.atomic():
            return take_up(found, user=user, now=now)
    except Refused:
        return None
