"""The hosted pages in a real browser: what a customer does, and how the pages look on phone and desktop."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.browser import VIOLATIONS
from tests.sandbox.running import Receiver
from tests.sandbox.shop import ASKS, GOOD, POOR, checkout, customer, fill_in, plan, subscribed
from tests.sandbox.test_portal_plans import configuration

pytestmark = pytest.mark.browser


@pytest.fixture
def shop() -> Iterator[Receiver]:
    """A merchant's site that answers."""
    shop = Receiver().start()
    yield shop
    shop.stop()


def type_card(page: Page, number: str) -> None:
    page.get_by_label("Card number").press_sequentially(number)
    page.get_by_label("Expiry").press_sequentially("1234")
    page.get_by_label("Security code").fill("123")


def at_shop(v1: Any, shop: Receiver, **params: Any) -> Any:
    base = shop.url.removesuffix("/webhook")
    return checkout(
        v1, success_url=base + "/thanks?session={CHECKOUT_SESSION_ID}", cancel_url=base + "/plans", **params
    )


def test_a_customer_is_declined_then_pays_and_arrives_at_the_shop(v1: Any, page: Page, shop: Receiver) -> None:
    session = at_shop(v1, shop)
    page.goto(session.url)
    expect(page.get_by_role("heading", name="Subscribe to Pro")).to_be_visible()
    page.get_by_label("Email").fill("alice@example.com")
    type_card(page, POOR)
    page.get_by_role("button", name="Subscribe · ¥3,000 now").click()
    expect(page.get_by_role("alert")).to_contain_text("Your card has insufficient funds.")
    expect(page.get_by_label("Card number")).to_have_value("4000 0000 0000 9995")
    expect(page.get_by_label("Expiry")).to_have_value("12 / 34")
    page.get_by_label("Card number").fill(GOOD)
    page.get_by_role("button", name="Subscribe · ¥3,000 now").click()
    page.wait_for_url(f"**/thanks?session={session.id}")
    assert v1.subscriptions.list().data[0].status == "active"


def test_clicking_as_fast_as_one_can_pays_once(v1: Any, page: Page, shop: Receiver) -> None:
    session = at_shop(v1, shop, customer=customer(v1, None))
    page.goto(session.url)
    type_card(page, GOOD)
    page.get_by_role("button", name="Subscribe").click(click_count=5, delay=5, no_wait_after=True)
    page.wait_for_url("**/thanks?**")
    assert len(v1.charges.list().data) == 1


def test_a_test_card_is_filled_in_by_a_click(v1: Any, page: Page, shop: Receiver) -> None:
    page.goto(at_shop(v1, shop, customer=customer(v1, None)).url)
    page.get_by_role("button", name="4242 4242 4242 4242").click()
    expect(page.get_by_label("Card number")).to_have_value("4242 4242 4242 4242")
    page.get_by_role("button", name="Subscribe").click()
    page.wait_for_url("**/thanks?**")


def test_the_bank_asks_is_refused_and_then_answered(v1: Any, page: Page, shop: Receiver) -> None:
    page.goto(at_shop(v1, shop, customer=customer(v1, None)).url)
    type_card(page, ASKS)
    page.get_by_role("button", name="Subscribe").click()
    page.get_by_role("button", name="Refuse").click()
    expect(page.get_by_role("alert")).to_contain_text("We are unable to authenticate your payment method.")
    type_card(page, ASKS)
    page.get_by_role("button", name="Subscribe").click()
    page.get_by_role("button", name="Confirm ¥3,000").click()
    page.wait_for_url("**/thanks?**")
    assert v1.subscriptions.list().data[0].status == "active"


def test_the_way_back_leads_to_the_shop(v1: Any, page: Page, shop: Receiver) -> None:
    page.goto(at_shop(v1, shop).url)
    page.get_by_role("link", name="Back").click()
    page.wait_for_url("**/plans")


