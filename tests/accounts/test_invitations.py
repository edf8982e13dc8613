"""Invitations: what a link is good for, and for whom."""

from datetime import UTC, datetime, timedelta

import pytest
from allauth.account.models import EmailAddress
from django.utils import timezone

from accounts import invitations
from accounts.invitations import BETWEEN_MAILS, LIFETIME, MOST_A_DAY, MOST_PENDING, hash_token
from accounts.models import Invitation, Membership, Role, User
from accounts.refusals import (
    AlreadyMember,
    InvitationExpired,
    InvitationIsForAnother,
    InvitationJustSent,
    InvitationRevoked,
    InvitationUnknown,
    InvitationUsed,
    NotAllowed,
    OwnerIsMadeByTransfer,
    TooManyInvitations,
    TooManyInvitationsToday,
)
from tests.accounts.races import race
from tests.cast import make_user

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@pytest.fixture
def dora(db: None) -> User:
    """Somebody who has an account and is about to be invited."""
    return make_user("Dora")


def offer(acme, alice, *, email="dora@example.com", role=Role.BILLING, now=NOW) -> invitations.Offer:
    return invitations.invite(acme, actor=alice, email=email, role=role, now=now)


def token_for(*arguments, **words) -> str:
    token = offer(*arguments, **words).token
    assert token is not None
    return token


def test_only_the_hash_of_a_token_of_256_bits_is_stored(acme, alice) -> None:
    made = offer(acme, alice)
    assert made.token is not None
    assert len(made.token) >= 43  # 32 bytes in base64
    assert made.invitation.token_hash == hash_token(made.token)
    stored = " ".join(str(value) for value in Invitation.objects.values_list().get())
    assert made.token not in stored


def test_it_is_accepted_into_the_offered_role(acme, alice, dora) -> None:
    membership = invitations.accept(token_for(acme, alice), user=dora, now=NOW)
    assert (membership.organization, membership.role) == (acme, Role.BILLING)
    assert Invitation.objects.get().accepted_at == NOW


def test_capital_letters_in_an_address_make_no_difference(acme, alice, dora) -> None:
    token = token_for(acme, alice, email="  Dora@Example.COM ")
    assert invitations.accept(token, user=dora, now=NOW).user == dora


def test_asking_again_changes_nothing_and_sends_nothing(acme, alice) -> None:
    first, second = offer(acme, alice), offer(acme, alice)
    assert second.invitation == first.invitation
    assert second.token is None
    assert Invitation.objects.get().token_hash == first.invitation.token_hash


def test_asking_again_with_another_role_offers_that_one_by_a_new_link(acme, alice, dora) -> None:
    old = token_for(acme, alice, role=Role.MEMBER)
    new = token_for(acme, alice, role=Role.ADMIN, now=NOW + BETWEEN_MAILS)
    with pytest.raises(InvitationUnknown):
        invitations.accept(old, user=dora, now=NOW)
    assert invitations.accept(new, user=dora, now=NOW).role == Role.ADMIN
    assert Invitation.objects.count() == 1


def test_asking_again_after_it_expired_makes_it_good_again(acme, alice, dora) -> None:
    offer(acme, alice)
    later = NOW + LIFETIME + timedelta(seconds=1)
    assert invitations.accept(token_for(acme, alice, now=later), user=dora, now=later)
    assert Invitation.objects.count() == 1


def test_sending_again_kills_the_old_link(acme, alice, dora) -> None:
    first = offer(acme, alice)
    again = invitations.resend(acme, actor=alice, invitation_id=first.invitation.pk, now=NOW + timedelta(days=6))
    with pytest.raises(InvitationUnknown):
        invitations.accept(first.token or "", user=dora, now=NOW)
    assert invitations.accept(again.token or "", user=dora, now=NOW + timedelta(days=12))


@pytest.mark.parametrize(
    ("age", "accepted"),
    [
        (timedelta(0), True),
        (LIFETIME - timedelta(seconds=1), True),
        (LIFETIME, False),  # seven days are over
        (LIFETIME * 9, False),
    ],
)
def test_a_link_works_for_seven_days(acme, alice, dora, age, accepted) -> None:
    token = token_for(acme, alice)
    if accepted:
        assert invitations.accept(token, user=dora, now=NOW + age)
        return
    with pytest.raises(InvitationExpired):
        invitations.accept(token, user=dora, now=NOW + age)
    assert not Membership.objects.filter(user=dora).exists()


def test_a_revoked_link_is_dead_and_revoking_twice_is_revoking_once(acme, alice, dora) -> None:
    made = offer(acme, alice)
    for _ in range(2):
        invitations.revoke(acme, actor=alice, invitation_id=made.invitation.pk, now=NOW)
    with pytest.raises(InvitationRevoked):
        invitations.accept(made.token or "", user=dora, now=NOW)
    with pytest.raises(InvitationRevoked):
        invitations.resend(acme, actor=alice, invitation_id=made.invitation.pk, now=NOW)


def test_a_link_works_once(acme, alice, dora) -> None:
    made = offer(acme, alice)
    invitations.accept(made.token or "", user=dora, now=NOW)
    with pytest.raises(InvitationUsed):
        invitations.accept(made.token or "", user=dora, now=NOW)
    with pytest.raises(InvitationUsed):
        invitations.revoke(acme, actor=alice, invitation_id=made.invitation.pk, now=NOW)


