"""A rule in a real browser, from an event of the past to the call that it makes; and its pages for everybody."""

import re
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page, expect

from billing.models import InboxEvent
from ops.models import Delivery, Finding, Match, Rule, RuleState
from ops.rules.deliver import deliver_due
from ops.rules.dispatch import dispatch_due
from tests.browser import VIOLATIONS
from tests.cast import sign_in
from tests.ops.rows import make_customer, make_event, make_rule

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def console(live_server, page: Page, olga) -> Page:
    """A browser in which Olga is signed in. The page fails the test on any refusal by the policy."""
    cookie = sign_in(olga).cookies[settings.SESSION_COOKIE_NAME].value
    page.context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": live_server.url}])
    return page


def address(live_server: Any, name: str, *args: object) -> str:
    return str(live_server.url) + reverse(f"admin:{name}", args=args)


def failed_payment(customer_id: str, invoice: str) -> InboxEvent:
    about = {"id": invoice, "object": "invoice", "currency": "jpy", "amount_due": 9000, "customer": customer_id}
    payload = {"type": "invoice.payment_failed", "livemode": False, "data": {"object": about}}
    fields = {"type": "invoice.payment_failed", "object_id": invoice, "customer_id": customer_id}
    return make_event(timezone.now(), payload=payload, **fields)


def test_a_rule_is_written_from_an_event_tried_on_the_past_and_fires(live_server, console, acme):
    customer = make_customer(acme, now=timezone.now())
    event = failed_payment(customer.id, "in_1First")
    console.goto(address(live_server, "billing_inboxevent_change", event.pk))
    console.get_by_role("link", name="Write a rule from this event").click()
    expect(console.locator(".chosen")).to_contain_text(event.external_id)

    # its fields are ticked into a pattern, which is judged at once
    console.get_by_role("checkbox", name=re.compile("^detail-type")).check()
    expect(console.locator("#id_pattern")).to_have_value(re.compile("invoice.payment_failed"))
    console.get_by_role("checkbox", name=re.compile("^amount_due")).check()
    expect(console.locator("#id_pattern")).to_have_value(re.compile(r'"amount_due": \[9000\]'))
    expect(console.get_by_text("This event fits.")).to_be_visible()

    # typing goes on from there: a flaw is told at its place, a key that fails by its name
    pattern = console.locator("#id_pattern").input_value()
    console.locator("#id_pattern").fill(pattern.replace("[9000]", "9000"))
    expect(console.get_by_text(re.compile(r"Line \d+, column \d+"))).to_be_visible()
    console.locator("#id_pattern").fill(pattern.replace("[9000]", '[{"numeric": [">=", 10000]}]'))
    expect(console.get_by_text("It does not fit: the value there is another.")).to_be_visible()
    expect(console.locator("#pattern-said")).to_contain_text("detail.data.object.amount_due")
    console.locator("#id_pattern").fill(pattern.replace("[9000]", '[{"numeric": [">=", 5000]}]'))
    expect(console.get_by_text("This event fits.")).to_be_visible()

    # a target, and what it would have been given on the past
    console.get_by_role("button", name="Add a target").click()
    console.get_by_label("What is called").select_option(label="Open a finding")
    console.get_by_label("a template filled from it").check()
    console.get_by_label("Paths, one a line").fill("id = $.detail.data.object.id")
    console.get_by_label("Template", exact=True).fill('{"subject": "<id>", "title": "Invoice <id> is late"}')
    console.get_by_role("button", name="Backtest").click()
    expect(console.get_by_text("1 of 1 events would have matched")).to_be_visible()
    expect(console.locator("#backtest-found")).to_contain_text("Acme")
    expect(console.locator("#backtest-found")).to_contain_text("Invoice in_1First is late")

    # saved on trial; what is missing is said, and nothing typed is lost
    console.get_by_label("Name", exact=True).first.fill("late-invoices")
    console.get_by_role("button", name="Make the rule").click()
    expect(console.get_by_text("Say in a few words why")).to_be_visible()
    expect(console.locator("#id_pattern")).to_have_value(re.compile("5000"))
    console.get_by_label("Why").fill("Finance wants to know.")
    console.get_by_role("button", name="Make the rule").click()
    expect(console.get_by_text("It is in trial")).to_be_visible()
    assert Rule.objects.get().state == RuleState.TRIAL

    # switched on, it fires on what comes from now on, and its call is shown
    console.get_by_role("link", name="Switch on").click()
    console.get_by_label("Why").fill("Seen on the past.")
    console.get_by_role("button", name="Switch on").click()
    expect(console.get_by_text("It is on: events that come from now on call its targets.")).to_be_visible()
    second = failed_payment(customer.id, "in_1Second")
    InboxEvent.objects.filter(pk=second.pk).update(received_at=timezone.now())
    dispatch_due(timezone.now, budget_seconds=10)
    deliver_due(timezone.now, budget_seconds=10)
    match = Match.objects.get()
    assert (match.inbox_id, Delivery.objects.get().match_id) == (second.pk, match.pk)
    console.goto(address(live_server, "billing_inboxevent_change", second.pk))
    console.get_by_role("link", name="target-1").click()
    expect(console.locator(".pill", has_text="Done").first).to_be_visible()
    expect(console.locator("#input")).to_contain_text("Invoice in_1Second is late")
    assert Finding.objects.filter(subject="in_1Second").exists()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_its_pages_can_be_read_by_everybody_and_fit(live_server, console, acme, scheme, width):
    console.emulate_media(color_scheme=scheme)
    console.set_viewport_size({"width": width, "height": 900})
    rule = make_rule(timezone.now())
    call = Delivery.objects.get()
    failed_payment(make_customer(acme, now=timezone.now()).id, "in_1Late")
    addresses = [
        address(live_server, "ops_rule_change", rule.pk),
        address(live_server, "ops_rule_versions", rule.pk),
        address(live_server, "ops_delivery_change", call.pk),
    ]
    if (scheme, width) == ("light", 1280):  # the others are made of the same parts
        addresses += [
            address(live_server, "ops_rule_add"),
            address(live_server, "ops_rule_replay", rule.pk),
            address(live_server, "ops_delivery_redrive_one", call.pk),
            address(live_server, "ops_match_change", call.match_id),
        ]
    for url in addresses:
        console.goto(url)
        expect(console.locator(".console").first).to_be_visible()
        if stream := console.locator("[data-stream]").all():
            stream[0].click()
            expect(console.locator("#backtest-found [role]").first).to_be_visible()
        found = Axe().run(
            console, context=".console", options=VIOLATIONS | {"runOnly": ["wcag2a", "wcag2aa", "wcag21aa"]}
        )
        assert found.violations_count == 0, found.generate_report()
        assert console.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), url
