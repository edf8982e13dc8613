"""Inviting a colleague, forgetting a password, and being kept out."""

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.journeys.conftest import Portal
from tests.journeys.people import Person

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("journeys")]


def test_bob_joins_by_the_link_in_his_mail_and_charlie_gets_404(page: Page, portal: Portal, chromium: Browser) -> None:
    alice = Person(page, portal, "Alice")
    alice.sign_up("Acme")
    bob = Person(chromium.new_context(locale="en-US").new_page(), portal, "Bob")
    page.get_by_role("link", name="Members").first.click()
    page.get_by_label(re.compile("E-?mail", re.I)).fill(bob.email)
    page.get_by_role("button", name=re.compile("Invite|Send")).first.click()
    expect(page.get_by_text(bob.email, exact=True)).to_be_visible()
    home = alice.home

    bob.open_link_from_mail("/invitations/")
    bob.page.get_by_role("link", name=re.compile("Create an account|Sign up")).first.click()
    bob.page.get_by_label("Your name").fill("Bob")
    bob.page.get_by_label("E-mail address").fill(bob.email)
    bob.page.get_by_label("Password").fill(bob.password)
    bob.page.get_by_role("button", name="Create account").click()
    bob.confirm_address()
    bob.page.goto(home)
    expect(bob.now).to_be_visible()
    assert bob.page.goto(home + "invoices/").status == 403  # type: ignore[union-attr]

    charlie = Person(chromium.new_context(locale="en-US").new_page(), portal, "Charlie")
    charlie.sign_up("Elsewhere")
    for place in ("", "plans/", "invoices/", "members/", "settings/", "cancel/"):
        assert charlie.page.goto(home + place).status == 404  # type: ignore[union-attr]
    for person in (bob, charlie):
        person.page.context.close()


def test_a_forgotten_password_is_replaced_by_the_link_in_the_mail(page: Page, portal: Portal) -> None:
    alice = Person(page, portal, "Alice")
    alice.sign_up("Forgetful")
    page.context.clear_cookies()
    page.goto(f"{portal.url}/accounts/login/")
    page.get_by_role("link", name=re.compile("Forgot")).click()
    page.get_by_label("E-mail address").fill(alice.email)
    page.get_by_role("button").filter(has_text=re.compile("Reset|Send", re.I)).first.click()
    alice.open_link_from_mail("/accounts/password/reset/key/")
    alice.password = "another long private word"
    page.get_by_label(re.compile("^New password", re.I)).first.fill(alice.password)
    again = page.get_by_label(re.compile("again", re.I))
    if again.count():
        again.fill(alice.password)
    page.get_by_role("button").filter(has_text=re.compile("password", re.I)).first.click()
    alice.sign_in()
    expect(page.get_by_role("link", name="Overview").first).to_be_visible()
