"""The pages of people in a real browser: readable for everybody, no wider than the screen, and their ways through."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect

from accounts import invitations
from accounts.models import Invitation, Membership, Organization, Role, User
from tests.accounts.browser import link_in_mail
from tests.browser import VIOLATIONS
from tests.cast import PASSWORD, make_user, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

NARROWEST = 320  # pixels: WCAG 2.2, 1.4.10 Reflow


def let_in(page: Page, user: User, address: str) -> None:
    cookie = sign_in(user).cookies["sessionid"]
    page.context.add_cookies([{"name": "sessionid", "value": cookie.value, "url": address}])


@pytest.fixture
def visitor(page: Page) -> Page:
    """A page without the overview's stream of news, which this test server would read to its end before it answers."""
    page.route("**/live/**", lambda route: route.abort())
    return page


@pytest.fixture
def crowded(acme: Organization, alice: User, bob: User) -> list[str]:
    """The addresses of the pages of an organization where everything is long."""
    acme.name, acme.parent = "Donaudampfschifffahrtsgesellschaft für Elektrizitätswerke GmbH", None
    acme.save()
    bob.name = "Wolfeschlegelsteinhausenbergerdorff-Papadopoulos de la Vega"
    bob.save()
    bobs = Membership.objects.get(organization=acme, user=bob).pk
    long_address = "wolfeschlegelsteinhausenbergerdorff@a-very-long-department-name.example.com"
    offer = invitations.invite(acme, actor=alice, email=long_address, role=Role.ADMIN, now=timezone.now())
    here = f"/o/{acme.public_id}"
    return [
        f"{here}/members/",
        f"{here}/members/{bobs}/remove/",
        f"{here}/members/leave/",
        f"{here}/members/transfer/",
        f"{here}/settings/",
        "/profile/",
        "/organizations/new/",
        f"/invitations/{offer.token}/",
        "/invitations/unknown/",
    ]


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_everybody_can_read_and_use_the_pages(chromium: Browser, live_server, alice, crowded, width, scheme) -> None:
    context = chromium.new_context(
        base_url=str(live_server), viewport={"width": width, "height": 844}, color_scheme=scheme
    )
    page = context.new_page()
    let_in(page, alice, str(live_server))
    faults = []
    for path in crowded:
        page.goto(path)
        violations = Axe().run(page, options=VIOLATIONS).response["violations"]
        faults += [(path, violation["id"], len(violation["nodes"])) for violation in violations]
    context.close()
    assert faults == []


def test_no_page_is_wider_than_the_narrowest_screen(chromium: Browser, live_server, alice, crowded) -> None:
    context = chromium.new_context(base_url=str(live_server), viewport={"width": NARROWEST, "height": 700})
    page = context.new_page()
    let_in(page, alice, str(live_server))
    wide = []
    for path in crowded:
        page.goto(path)
        if page.evaluate("document.documentElement.scrollWidth") > NARROWEST:
            wide.append(path)
    context.close()
    assert wide == []


def test_sign_up_takes_the_browsers_time_zone(page: Page, live_server) -> None:
    page.goto(f"{live_server}/accounts/signup/")
    page.get_by_label("Your name").fill("Ella")
    page.get_by_label("Your organization's name").fill("Ella & Co")
    page.locator("input[name=email]").fill("ella@example.com")
    page.locator("input[name=password1]").fill(PASSWORD)
    page.locator("main button[type=submit]").dblclick()
    page.wait_for_url("**/accounts/confirm-email/")
    assert User.objects.get(email="ella@example.com").time_zone == "Asia/Tokyo"
    assert Organization.objects.count() == 1


