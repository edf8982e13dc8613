"""Who belongs to an organization, and in which role. Each verb is one transaction.

Every verb locks the organization's row first. So the acts on one organization's people stand in a line, what an act
checks still holds when it writes, and no two of them can wait for each other.
"""

from django.db import transaction

from accounts.models import Membership, Organization, Role, User
from accounts.permissions import Act, may
from accounts.refusals import (
    AlreadyOwner,
    NotAllowed,
    NotAMember,
    OwnerCannotLeave,
    OwnerIsMadeByTransfer,
    OwnerStays,
)


@transaction.atomic
def change_role(organization: Organization, *, actor: User, membership_id: int, role: Role) -> Membership:
    """Give a member another role. Raises NotAllowed, NotAMember, OwnerStays, OwnerIsMadeByTransfer."""
    lock_people(organization)
    require(organization, actor, Act.MANAGE_MEMBERS)
    membership = find_member(organization, membership_id)
    if membership.role == Role.OWNER:
        raise OwnerStays
    if role == Role.OWNER:
        raise OwnerIsMadeByTransfer
    return set_role(membership, role)


def lock_people(organization: Organization) -> None:
    """Wait for, then hold, the organization's line. NO KEY: rows that merely point to the organization go on."""
    Organization.objects.select_for_update(no_key=True).get(pk=organization.pk)


def require(organization: Organization, actor: User, act: Act) -> Membership:
    """Return the actor's membership as it is now, under the lock; raise NotAllowed if it does not allow the act."""
    membership = Membership.objects.filter(organization=organization, user=actor).first()
    if membership is None or not may(membership.role, act):
        raise NotAllowed
    return membership


def find_member(organization: Organization, membership_id: int) -> Membership:
    membership = Membership.objects.select_related("user").filter(organization=organization, pk=membership_id).first()
    if membership is None:
        raise NotAMember
    return membership


def set_role(membership: Membership, role: Role) -> Membership:
    membership.role = role
    membership.save(update_fields=["role"])
    return membership


@transaction.atomic
def remove(organization: Organization, *, actor: User, membership_id: int) -> User:
    """End another's membership and return whose it was. Raises NotAllowed, NotAMember, OwnerStays."""
    lock_people(organization)
    require(organization, actor, Act.MANAGE_MEMBERS)
    membership = find_member(organization, membership_id)
    if membership.role == Role.OWNER:
        raise OwnerStays
    membership.delete()
    return membership.user


@transaction.atomic
def leave(organization: Organization, *, user: User) -> None:
    """End one's own membership. Leaving twice is leaving once. Raises OwnerCannotLeave."""
    lock_people(organization)
    membership = Membership.objects.filter(organization=organization, user=user).first()
    if membership is None:
        return
    if membership.role == Role.OWNER:
        raise OwnerCannotLeave
    membership.delete()


@transaction.atomic
def transfer_ownership(organization: Organization, *, actor: User, membership_id: int) -> Membership:
    """Make a member the owner; who owned becomes an admin. Raises NotAllowed, NotAMember, AlreadyOwner."""
    lock_people(organization)
    owner = require(organization, actor, Act.TRANSFER_OWNERSHIP)
    successor = find_member(organization, membership_id)
    if successor.pk == owner.pk:
        raise AlreadyOwner
    set_role(owner, Role.ADMIN)  # first: the constraint allows one owner at every moment
    return set_role(successor, Role.OWNER)