def test_a_link_in_the_wrong_hands_opens_nothing(acme, alice, charlie) -> None:
    token = token_for(acme, alice)
    with pytest.raises(InvitationIsForAnother):
        invitations.accept(token, user=charlie, now=NOW)
    assert Invitation.objects.get().accepted_at is None


def test_an_unconfirmed_address_proves_nothing(acme, alice, charlie) -> None:
    EmailAddress.objects.create(user=charlie, email="dora@example.com", verified=False)
    with pytest.raises(InvitationIsForAnother):
        invitations.accept(token_for(acme, alice), user=charlie, now=NOW)


def test_a_second_confirmed_address_counts(acme, alice, charlie) -> None:
    EmailAddress.objects.create(user=charlie, email="dora@example.com", verified=True)
    assert invitations.accept(token_for(acme, alice), user=charlie, now=NOW).user == charlie


def test_who_is_a_member_already_keeps_their_role(acme, alice, dora) -> None:
    token = token_for(acme, alice, role=Role.MEMBER)
    Membership.objects.create(organization=acme, user=dora, role=Role.ADMIN)
    assert invitations.accept(token, user=dora, now=NOW).role == Role.ADMIN


def test_one_address_gets_one_mail_a_minute(acme, alice) -> None:
    first = offer(acme, alice)
    soon, then = NOW + BETWEEN_MAILS - timedelta(seconds=1), NOW + BETWEEN_MAILS
    with pytest.raises(InvitationJustSent):
        invitations.resend(acme, actor=alice, invitation_id=first.invitation.pk, now=soon)
    with pytest.raises(InvitationJustSent):
        offer(acme, alice, role=Role.ADMIN, now=soon)
    assert Invitation.objects.get().token_hash == first.invitation.token_hash  # the first link still works
    assert invitations.resend(acme, actor=alice, invitation_id=first.invitation.pk, now=then).token


def test_inviting_and_revoking_without_end_is_limited_by_the_day(acme, alice) -> None:
    today = timezone.now()
    Invitation.objects.bulk_create(
        Invitation(organization=acme, email=f"g{n}@example.com", token_hash=str(n), expires_at=today, revoked_at=today)
        for n in range(MOST_A_DAY)
    )
    with pytest.raises(TooManyInvitationsToday):
        offer(acme, alice, now=today)
    assert offer(acme, alice, now=today + timedelta(days=2)).token


def test_a_made_up_link_is_unknown(dora) -> None:
    with pytest.raises(InvitationUnknown):
        invitations.accept("a" * 43, user=dora, now=NOW)


def test_members_and_owners_are_not_invited(acme, alice, bob) -> None:
    with pytest.raises(AlreadyMember):
        offer(acme, alice, email="BOB@example.com")
    with pytest.raises(OwnerIsMadeByTransfer):
        offer(acme, alice, role=Role.OWNER)
    with pytest.raises(NotAllowed):
        offer(acme, bob)


def test_invitations_without_answer_are_limited(acme, alice) -> None:
    for number in range(MOST_PENDING):
        offer(acme, alice, email=f"guest{number}@example.com")
    with pytest.raises(TooManyInvitations) as refused:
        offer(acme, alice, email="one-more@example.com")
    assert str(MOST_PENDING) in str(refused.value)
    first = Invitation.objects.earliest("pk")
    invitations.revoke(acme, actor=alice, invitation_id=first.pk, now=NOW)
    assert offer(acme, alice, email="one-more@example.com").token


def test_another_organizations_invitation_is_out_of_reach(acme, alice, charlie) -> None:
    theirs = invitations.invite(
        charlie.organizations.get(), actor=charlie, email="dora@example.com", role=Role.MEMBER, now=NOW
    ).invitation
    with pytest.raises(InvitationUnknown):
        invitations.revoke(acme, actor=alice, invitation_id=theirs.pk, now=NOW)
    with pytest.raises(InvitationUnknown):
        invitations.resend(acme, actor=alice, invitation_id=theirs.pk, now=NOW)


@pytest.mark.django_db(transaction=True)
def test_many_clicks_on_one_link_make_one_member(acme, alice, dora) -> None:
    token = token_for(acme, alice)
    answers = race([lambda: invitations.accept(token, user=dora, now=NOW)] * 6)
    assert sorted(type(answer).__name__ for answer in answers) == ["InvitationUsed"] * 5 + ["Membership"]
    assert Membership.objects.filter(organization=acme, user=dora).count() == 1


@pytest.mark.django_db(transaction=True)
def test_many_clicks_on_invite_make_one_invitation_and_one_mail(acme, alice) -> None:
    answers = race([lambda: offer(acme, alice)] * 6)
    assert [answer.token is not None for answer in answers].count(True) == 1
    assert Invitation.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_an_invitation_accepted_while_it_is_revoked_is_one_or_the_other(acme, alice, dora) -> None:
    made = offer(acme, alice)
    race(
        [
            lambda: invitations.accept(made.token or "", user=dora, now=NOW),
            lambda: invitations.revoke(acme, actor=alice, invitation_id=made.invitation.pk, now=NOW),
        ]
    )
    made.invitation.refresh_from_db()
    joined = Membership.objects.filter(organization=acme, user=dora).exists()
    assert (made.invitation.accepted_at is not None) == joined
    assert (made.invitation.revoked_at is not None) != joined
