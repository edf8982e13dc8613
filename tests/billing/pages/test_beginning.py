"""A plan that a visitor chose is still chosen when they have an account, a confirmed address, an organization."""

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from django.http import HttpResponse
from django.test import Client

from accounts.models import Membership, Organization, Role, User
from tests.accounts.browser import is_signed_in, link_in_mail, log_in, new_browser, one_time_code
from tests.accounts.conftest import own_cache as own_cache
from tests.accounts.test_sign_in import in_a_minute, turn_on_codes
from tests.billing.mirrored import put_in_mirror
from tests.billing.objects import price, subscription
from tests.cast import PASSWORD, make_user, sign_in

CHOSEN = "/begin/?plan=business&interval=year&currency=usd"
ELLA = "ella@example.com"

pytestmark = pytest.mark.usefixtures("plans", "nobody_answers")


@pytest.fixture(autouse=True)
def yearly_in_dollars(plans: None) -> None:
    yearly = {"interval": "year", "interval_count": 1, "usage_type": "licensed"}
    put_in_mirror(price("price_chosen", product="prod_business", unit_amount=52000, currency="usd", recurring=yearly))


def go(browser: Client, address: str) -> HttpResponse:
    return browser.get(address, follow=True)  # type: ignore[return-value]  # the stubs' own class


def begin_sign_up(browser: Client, address: str = CHOSEN, *, email: str = ELLA) -> HttpResponse:
    """As far as "look in your mail"."""
    page = go(browser, address)
    action, onward = "/accounts/signup/", hidden(page, "next")
    form = {"name": "Ella", "organization_name": "Ella & Co", "email": email, "password1": PASSWORD, "next": onward}
    return browser.post(action, form)  # type: ignore[return-value]


def hidden(page: HttpResponse, name: str) -> str:
    """The last of that name: the switch of languages, in the frame above, has a `next` of its own."""
    found = re.findall(rf'name="{name}" value="([^"]*)"', page.content.decode())
    return str(found[-1]).replace("&amp;", "&")


def confirm_address(browser: Client, email: str = ELLA) -> HttpResponse:
    return browser.post(link_in_mail(email, "confirm-email"), follow=True)  # type: ignore[return-value]  # the stubs' own class


def offers(page: HttpResponse) -> bool:
    """Whether the page offers the plan that was chosen, to be confirmed."""
    text = page.content.decode()
    return 'value="price_chosen"' in text and "Subscribe to Business\xa0· $520.00 per year" in text


def test_a_plan_on_the_front_page_leads_to_sign_up_which_names_it() -> None:
    front = new_browser().get("/?interval=year&currency=usd").content.decode()
    assert 'href="/begin/?plan=business&amp;interval=year&amp;currency=usd"' in front
    page = go(new_browser(), CHOSEN)
    assert page.request["PATH_INFO"] == "/accounts/signup/"  # type: ignore[attr-defined]
    assert 'Business · <span class="figures">$520.00 per year</span>' in page.content.decode()


def test_it_is_there_after_the_link_in_the_same_browser() -> None:
    browser = new_browser()
    sent = begin_sign_up(browser)
    assert "$520.00 per year" in go(browser, sent["Location"]).content.decode()
    page = confirm_address(browser)
    assert offers(page)
    assert "Ella &amp; Co" in page.content.decode()


def test_it_is_there_after_the_link_in_another_browser_and_a_sign_in_there() -> None:
    begin_sign_up(new_browser())
    phone = new_browser()
    assert "$520.00 per year" in phone.get(link_in_mail(ELLA, "confirm-email")).content.decode()
    page = confirm_address(phone)
    assert not is_signed_in(phone)
    assert "$520.00 per year" in page.content.decode()
    assert offers(phone.post("/accounts/login/", sign_in_form(ELLA, next=hidden(page, "next")), follow=True))


def sign_in_form(email: str, **fields: str) -> dict[str, str]:
    return {"login": email, "password": PASSWORD, **fields}


def test_the_link_in_the_mail_says_nothing_of_it() -> None:
    from django.core import mail

    begin_sign_up(new_browser())
    assert "begin" not in str(mail.outbox[-1].body)
    assert "next=" not in str(mail.outbox[-1].body)