def test_an_invitation_leads_a_stranger_from_the_mail_into_the_organization(
    visitor: Page, live_server, acme, alice
) -> None:
    let_in(visitor, alice, str(live_server))
    visitor.goto(f"{live_server}/o/{acme.public_id}/members/")
    visitor.get_by_label("E-mail address").fill("ella@example.com")
    visitor.get_by_label("Role", exact=True).select_option("billing")
    visitor.get_by_role("button", name="Send invitation").dblclick()
    expect(visitor.get_by_text("We have sent an invitation to ella@example.com.").first).to_be_visible()
    assert Invitation.objects.count() == 1

    visitor.context.clear_cookies()
    visitor.goto(str(live_server) + link_in_mail("ella@example.com", "/invitations/"))
    visitor.get_by_role("link", name="Sign up and join").click()
    visitor.get_by_label("Your name").fill("Ella")
    visitor.locator("input[name=password1]").fill(PASSWORD)
    visitor.locator("main button[type=submit]").click()
    visitor.wait_for_url("**/accounts/confirm-email/")
    visitor.goto(str(live_server) + link_in_mail("ella@example.com", "confirm-email"))
    visitor.locator("main button[type=submit]").click()
    visitor.wait_for_url(f"**/o/{acme.public_id}/")
    assert Membership.objects.get(user__email="ella@example.com").role == Role.BILLING


def test_a_role_is_changed_without_a_mouse(page: Page, live_server, acme, alice, bob) -> None:
    let_in(page, alice, str(live_server))
    page.goto(f"{live_server}/o/{acme.public_id}/members/")
    roles = page.get_by_label("Role of Bob", exact=True)
    roles.focus()
    roles.press("a")  # as far as “Admin”
    page.get_by_role("button", name="Change the role of Bob").press("Enter")
    expect(page.get_by_text("Bob now has the role “Admin”.")).to_be_visible()
    assert Membership.objects.get(user=bob).role == Role.ADMIN


def test_who_signs_in_on_the_way_to_an_invitation_comes_back_to_it(visitor: Page, live_server, acme, alice) -> None:
    dora = make_user("Dora")
    offer = invitations.invite(acme, actor=alice, email=dora.email, role=Role.MEMBER, now=timezone.now())
    visitor.goto(f"{live_server}/invitations/{offer.token}/")
    visitor.get_by_role("link", name="Sign in and join").click()
    visitor.locator("input[name=login]").fill(dora.email)
    visitor.locator("input[name=password]").fill(PASSWORD)
    visitor.locator("main button[type=submit]").first.click()
    visitor.get_by_role("button", name="Join Acme").click()
    visitor.wait_for_url(f"**/o/{acme.public_id}/")
    assert Membership.objects.get(user=dora).role == Role.MEMBER


def test_a_passkey_lets_in_without_a_password(visitor: Page, live_server, settings, acme, alice) -> None:
    settings.MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = True  # as in the demo: browsers allow plain HTTP on localhost
    give_device(visitor)
    visitor.goto(f"{live_server}/accounts/login/")
    visitor.locator("input[name=login]").fill(alice.email)
    visitor.locator("input[name=password]").fill(PASSWORD)
    visitor.get_by_role("button", name="Sign in", exact=True).click()
    visitor.wait_for_url(f"**/o/{acme.public_id}/")

    visitor.goto(f"{live_server}/accounts/2fa/webauthn/add/")
    visitor.locator("input[name=password]").fill(PASSWORD)  # who adds a key proves to be themselves first
    visitor.locator("main button[type=submit]").first.click()
    visitor.locator("input[name=passwordless]").check()
    visitor.locator("#mfa_webauthn_add").click()
    visitor.wait_for_url("**/accounts/2fa/recovery-codes/**")

    visitor.context.clear_cookies()
    visitor.goto(f"{live_server}/accounts/login/")
    visitor.locator("#passkey_login").click()
    visitor.wait_for_url(f"**/o/{acme.public_id}/")


def give_device(page: Page) -> None:
    """Put an authenticator into the browser that answers as a finger on a phone does (Chrome DevTools: WebAuthn)."""
    devices = page.context.new_cdp_session(page)
    devices.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
    answers = {"isUserVerified": True, "automaticPresenceSimulation": True}
    devices.send("WebAuthn.addVirtualAuthenticator", {"options": options | answers})
