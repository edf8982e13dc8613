"""Sign-up: alone, by invitation, twice at once, with an address that is taken."""

from functools import partial
from typing import Any
from urllib.parse import urlencode

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from accounts import invitations, signup
from accounts.models import Membership, Organization, Role, User
from tests.accounts.browser import is_signed_in, link_in_mail, log_in, new_browser
from tests.accounts.races import race
from tests.cast import PASSWORD

ELLA = "ella@example.com"


def sign_up(browser: Client, *, at: str = "/accounts/signup/", **changes: Any) -> HttpResponse:
    form = {"name": "Ella", "organization_name": "Ella & Co", "email": ELLA, "password1": PASSWORD, **changes}
    return browser.post(at, form)  # type: ignore[return-value]


def confirm(browser: Client, email: str = ELLA) -> HttpResponse:
    return browser.post(link_in_mail(email, "confirm-email"))  # type: ignore[return-value]


def test_it_makes_a_person_an_organization_and_its_owner_at_once(db) -> None:
    browser = new_browser(headers={"accept-language": "ja,en;q=0.5"})
    sign_up(browser, email="Ella@Example.com", time_zone="Asia/Tokyo")
    ella = User.objects.get(email=ELLA)
    assert (ella.name, ella.language, ella.time_zone) == ("Ella", "ja", "Asia/Tokyo")
    membership = Membership.objects.select_related("organization").get(user=ella)
    assert membership.role == Role.OWNER
    assert (membership.organization.name, membership.organization.billing_email) == ("Ella & Co", ELLA)


@pytest.mark.parametrize("nonsense", ["", "Mars/Olympus", "../../etc/passwd", "x" * 5000])
def test_a_time_zone_that_is_none_becomes_utc(db, nonsense) -> None:
    sign_up(new_browser(), time_zone=nonsense)
    assert User.objects.get(email=ELLA).time_zone == "UTC"


def test_what_fails_in_the_middle_leaves_nothing(db, monkeypatch) -> None:
    def fail(*arguments: Any, **words: Any) -> None:
        raise ConnectionError

    monkeypatch.setattr(signup, "create_organization", fail)
    with pytest.raises(ConnectionError):
        sign_up(new_browser())
    assert not User.objects.exists()
    assert not EmailAddress.objects.exists()


def test_nobody_gets_in_before_the_address_is_confirmed(db) -> None:
    browser = new_browser()
    sign_up(browser)
    assert not is_signed_in(browser)
    answer = log_in(browser, ELLA)
    assert answer.headers["Location"] == "/accounts/confirm-email/"
    assert not is_signed_in(browser)


def test_the_link_in_the_mail_confirms_and_signs_in_where_sign_up_began(db) -> None:
    browser = new_browser()
    sign_up(browser)
    assert browser.get(link_in_mail(ELLA, "confirm-email")).status_code == 200
    assert not EmailAddress.objects.get().verified  # mail scanners follow links; only the button confirms
    assert confirm(browser).headers["Location"] == "/"
    assert EmailAddress.objects.get().verified
    assert is_signed_in(browser)


def test_the_link_in_another_browser_confirms_but_does_not_sign_in(db) -> None:
    sign_up(new_browser())
    other = new_browser()
    confirm(other)
    assert EmailAddress.objects.get().verified
    assert not is_signed_in(other)


def test_an_address_that_is_taken_is_answered_like_a_free_one(alice) -> None:
    free, taken = new_browser(), new_browser()
    answers = [sign_up(free), sign_up(taken, email=alice.email, organization_name="Not Alice")]
    assert len({(answer.status_code, answer.headers["Location"]) for answer in answers}) == 1
    assert not Organization.objects.filter(name="Not Alice").exists()
    to_alice = [message for message in mail.outbox if message.to == [alice.email]]
    assert len(to_alice) == 1
    assert "confirm-email" not in str(to_alice[0].body)


