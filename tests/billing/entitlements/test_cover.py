"""Whose subscription decides in a tree of organizations, and what the pages of both ends say of it."""

from collections.abc import Callable
from typing import Any

import pytest
from djstripe.models import Subscription

from accounts.models import Membership, Organization, Role, User
from billing.entitlements.access import State
from billing.entitlements.models import Reason, Suspension
from billing.entitlements.resolve import access_of, cover_of, covered_by
from tests.billing.mirrored import put_in_mirror
from tests.billing.objects import START, subscription
from tests.billing.pages.conftest import plans as plans
from tests.cast import make_user, sign_in

pytestmark = pytest.mark.django_db

Subscribe = Callable[..., None]


def part_of(parent: Organization, name: str) -> Organization:
    return Organization.objects.create(name=name, billing_email="part@example.com", parent=parent)


@pytest.fixture
def branch(acme: Organization) -> Organization:
    """A part of Acme, which Charlie's friend Dora owns; Alice has no place in it."""
    branch = part_of(acme, "Acme Osaka")
    Membership.objects.create(organization=branch, user=make_user("Dora"), role=Role.OWNER)
    return branch


@pytest.fixture
def dora(branch: Organization) -> User:
    return branch.memberships.get().user


@pytest.fixture
def subscribe(customer_of: Callable[[Organization, str], None], plans: None) -> Subscribe:
    """Give an organization a subscription to Business, in the state that is named."""

    def give(organization: Organization, status: str = "active", **fields: Any) -> None:
        customer_of(organization, f"cus_{organization.pk}")
        ended = {"ended_at": 1_770_100_000} if status == "canceled" else {}
        put_in_mirror(
            subscription(f"sub_{organization.pk}", customer=f"cus_{organization.pk}", status=status, **ended, **fields)
        )

    return give


@pytest.mark.parametrize(
    ("own", "above", "payer", "state"),
    [
        ("", "active", "above", State.ACTIVE),
        ("", "past_due", "above", State.GRACE),
        ("", "unpaid", "above", State.SUSPENDED),
        ("", "canceled", "own", State.REVOKED),  # nobody's any more
        ("", "", "own", State.REVOKED),
        ("active", "active", "own", State.ACTIVE),
        ("canceled", "active", "above", State.ACTIVE),  # as if there had never been one
        ("incomplete", "active", "above", State.ACTIVE),  # not paid yet: until then the parent's serves
        ("unpaid", "active", "own", State.SUSPENDED),  # what a child owes is not passed over
    ],
)
def test_the_nearest_subscription_that_has_not_ended_decides(
    acme: Organization, branch: Organization, subscribe: Subscribe, own: str, above: str, payer: str, state: State
) -> None:
    for organization, status in ((branch, own), (acme, above)):
        if status:
            subscribe(organization, status)
    cover = cover_of(branch)
    assert cover.payer == (branch if payer == "own" else acme)
    assert (cover.access.state, access_of(branch).state) == (state, state)


def test_it_reaches_down_every_storey_and_past_one_that_has_ended(
    acme: Organization, branch: Organization, subscribe: Subscribe
) -> None:
    shop = part_of(branch, "Acme Osaka, shop")
    subscribe(acme)
    subscribe(branch, "canceled")
    assert cover_of(shop).payer == acme


def test_a_circle_of_parents_ends(acme: Organization, branch: Organization) -> None:
    Organization.objects.filter(pk=acme.pk).update(parent=branch)
    assert not access_of(Organization.objects.get(pk=branch.pk)).granted


def test_a_payer_covers_those_below_that_have_none_of_their_own(
    acme: Organization, branch: Organization, subscribe: Subscribe
) -> None:
    own, ended = part_of(acme, "Own"), part_of(acme, "Ended")
    part_of(own, "Below own")
    shop = part_of(branch, "Acme Osaka, shop")
    subscribe(acme)
    subscribe(own)
    subscribe(ended, "canceled")
    assert covered_by(acme) == [branch, shop, ended]


def test_a_child_reads_who_pays_and_to_whom_to_turn(
    acme: Organization, branch: Organization, dora: User, alice: User, subscribe: Subscribe
) -> None:
    subscribe(acme)
    page = sign_in(dora).get(f"/o/{branch.public_id}/").content.decode()
    assert "Business is active, through Acme." in page
    assert "Acme pays for it. Nothing is charged to this organization." in page
    assert f'<a href="mailto:{alice.email}">' in page
    assert f"/o/{acme.public_id}/" not in page  # Dora has no place there
    assert "You have no plan yet." not in page
    assert "We charge" not in page  # what Acme pays is Acme's


