"""A passkey is made and used in a real browser, with a virtual authenticator, under our content security policy."""

import pytest
from django.conf import LazySettings
from playwright.sync_api import Page, expect

from accounts.models import Organization, User
from tests.cast import PASSWORD

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


@pytest.fixture
def phone(page: Page, settings: LazySettings) -> Page:
    """A page whose browser holds an authenticator that always agrees."""
    settings.MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = True  # the test server speaks plain HTTP, on localhost
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    session.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
    return page


def sign_in_with_password(page: Page, origin: str, user: User) -> None:
    page.goto(f"{origin}/accounts/login/")
    page.get_by_label("E-mail address").fill(user.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_text("You:")).to_be_attached()


def give_password_again(page: Page) -> None:
    if "reauthenticate" in page.url:
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Continue").click()


def add_passkey(page: Page, origin: str) -> None:
    page.goto(f"{origin}/accounts/2fa/webauthn/add/")
    give_password_again(page)
    page.get_by_label("Name").fill("Alice's laptop")
    page.get_by_role("checkbox").check()
    page.get_by_role("button", name="Add key").click()
    expect(page).not_to_have_url(f"{origin}/accounts/2fa/webauthn/add/")


def test_a_passkey_made_under_security_lets_its_owner_in(
    phone: Page, alice: User, acme: Organization, live_server: str
) -> None:
    origin = str(live_server)
    sign_in_with_password(phone, origin, alice)
    add_passkey(phone, origin)
    phone.goto(f"{origin}/accounts/2fa/webauthn/")
    expect(phone.get_by_role("heading", name="Alice's laptop")).to_be_visible()
    phone.context.clear_cookies()
    phone.goto(f"{origin}/accounts/login/")
    phone.get_by_role("button", name="Sign in with a passkey").click()
    expect(phone.get_by_text("You:")).to_be_attached()


def test_a_device_without_a_passkey_is_told_so(page: Page, settings: LazySettings, live_server: str) -> None:
    settings.MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = True
    page.add_init_script(
        "navigator.credentials.get = async () => { throw new DOMException('no', 'NotAllowedError'); };"
    )
    page.goto(f"{live_server}/accounts/login/")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("alert")).to_contain_text("The passkey was not used")
