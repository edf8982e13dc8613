"""Account pages in a real browser: readable for everybody and no wider than the screen, with the longest names too."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, Page

from accounts.models import Membership, Organization, Role, User
from billing.checkout.models import CheckoutOrder, OrderState
from tests.billing.mirrored import put_in_mirror
from tests.billing.objects import subscription
from tests.look.test_browser import SCREENS, faults_of, let_in, width_over

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

LONG = "Vereinigte Dampfschifffahrtsgesellschaftskapitänswitwenkasse KG"


@pytest.fixture(params=SCREENS, ids=lambda screen: f"{screen[0]}-{screen[1]}")
def screen(request: pytest.FixtureRequest, chromium: Browser, live_server: str) -> Iterator[Page]:
    width, scheme = request.param
    context = chromium.new_context(
        base_url=str(live_server), viewport={"width": width, "height": 844}, color_scheme=scheme, locale="en-US"
    )
    page = context.new_page()
    page.route("**/live/**", lambda route: route.abort())  # this server would read the stream to its end
    yield page
    context.close()


@pytest.fixture
def company(acme: Organization, alice: User, plans: None, customer_of: Callable[..., None]) -> Organization:
    """Acme has Business, and a part of it whose name is long has none."""
    Organization.objects.filter(pk=acme.pk).update(name=f"{LONG}, Hauptsitz")
    customer_of(acme, "cus_1")
    put_in_mirror(subscription())
    part = Organization.objects.create(name=LONG, billing_email=alice.email, parent=acme)
    Membership.objects.create(organization=part, user=alice, role=Role.OWNER)
    return part


@pytest.fixture
def returned(acme: Organization, plans: None) -> CheckoutOrder:
    """Alice came back from a page that, as Stripe said when it was asked, is not paid."""
    now = timezone.now()
    return CheckoutOrder.objects.create(
        organization=acme,
        price_id="price_business",
        state=OrderState.OPEN,
        idempotency_key="k",
        session_id="cs_test_" + "a" * 60,
        created_at=now,
        expires_at=now + timedelta(hours=1),
        returned_at=now - timedelta(minutes=5),
        asked_at=now,
        answer="open",
    )


@pytest.mark.parametrize("path", ["/accounts/signup/", "/accounts/login/", "/accounts/confirm-email/"])
def test_a_visitors_page_with_a_plan_is_readable_for_everybody(screen: Page, plans: None, path: str) -> None:
    screen.goto(f"{path}?next=%2Fbegin%2F%3Fplan%3Dbusiness")
    assert screen.locator(".notice").filter(has_text="Business").is_visible()
    assert faults_of(screen) == []
    assert width_over(screen) <= 0


@pytest.mark.parametrize("path", ["", "plans/", "begin/?plan=team"])
def test_a_page_of_a_part_is_readable_for_everybody(
    screen: Page, company: Organization, alice: User, live_server: str, path: str
) -> None:
    let_in(screen, alice, str(live_server))
    screen.goto(f"/o/{company.public_id}/{path}")
    assert LONG in screen.locator("main").inner_text()
    assert faults_of(screen) == []
    assert width_over(screen) <= 0


def test_a_page_that_has_asked_is_readable_for_everybody(
    screen: Page, returned: CheckoutOrder, alice: User, live_server: str
) -> None:
    let_in(screen, alice, str(live_server))
    screen.goto(f"/o/{returned.organization.public_id}/checkout/return/?session={returned.session_id}")
    assert "has not been paid" in screen.locator("main").inner_text()
    assert faults_of(screen) == []
    assert width_over(screen) <= 0


def test_what_has_the_focus_stands_above_the_bar_of_a_phone(
    chromium: Browser, live_server: str, acme: Organization, alice: User, plans: None
) -> None:
    context = chromium.new_context(base_url=str(live_server), viewport={"width": 390, "height": 500}, locale="en-US")
    page = context.new_page()
    page.route("**/live/**", lambda route: route.abort())
    let_in(page, alice, str(live_server))
    page.goto(f"/o/{acme.public_id}/plans/")
    bar = page.locator(".nav").bounding_box()
    assert bar
    page.locator("main a, main button").first.focus()
    for _ in range(page.locator("main").locator("a, button").count()):
        box = page.locator(":focus").bounding_box()
        assert box
        assert box["y"] + box["height"] <= bar["y"], page.locator(":focus").inner_text()
        page.keyboard.press("Tab")
    context.close()