@pytest.mark.parametrize(
    ("status", "fields", "words"),
    [
        ("past_due", {}, "A payment of theirs is not settled yet; until it is, everything works as before."),
        ("active", {"cancel_at": 1_900_000_000}, "It ends on "),
        ("unpaid", {}, "Access through Acme is suspended."),
    ],
)
def test_a_child_reads_what_stands_in_the_way(
    acme: Organization, branch: Organization, dora: User, subscribe: Subscribe, status: str, fields: Any, words: str
) -> None:
    subscribe(acme, status, **fields)
    assert words in sign_in(dora).get(f"/o/{branch.public_id}/").content.decode()


def test_a_suspended_payer_is_said_and_does_not_count_as_cover_for_the_plans(
    acme: Organization, branch: Organization, dora: User, subscribe: Subscribe
) -> None:
    subscribe(acme)
    Suspension.objects.create(
        organization=acme, customer_id=f"cus_{acme.pk}", reason=Reason.REVIEW, since=START, by="olga", key="k"
    )
    page = sign_in(dora).get(f"/o/{branch.public_id}/").content.decode()
    assert "Access through Acme is suspended." in page
    assert "Turn to Alice." in page
    assert "covers this organization" not in sign_in(dora).get(f"/o/{branch.public_id}/plans/").content.decode()


def test_who_belongs_to_both_is_led_from_one_to_the_other(
    acme: Organization, branch: Organization, alice: User, subscribe: Subscribe
) -> None:
    Membership.objects.create(organization=branch, user=alice, role=Role.ADMIN)
    part_of(acme, "Acme Sapporo")
    subscribe(acme)
    member = sign_in(alice)
    assert f'href="/o/{acme.public_id}/">Go to Acme</a>' in member.get(f"/o/{branch.public_id}/").content.decode()
    parent = member.get(f"/o/{acme.public_id}/").content.decode()
    assert f'<a href="/o/{branch.public_id}/">Acme Osaka</a><br>Acme Sapporo' in parent


def test_who_only_reads_the_payers_plan_is_not_told_whom_it_covers(
    acme: Organization, branch: Organization, bob: User, subscribe: Subscribe
) -> None:
    subscribe(acme)
    assert "Acme Osaka" not in sign_in(bob).get(f"/o/{acme.public_id}/").content.decode()


@pytest.mark.parametrize("page", ["plans/", "begin/?plan=team"])
def test_a_child_that_looks_at_plans_is_told_that_it_need_not(
    acme: Organization, branch: Organization, dora: User, subscribe: Subscribe, page: str
) -> None:
    subscribe(acme)
    told = sign_in(dora).get(f"/o/{branch.public_id}/{page}").content.decode()
    assert "Business of Acme covers this organization." in told
    assert "you need not subscribe" in told
    assert "Subscribe to Team" in told  # and may all the same


def test_whoever_cancels_reads_for_whom_else_it_ends(
    acme: Organization, branch: Organization, alice: User, subscribe: Subscribe
) -> None:
    subscribe(acme)
    page = sign_in(alice).get(f"/o/{acme.public_id}/cancel/").content.decode()
    assert "For whom else it ends" in page
    assert "Acme Osaka" in page


def test_the_console_speaks_of_the_subscription_that_has_ended(
    acme: Organization, branch: Organization, dora: User, olga: User, subscribe: Subscribe
) -> None:
    subscribe(acme)
    subscribe(branch, "canceled")
    assert "through Acme." in sign_in(dora).get(f"/o/{branch.public_id}/").content.decode()
    pk = Subscription.objects.get(id=f"sub_{branch.pk}").pk
    page = sign_in(olga).get(f"/admin/djstripe/subscription/{pk}/change/", follow=True).content.decode()
    assert "Business ended on" in page
    assert "through Acme." not in page


def test_the_console_says_who_pays_for_a_part_and_whom_a_payer_covers(
    acme: Organization, branch: Organization, olga: User, subscribe: Subscribe
) -> None:
    own = part_of(acme, "Own")
    subscribe(acme)
    subscribe(own)
    client = sign_in(olga)
    pages = {
        each.name: client.get(f"/admin/accounts/organization/{each.pk}/change/").content.decode()
        for each in (acme, branch, own)
    }
    payer = f'<a class="text-link" href="/admin/accounts/organization/{acme.pk}/change/">Acme</a>'
    assert "Paid for by another organization" in pages["Acme Osaka"]
    assert f"<td>{payer}</td><td>Business</td>" in pages["Acme Osaka"]
    assert "Paid for by another organization" not in pages["Own"] + pages["Acme"]
    assert 'Acme Osaka</a> <span class="quiet">covered' in pages["Acme"]
    assert "Own</a></li>" in pages["Acme"]
