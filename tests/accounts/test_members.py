"""Membership's verbs, and what holds when two of them race."""

from functools import partial

import pytest
from django.db import IntegrityError, transaction

from accounts import members
from accounts.models import Membership, Organization, Role, User
from accounts.permissions import ALLOWED
from accounts.refusals import (
    AlreadyOwner,
    NotAllowed,
    NotAMember,
    OwnerCannotLeave,
    OwnerIsMadeByTransfer,
    OwnerStays,
)
from tests.accounts.races import race
from tests.cast import make_user


def join(organization: Organization, user: User, role: Role) -> Membership:
    return Membership.objects.create(organization=organization, user=user, role=role)


def role_of(organization: Organization, user: User) -> str | None:
    return Membership.objects.filter(organization=organization, user=user).values_list("role", flat=True).first()


def member_id(organization: Organization, user: User) -> int:
    return Membership.objects.get(organization=organization, user=user).pk


def test_every_role_has_its_row_in_the_table_of_permissions() -> None:
    assert set(ALLOWED) == set(Role)


def test_the_database_refuses_a_second_owner(acme, bob) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Membership.objects.filter(organization=acme, user=bob).update(role=Role.OWNER)


@pytest.mark.parametrize(
    ("actor_role", "target_role", "wanted", "refusal"),
    [
        (Role.OWNER, Role.MEMBER, Role.ADMIN, None),  # owners give roles
        (Role.ADMIN, Role.MEMBER, Role.BILLING, None),  # so do admins
        (Role.ADMIN, Role.ADMIN, Role.MEMBER, None),  # also to other admins
        (Role.ADMIN, Role.OWNER, Role.MEMBER, OwnerStays),  # but not to the owner
        (Role.ADMIN, Role.MEMBER, Role.OWNER, OwnerIsMadeByTransfer),  # nor do they make one
        (Role.OWNER, Role.MEMBER, Role.OWNER, OwnerIsMadeByTransfer),  # not even the owner this way
        (Role.BILLING, Role.MEMBER, Role.ADMIN, NotAllowed),  # billing is about money
        (Role.MEMBER, Role.BILLING, Role.MEMBER, NotAllowed),
        (None, Role.MEMBER, Role.ADMIN, NotAllowed),  # outsiders
    ],
)
def test_it_changes_roles_by_the_table(db, actor_role, target_role, wanted, refusal) -> None:
    organization = Organization.objects.create(name="Table", billing_email="t@example.com")
    actor, target = make_user("Actor"), make_user("Target")
    if actor_role:
        join(organization, actor, actor_role)
    before = join(organization, target, target_role)
    if refusal:
        with pytest.raises(refusal):
            members.change_role(organization, actor=actor, membership_id=before.pk, role=wanted)
        assert role_of(organization, target) == target_role
    else:
        members.change_role(organization, actor=actor, membership_id=before.pk, role=wanted)
        assert role_of(organization, target) == wanted


def test_an_admin_cannot_make_themselves_owner(acme, bob) -> None:
    Membership.objects.filter(organization=acme, user=bob).update(role=Role.ADMIN)
    with pytest.raises(OwnerIsMadeByTransfer):
        members.change_role(acme, actor=bob, membership_id=member_id(acme, bob), role=Role.OWNER)
    with pytest.raises(NotAllowed):
        members.transfer_ownership(acme, actor=bob, membership_id=member_id(acme, bob))


def test_a_membership_of_another_organization_is_out_of_reach(acme, alice, charlie) -> None:
    theirs = Membership.objects.get(user=charlie)
    for act in (
        lambda: members.change_role(acme, actor=alice, membership_id=theirs.pk, role=Role.ADMIN),
        lambda: members.remove(acme, actor=alice, membership_id=theirs.pk),
        lambda: members.transfer_ownership(acme, actor=alice, membership_id=theirs.pk),
    ):
        with pytest.raises(NotAMember):
            act()
    assert role_of(theirs.organization, charlie) == Role.OWNER


def test_it_removes_a_member_but_never_the_owner(acme, alice, bob) -> None:
    assert members.remove(acme, actor=alice, membership_id=member_id(acme, bob)) == bob
    assert role_of(acme, bob) is None
    with pytest.raises(OwnerStays):
        members.remove(acme, actor=alice, membership_id=member_id(acme, alice))


def test_a_member_leaves_and_leaving_twice_is_leaving_once(acme, bob) -> None:
    members.leave(acme, user=bob)
    members.leave(acme, user=bob)
    assert role_of(acme, bob) is None


def test_the_owner_must_transfer_before_leaving(acme, alice, bob) -> None:
    with pytest.raises(OwnerCannotLeave):
        members.leave(acme, user=alice)
    members.transfer_ownership(acme, actor=alice, membership_id=member_id(acme, bob))
    assert (role_of(acme, alice), role_of(acme, bob)) == (Role.ADMIN, Role.OWNER)
    members.leave(acme, user=alice)
    assert role_of(acme, alice) is None


def test_ownership_is_not_transferred_to_its_owner(acme, alice) -> None:
    with pytest.raises(AlreadyOwner):
        members.transfer_ownership(acme, actor=alice, membership_id=member_id(acme, alice))


@pytest.mark.django_db(transaction=True)
def test_of_many_transfers_at_once_one_happens_and_there_is_always_one_owner(acme, alice) -> None:
    successors = [join(acme, make_user(f"Heir{n}"), Role.MEMBER) for n in range(6)]
    answers = race(
        [partial(members.transfer_ownership, acme, actor=alice, membership_id=heir.pk) for heir in successors]
    )
    assert sum(isinstance(answer, Membership) for answer in answers) == 1
    assert all(isinstance(answer, Membership | NotAllowed) for answer in answers)
    assert Membership.objects.filter(organization=acme, role=Role.OWNER).count() == 1
    assert role_of(acme, alice) == Role.ADMIN


@pytest.mark.django_db(transaction=True)
def test_who_leaves_while_becoming_owner_leaves_no_organization_without_owner(acme, alice, bob) -> None:
    bobs = member_id(acme, bob)
    race(
        [
            lambda: members.transfer_ownership(acme, actor=alice, membership_id=bobs),
            lambda: members.leave(acme, user=bob),
            lambda: members.remove(acme, actor=alice, membership_id=bobs),
        ]
    )
    assert Membership.objects.filter(organization=acme, role=Role.OWNER).count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_admins_who_remove_each_other_do_not_both_succeed(acme) -> None:
    first, second = make_user("First"), make_user("Second")
    theirs = {user: join(acme, user, Role.ADMIN).pk for user in (first, second)}
    answers = race(
        [
            lambda: members.remove(acme, actor=first, membership_id=theirs[second]),
            lambda: members.remove(acme, actor=second, membership_id=theirs[first]),
        ]
    )
    assert sorted(type(answer).__name__ for answer in answers) == ["NotAllowed", "User"]
