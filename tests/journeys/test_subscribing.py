"""From sign-up to a paid, live subscription, and what an operator sees of it."""

import re

import pytest
import stripe
from playwright.sync_api import Browser, Page, expect

from tests.journeys.conftest import Portal
from tests.journeys.people import WAIT_MS, Person

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("journeys")]

INSUFFICIENT_FUNDS = "4000000000009995"


@pytest.fixture
def alice(page: Page, portal: Portal) -> Person:
    return Person(page, portal, "Alice")


def at_stripe(portal: Portal) -> stripe.StripeClient:
    return stripe.StripeClient(portal.stripe_key, base_addresses={"api": portal.sandbox})


def subscriptions_of(portal: Portal, email: str) -> list[stripe.Subscription]:
    """What Stripe holds for the customer with this address: the truth behind the pages."""
    v1 = at_stripe(portal).v1
    customers = v1.customers.list({"email": email}).data
    return [
        sub for customer in customers for sub in v1.subscriptions.list({"customer": customer.id, "status": "all"}).data
    ]


def test_the_whole_way_from_sign_up_to_the_invoice_and_the_operator(
    alice: Person, portal: Portal, chromium: Browser
) -> None:
    page = alice.page
    alice.sign_up("Whole Way Works")
    alice.choose_plan("Team")
    alice.pay()
    page.wait_for_url(re.compile("/checkout/return/"))
    loads: list[str] = []
    page.on("framenavigated", lambda frame: loads.append(frame.url))
    expect(alice.now).to_contain_text("Team is active", timeout=WAIT_MS)
    assert not loads, "the page must turn active by itself, without a reload"

    page.get_by_role("link", name="Go to the overview").click()
    expect(alice.now).to_contain_text("Team is active")
    expect(alice.next).to_contain_text("4242")

    page.get_by_role("link", name="Invoices").first.click()
    row = page.locator("tbody tr").first
    expect(row).to_contain_text(re.compile("Paid", re.I))
    row.get_by_role("link").first.click()
    pdf = page.get_by_role("link", name=re.compile("PDF")).get_attribute("href")
    hosted = page.get_by_role("link", name=re.compile("Stripe")).first.get_attribute("href")
    assert pdf and hosted
    assert page.request.get(pdf).body().startswith(b"%PDF-")
    assert page.request.get(hosted).ok

    (subscription,) = subscriptions_of(portal, alice.email)
    assert subscription.status == "active"
    operator_sees(chromium, portal, subscription.id, organization="Whole Way Works")


def operator_sees(chromium: Browser, portal: Portal, subscription_id: str, *, organization: str) -> None:
    """The same subscription, and the event that made it so."""
    page = chromium.new_context().new_page()
    Person(page, portal, "Olga", email=portal.operator, password=portal.password).sign_in()
    page.goto(f"{portal.url}/admin/djstripe/subscription/?q={subscription_id}")
    expect(page.locator("#result_list tbody")).to_contain_text(organization)
    page.locator("#result_list tbody").get_by_role("link").first.click()
    expect(page.locator("body")).to_contain_text(subscription_id)
    expect(page.locator("body")).to_contain_text("customer.subscription.created")
    page.context.close()


def test_a_visitors_plan_is_still_chosen_after_sign_up_and_a_link_opened_on_the_phone(
    alice: Person, portal: Portal, chromium: Browser
) -> None:
    page = alice.page
    page.goto(f"{portal.url}/?interval=year&currency=jpy")
    page.get_by_role("link", name="Begin with Business").click()
    chosen = "Business · ¥200,000 per year"
    expect(page.locator(".notice")).to_contain_text(chosen)
    alice.fill_sign_up("Chosen Early")
    expect(page.locator(".notice").filter(has_text=chosen)).to_be_visible()

    phone = chromium.new_context(locale="en-US", viewport={"width": 390, "height": 844}).new_page()
    on_the_phone = Person(phone, portal, "Alice", email=alice.email)
    on_the_phone.open_link_from_mail("/accounts/confirm-email/")
    expect(phone.locator(".notice")).to_contain_text(chosen)
    phone.get_by_role("button", name=re.compile("Confirm")).click()
    phone.wait_for_url(re.compile("/accounts/login/"))
    expect(phone.locator(".notice").filter(has_text=chosen)).to_be_visible()
    on_the_phone.fill_sign_in()
    expect(phone.get_by_role("heading", level=1)).to_have_text("Subscribe to Business")
    phone.get_by_role("button", name=f"Subscribe to {chosen}").click()
    phone.wait_for_url(re.compile(r"/c/pay/"))
    on_the_phone.pay()
    expect(on_the_phone.now).to_contain_text("Business is active", timeout=WAIT_MS)
    (subscription,) = subscriptions_of(portal, alice.email)
    assert subscription["items"].data[0].price.unit_amount == 200_000
    phone.context.close()