def test_a_plain_sign_in_later_leads_to_it_once() -> None:
    begin_sign_up(new_browser())
    confirm_address(new_browser())
    page = new_browser().post("/accounts/login/", sign_in_form(ELLA), follow=True)
    assert offers(page)  # type: ignore[arg-type]
    assert log_in(new_browser(), ELLA)["Location"] == "/"


def test_who_has_an_account_signs_in_to_it(alice: User, acme: Organization) -> None:
    browser = new_browser()
    page = go(browser, CHOSEN)
    to_sign_in = re.search(r'href="(/accounts/login/\?[^"]*)"', page.content.decode())
    assert to_sign_in
    sign_in_page = go(browser, to_sign_in.group(1).replace("&amp;", "&"))
    assert "$520.00 per year" in sign_in_page.content.decode()
    assert offers(
        browser.post("/accounts/login/", sign_in_form(alice.email, next=hidden(sign_in_page, "next")), follow=True)
    )


def test_a_second_factor_lies_on_the_way(alice: User, acme: Organization) -> None:
    before, browser = new_browser(), new_browser()
    log_in(before, alice.email)
    secret = turn_on_codes(before)
    with time_machine.travel(in_a_minute(), tick=False):
        asked = browser.post("/accounts/login/", sign_in_form(alice.email, next=CHOSEN))
        assert asked["Location"].startswith("/accounts/2fa/authenticate/")
        assert offers(browser.post("/accounts/2fa/authenticate/", {"code": one_time_code(secret)}, follow=True))


def test_an_address_that_is_taken_is_answered_like_a_free_one(alice: User) -> None:
    free, taken = begin_sign_up(new_browser()), begin_sign_up(new_browser(), email=alice.email)
    assert free["Location"] == taken["Location"]
    alice.refresh_from_db()
    assert alice.wanted_page == ""


def forget_password(browser: Client, email: str) -> HttpResponse:
    """From the chosen plan to sign-in and on to "Forgot your password?", as far as "look in your mail"."""
    sign_in_page = go(browser, linked(go(browser, CHOSEN), "/accounts/login/"))
    asked = go(browser, linked(sign_in_page, "/accounts/password/reset/"))
    assert "$520.00 per year" in asked.content.decode()
    form = {"email": email, "next": hidden(asked, "next")}
    return browser.post("/accounts/password/reset/", form, follow=True)  # type: ignore[return-value]  # the stubs' own class


def linked(page: HttpResponse, path: str) -> str:
    """The last address on the page that begins so: the one in its content."""
    return str(re.findall(rf'href="({path}[^"]*)"', page.content.decode())[-1]).replace("&amp;", "&")


def sign_in_with_new_password(browser: Client, page: HttpResponse) -> HttpResponse:
    """From "your password is changed" to sign-in, and in."""
    sign_in_page = go(browser, linked(page, "/accounts/login/"))
    form = {"login": "alice@example.com", "password": "a brand new phrase", "next": hidden(sign_in_page, "next")}
    return browser.post("/accounts/login/", form, follow=True)  # type: ignore[return-value]  # the stubs' own class


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_new_password_lies_on_the_way(alice: User, acme: Organization, elsewhere: bool) -> None:
    browser = new_browser()
    sent = forget_password(browser, alice.email)
    assert "Look in your mail" in sent.content.decode()
    phone = new_browser() if elsewhere else browser
    asked = go(phone, link_in_mail(alice.email, "password/reset/key"))
    assert "$520.00 per year" in asked.content.decode()
    form = {"password1": "a brand new phrase", "password2": "a brand new phrase", "next": hidden(asked, "next")}
    action = re.search(r'action="([^"]*/password/reset/key/[^"]*)"', asked.content.decode())
    assert action
    changed = phone.post(action[1], form, follow=True)
    assert "Your password is changed" in changed.content.decode()
    assert offers(sign_in_with_new_password(phone, changed))  # type: ignore[arg-type]  # the stubs' own class


def test_a_new_password_on_the_phone_leaves_the_plan_where_it_was_chosen(alice: User, acme: Organization) -> None:
    browser = new_browser()
    sent = forget_password(browser, alice.email)
    alice.set_password("a brand new phrase")
    alice.save()
    assert offers(sign_in_with_new_password(browser, sent))