def test_checkout_works_without_scripts(v1: Any, chromium: Browser, shop: Receiver) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(at_shop(v1, shop, customer=customer(v1, None)).url)
    page.get_by_label("Card number").fill(GOOD)
    page.get_by_label("Expiry").fill("12/34")
    page.get_by_label("Security code").fill("123")
    page.get_by_role("button", name="Subscribe").click()
    page.wait_for_url("**/thanks?**")
    context.close()


def test_a_customer_changes_the_card_cancels_and_comes_back(v1: Any, page: Page) -> None:
    subscription = subscribed(v1)
    session = v1.billing_portal.sessions.create(
        {"customer": subscription.customer, "return_url": "http://shop.example/"}
    )
    page.goto(session.url)
    page.get_by_role("link", name="Add a card").click()
    type_card(page, "5555555555554444")
    page.get_by_role("button", name="Save the card").click()
    expect(page.get_by_role("status")).to_contain_text("Your card is saved.")
    expect(page.get_by_text("Mastercard ·· 4444 Default")).to_be_visible()
    page.get_by_role("link", name="Cancel the subscription").click()
    page.get_by_role("button", name="Cancel as of").click()
    expect(page.get_by_text("You will not be charged again.")).to_be_visible()
    page.get_by_role("button", name="Keep the subscription").click()
    expect(page.get_by_text("Renews on")).to_be_visible()


def test_a_customer_takes_a_larger_plan(v1: Any, page: Page) -> None:
    prices = plan(v1), plan(v1, 5000, name="Business")
    subscription = subscribed(v1, prices[0])
    session = v1.billing_portal.sessions.create(
        {"customer": subscription.customer, "configuration": configuration(v1, *prices).id}
    )
    page.goto(session.url)
    page.get_by_role("link", name="Change the plan").click()
    page.get_by_role("radio", name="Business").check()
    page.get_by_label("Quantity").fill("12")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("alert")).to_contain_text("Choose a quantity from 1 to 10.")
    page.get_by_role("radio", name="Business").check()
    page.get_by_label("Quantity").fill("2")
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Confirm · ¥").click()
    expect(page.get_by_role("status")).to_contain_text("Your subscription is changed.")
    expect(page.get_by_text("Business × 2")).to_be_visible()


def test_an_open_invoice_is_paid_on_its_page(v1: Any, page: Page) -> None:
    subscription = subscribed(v1, card=None, payment_behavior="default_incomplete", expand=["latest_invoice"])
    page.goto(subscription.latest_invoice.hosted_invoice_url)
    expect(page.get_by_role("heading")).to_contain_text("¥3,000 is due")
    type_card(page, GOOD)
    page.get_by_role("button", name="Pay ¥3,000").click()
    expect(page.get_by_role("heading")).to_contain_text("¥3,000 is paid")
    assert v1.subscriptions.retrieve(subscription.id).status == "active"


def spring(v1: Any) -> str:
    """A promotion code of a quarter off for three months."""
    off = v1.coupons.create({"percent_off": 25, "duration": "repeating", "duration_in_months": 3})
    return str(v1.promotion_codes.create({"promotion": {"type": "coupon", "coupon": off.id}, "code": "SPRING"}).code)


def test_a_code_changes_the_sums_and_leaves_the_card_that_was_typed(v1: Any, page: Page, shop: Receiver) -> None:
    word = spring(v1)
    page.goto(at_shop(v1, shop, customer=customer(v1, None), allow_promotion_codes=True).url)
    type_card(page, GOOD)
    page.get_by_label("Promotion code").fill("SPRNG")
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_role("alert")).to_contain_text("There is no such code.")
    page.get_by_label("Promotion code").fill(word.lower())
    page.keyboard.press("Enter")
    expect(page.get_by_text("25% off for 3 months")).to_be_visible()
    expect(page.get_by_label("Card number")).to_have_value("4242 4242 4242 4242")
    page.get_by_role("button", name="Remove the code SPRING").click()
    expect(page.get_by_role("button", name="Subscribe · ¥3,000 now")).to_be_visible()
    page.get_by_label("Promotion code").fill(word)
    page.get_by_role("button", name="Apply").click()
    page.get_by_role("button", name="Subscribe · ¥2,250 now").click()
    page.wait_for_url("**/thanks?**")
    assert v1.invoices.list().data[0].amount_paid == 2250