def test_a_declined_card_is_told_in_stripes_words_and_nothing_is_lost(alice: Person, portal: Portal) -> None:
    alice.sign_up("Declined Once")
    alice.choose_plan("Starter")
    alice.pay(INSUFFICIENT_FUNDS)
    alert = alice.page.get_by_role("alert")
    expect(alert).to_contain_text("Your card has insufficient funds.")
    expect(alice.page.get_by_label("Name on card")).to_have_value("Alice")
    alice.pay()
    expect(alice.now).to_contain_text("Starter is active", timeout=WAIT_MS)
    assert [sub.status for sub in subscriptions_of(portal, alice.email) if sub.status != "incomplete_expired"] == [
        "active"
    ]


def test_a_second_click_never_makes_a_second_subscription(alice: Person, portal: Portal) -> None:
    """Two tabs on the plans page; both subscribe, both try to pay, twice as fast as one would wish."""
    alice.sign_up("Two Tabs")
    first = alice.page
    first.get_by_role("link", name="Plans").first.click()
    second = first.context.new_page()
    second.goto(first.url)
    for tab in (first, second):
        tab.get_by_role("button", name=re.compile("Subscribe to Starter")).dblclick()
        tab.wait_for_url(re.compile("/c/pay/"))
    assert first.url == second.url
    other = Person(second, portal, "Alice", email=alice.email)
    alice.fill_card("4242424242424242")
    other.fill_card("4242424242424242")
    first.get_by_role("button", name=re.compile("^Subscribe ·")).dblclick()
    second.get_by_role("button", name=re.compile("^Subscribe ·")).click()
    expect(alice.now).to_contain_text("Starter is active", timeout=WAIT_MS)
    first.goto(alice.home + "plans/")
    expect(first.get_by_role("button", name=re.compile("Subscribe to"))).to_have_count(0)
    assert [sub.status for sub in subscriptions_of(portal, alice.email)] == ["active"]


def test_an_abandoned_payment_page_charges_nothing_and_another_plan_can_be_chosen(
    alice: Person, portal: Portal
) -> None:
    alice.sign_up("Changed Their Mind")
    alice.choose_plan("Starter")
    alice.page.get_by_role("link", name="Back").click()
    expect(alice.page.get_by_text("You left the payment page. Nothing was charged.")).to_be_visible()
    alice.subscribe("Business")
    (subscription,) = subscriptions_of(portal, alice.email)
    assert subscription.status == "active"


def test_cancelling_keeps_the_plan_until_the_end_and_can_be_taken_back(alice: Person) -> None:
    page = alice.page
    alice.sign_up("Leaves and Stays")
    alice.subscribe("Starter")
    page.goto(alice.home)
    page.get_by_role("link", name="Cancel the plan").click()
    expect(page.get_by_text("Nothing more.")).to_be_visible()
    page.get_by_role("button", name=re.compile("^Cancel Starter")).click()
    expect(page.get_by_role("button", name="Keep the plan")).to_be_visible(timeout=WAIT_MS)
    expect(alice.next).to_contain_text("ends")
    page.get_by_role("button", name="Keep the plan").click()
    expect(alice.next).to_contain_text("charge", timeout=WAIT_MS)


def test_the_payment_method_is_changed_on_stripes_page_and_shown_here(alice: Person) -> None:
    page = alice.page
    alice.sign_up("New Card")
    alice.subscribe("Starter")
    page.goto(alice.home)
    page.get_by_role("button", name="Change payment method").click()
    page.wait_for_url(re.compile("/p/session/"))
    alice.fill_card("5555555555554444")
    page.get_by_role("button", name=re.compile("Save|Add")).click()
    page.wait_for_url(re.compile("/o/"), timeout=WAIT_MS)
    expect(alice.next).to_contain_text("4444", timeout=WAIT_MS)