@pytest.mark.django_db(transaction=True)
def test_two_clicks_at_once_make_one_person_and_one_organization() -> None:
    browsers = [new_browser(raise_request_exception=False) for _ in range(4)]
    answers = race([partial(sign_up, browser) for browser in browsers])
    assert [answer.status_code for answer in answers] == [302] * 4
    assert User.objects.count() == Organization.objects.count() == Membership.objects.count() == 1


def test_sign_up_in_bulk_is_slowed_down_with_a_sentence(db) -> None:
    browser = new_browser()
    answers = [sign_up(browser, email=f"ella{number}@example.com") for number in range(21)]
    assert [answer.status_code for answer in answers] == [302] * 20 + [429]
    assert "Wait a few minutes and try again." in answers[-1].content.decode()


def test_a_form_that_is_wrong_loses_nothing_of_what_was_typed(db) -> None:
    answer = sign_up(new_browser(), password1="short", organization_name="Very Long & Sons")
    assert answer.status_code == 200
    page = answer.content.decode()
    assert 'value="Very Long &amp; Sons"' in page
    assert f'value="{ELLA}"' in page
    assert not User.objects.exists()


@pytest.fixture
def invited(acme, alice) -> str:
    """The path of an invitation of Ella into Acme."""
    token = invitations.invite(acme, actor=alice, email=ELLA, role=Role.BILLING, now=timezone.now()).token
    return f"/invitations/{token}/"


def by_invitation(path: str) -> str:
    return "/accounts/signup/?" + urlencode({"next": path})


def test_the_invited_are_not_asked_for_an_organization(invited, acme) -> None:
    Organization.objects.filter(pk=acme.pk).update(name="Acme <script>")
    page = new_browser().get(by_invitation(invited))
    assert "With this address you join Acme &lt;script&gt;." in page.content.decode()
    assert "organization_name" not in page.context["form"].fields
    assert page.context["form"]["email"].value() == ELLA
    assert f'name="next" value="{invited}"' in page.content.decode()


def test_the_invited_join_once_they_confirm_exactly_that_address(invited, acme) -> None:
    browser = new_browser()
    sign_up(browser, at=by_invitation(invited))
    ella = User.objects.get(email=ELLA)
    assert not Membership.objects.filter(user=ella).exists()
    confirm(browser)
    membership = Membership.objects.get(user=ella)
    assert (membership.organization, membership.role) == (acme, Role.BILLING)
    assert browser.session["current_organization"] == acme.public_id
    assert Organization.objects.count() == 1


def test_the_invited_join_also_when_they_confirm_in_another_browser(invited, acme) -> None:
    sign_up(new_browser(), at="/accounts/signup/", next=invited)
    confirm(new_browser())
    assert Membership.objects.get(user__email=ELLA).organization == acme


def test_an_invitation_is_for_its_own_address_alone(invited) -> None:
    answer = sign_up(new_browser(), at=by_invitation(invited), email="somebody@example.com")
    assert answer.status_code == 200
    assert ELLA in str(answer.context["form"].errors["email"])  # type: ignore[attr-defined]
    assert not User.objects.filter(email="somebody@example.com").exists()


def test_an_invitation_revoked_before_confirmation_opens_nothing(invited, acme, alice) -> None:
    browser = new_browser()
    sign_up(browser, at=by_invitation(invited))
    pending = acme.invitations.get()
    invitations.revoke(acme, actor=alice, invitation_id=pending.pk, now=timezone.now())
    confirm(browser)
    assert is_signed_in(browser)
    assert not Membership.objects.filter(user__email=ELLA).exists()


def test_who_signs_up_without_the_link_does_not_join(invited, acme) -> None:
    browser = new_browser()
    sign_up(browser)
    confirm(browser)
    assert Membership.objects.get(user__email=ELLA).organization != acme


def test_a_link_that_is_no_longer_good_leaves_an_ordinary_sign_up(invited, acme, alice) -> None:
    invitations.revoke(acme, actor=alice, invitation_id=acme.invitations.get().pk, now=timezone.now())
    for path in (invited, "/invitations/made-up/", "https://evil.example/invitations/x/", "//["):
        page = new_browser().get(by_invitation(path))
        assert "organization_name" in page.context["form"].fields