PAGES = (
    "checkout", "checkout code", "checkout declined", "checkout paid", "checkout expired", "portal", "portal card",
    "portal cancel", "portal details", "portal update", "portal confirm", "invoice open", "invoice paid", "front",
    "missing",
)  # fmt: skip


@pytest.fixture
def addresses(v1: Any) -> dict[str, str]:
    """Each page in a state that shows much of it: long names, large amounts, Japanese."""
    name = "株式会社ながいなまえのかいしゃ International Holdings Group Ltd."
    price = plan(v1, 99_999_999, name="Enterprise with a very long name that nobody shortened in time")
    owner = customer(v1, name=name)
    subscription = v1.subscriptions.create({"customer": owner, "items": [{"price": price}]})
    other = plan(v1, 33_333_333, name="もう少しちいさなプラン、それでもながいなまえ")
    held = configuration(v1, price, other, schedule_at_period_end={"conditions": [{"type": "decreasing_item_amount"}]})
    portal = v1.billing_portal.sessions.create(
        {"customer": owner, "return_url": "http://shop.example/", "configuration": held.id}
    ).url
    smaller = v1.subscriptions.create({"customer": owner, "items": [{"price": price}]})
    httpx.post(f"{portal}/update/{smaller.id}/confirm", data={"price": other, "quantity": "2"}, trust_env=False)
    invoice = v1.invoices.create(
        {"customer": owner, "currency": "jpy", "collection_method": "send_invoice", "days_until_due": 3}
    )
    v1.invoice_items.create({"customer": owner, "invoice": invoice.id, "amount": 12_345_678, "currency": "jpy"})
    sessions = [
        checkout(v1, line_items=[{"price": price, "quantity": 1}], allow_promotion_codes=True) for _ in range(4)
    ]
    httpx.post(f"{sessions[3].url}/code", data={"code": spring(v1)}, trust_env=False)
    fill_in(sessions[1].url, GOOD)
    v1.checkout.sessions.expire(sessions[2].id)
    base = portal.split("/p/")[0]
    return {
        "checkout": sessions[0].url,
        "checkout code": sessions[3].url,
        "checkout declined": sessions[0].url,
        "checkout paid": sessions[1].url,
        "checkout expired": sessions[2].url,
        "portal": portal,
        "portal card": f"{portal}/card",
        "portal cancel": f"{portal}/cancel/{subscription.id}",
        "portal details": f"{v1.billing_portal.sessions.create({'customer': owner}).url}/details",
        "portal update": f"{portal}/update/{subscription.id}",
        "portal confirm": f"{portal}/update/{subscription.id}/confirm?quantity=7",
        "invoice open": v1.invoices.finalize_invoice(invoice.id).hosted_invoice_url,
        "invoice paid": v1.invoices.retrieve(subscription.latest_invoice).hosted_invoice_url,
        "front": base + "/",
        "missing": base + "/c/pay/cs_test_x",
    }


WIDTHS = (360, 1280)


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1280, "light")])
def test_every_page_fits_and_can_be_read_by_everybody(
    addresses: dict[str, str], chromium: Browser, width: int, scheme: Any
) -> None:
    """Looked at in both sizes and both schemes; who cannot see is asked for in each once."""
    context = chromium.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme, locale="en-US")
    page = context.new_page()
    for name in PAGES:
        page.goto(addresses[name])
        if name == "checkout declined":
            page.get_by_label("Email").fill("alice@example.com")
            type_card(page, POOR)
            page.get_by_role("button", name="Subscribe").click()
            expect(page.get_by_role("alert")).to_be_visible()
        found = Axe().run(page, options=VIOLATIONS | {"runOnly": ["wcag2a", "wcag2aa"]})
        assert found.violations_count == 0, f"{name}: {found.generate_report()}"
        for size in sorted(WIDTHS, key=lambda size: size == width):  # ends in the size of the next page
            page.set_viewport_size({"width": size, "height": 800})
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= size, f"{name} is {wide} pixels wide in {size}"
    context.close()