def test_whoever_asks_for_somebodys_new_password_leaves_nothing_with_the_account(
    alice: User, acme: Organization
) -> None:
    forget_password(new_browser(), alice.email)
    alice.refresh_from_db()
    assert alice.wanted_page == ""
    assert log_in(new_browser(), alice.email)["Location"] == "/"


def test_a_mail_to_an_address_without_account_leads_on_too() -> None:
    forget_password(new_browser(), "nobody@example.com")
    assert "$520.00 per year" in go(new_browser(), link_in_mail("nobody@example.com", "signup")).content.decode()


def test_a_mail_leads_nowhere_else(alice: User) -> None:
    new_browser().post("/accounts/password/reset/", {"email": alice.email, "next": "https://evil.example/"})
    assert "?" not in link_in_mail(alice.email, "password/reset/key")


def test_who_belongs_to_no_organization_makes_one_on_the_way() -> None:
    dora = sign_in(make_user("Dora"))
    page = go(dora, CHOSEN)
    assert page.request["PATH_INFO"] == "/organizations/new/"  # type: ignore[attr-defined]
    assert "$520.00 per year" in page.content.decode()
    form = {"name": "Dora's", "billing_email": "dora@example.com", "next": hidden(page, "next")}
    assert offers(dora.post("/organizations/new/", form, follow=True))  # type: ignore[arg-type]


@pytest.mark.parametrize("address", ["https://evil.example/", "//evil.example/begin/", "/accounts/logout/"])
def test_a_new_organization_leads_nowhere_else(address: str) -> None:
    dora = sign_in(make_user("Dora"))
    made = dora.post("/organizations/new/", {"name": "D", "billing_email": "d@example.com", "next": address})
    assert re.fullmatch(r"/o/org_\w+/", made["Location"])


def test_a_plan_that_is_gone_is_a_sentence_with_what_there_is(alice: User, acme: Organization) -> None:
    for browser in (new_browser(), sign_in(alice)):
        for address in ("/begin/?plan=gone", "/begin/", "/begin/?plan=%00", f"/begin/?plan={'x' * 300}"):
            page = go(browser, address)
            assert page.status_code == 200
            assert "no longer on offer" in page.content.decode(), address


def test_another_interval_than_it_has_is_shown_with_the_one_it_has(alice: User, acme: Organization) -> None:
    page = go(sign_in(alice), "/begin/?plan=team&interval=week&currency=usd")
    assert "Subscribe to Team\xa0· $20.00 per month" in page.content.decode()


def test_a_member_sees_whose_click_it_is(bob: User, acme: Organization) -> None:
    page = go(sign_in(bob), CHOSEN)
    assert not offers(page)
    assert "Subscribing is up to the people who manage billing" in page.content.decode()


def test_who_has_several_organizations_can_choose_for_which(alice: User, acme: Organization) -> None:
    other = Organization.objects.create(name="Beta", billing_email=alice.email)
    Membership.objects.create(organization=other, user=alice, role=Role.OWNER)
    page = go(sign_in(alice), CHOSEN).content.decode()
    (to_beta,) = re.findall(rf'href="(/o/{other.public_id}/begin/[^"]*)"', page)
    query = parse_qs(urlsplit(to_beta.replace("&amp;", "&")).query)
    assert query == {"plan": ["business"], "interval": ["year"], "currency": ["usd"]}
    assert offers(go(sign_in(alice), to_beta.replace("&amp;", "&")))


def test_who_has_a_plan_is_not_sold_a_second(alice: User, acme: Organization, customer_of: Any) -> None:
    customer_of(acme, "cus_1")
    put_in_mirror(subscription())
    page = go(sign_in(alice), CHOSEN)
    assert not offers(page)
    assert "Business is your plan." in page.content.decode()


def test_the_confirmation_is_for_members_alone(charlie: User, acme: Organization) -> None:
    assert sign_in(charlie).get(f"/o/{acme.public_id}/begin/?plan=business").status_code == 404
    assert new_browser().get(f"/o/{acme.public_id}/begin/?plan=business")["Location"].startswith("/accounts/login/")
