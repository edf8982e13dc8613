"""The console in a real browser: its scripts run under its own policy, and it can be used by everybody."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page, expect

from billing.models import (
    Activity,
    AsideMessage,
    CheckoutOrder,
    DriftCheck,
    InboxEvent,
    InboxState,
    Provision,
    ResyncRun,
)
from ops.effects.mail.facts import Reader
from ops.models import Destination, DestinationRequest, Finding
from ops.questions.ask import Asked, ask
from ops.questions.links import token_of
from tests.browser import VIOLATIONS
from tests.cast import sign_in
from tests.ops.rows import make_customer, make_event, make_invoice, make_machinery, make_plan, make_subscription

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def subscription(acme):
    """A subscription with a history, and something stuck beside it."""
    now = timezone.now()
    subscription = make_subscription(make_customer(acme, now=now), make_plan("Team", now=now), now=now)
    about = {"object_id": subscription.id, "customer_id": subscription.customer_id}
    make_invoice(subscription, now=now)
    make_event(now - timedelta(hours=2), **about)
    make_event(now, state=InboxState.FAILED, attempts=8, error="APIConnectionError: no answer", **about)
    make_event(now, state=InboxState.RECEIVED, due_at=now - timedelta(minutes=3), **about)
    begun = now - timedelta(hours=1)
    CheckoutOrder.objects.create(organization=acme, price_id="price_1Abcdef", idempotency_key="k", created_at=begun)
    Activity.objects.create(organization=acme, verb="invoice:paid", dedup_key="a", at=now, subject_id=subscription.id)
    return subscription


@pytest.fixture
def console(live_server, page: Page, olga) -> Page:
    """A browser in which Olga is signed in. The page fails the test on any refusal by the policy."""
    cookie = sign_in(olga).cookies[settings.SESSION_COOKIE_NAME].value
    page.context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": live_server.url}])
    return page


def make_server(subscription: Any, now: datetime) -> Provision:
    """What the subscription has at AWS, with as long a stack's name as AWS makes them."""
    return Provision.objects.create(
        organization_id=subscription.customer.subscriber_id,
        subscription_id=subscription.id,
        state="ready",
        since=now,
        begun_by="hosting-build:x",
        instance_id="i-0123456789abcdef0",
        stack_id=f"arn:aws:cloudformation:eu-west-1:123456789012:stack/kessai-{subscription.id}/{'0b5e' * 9}",
    )


def address(live_server: Any, name: str, *args: object) -> str:
    return str(live_server.url) + reverse(f"admin:{name}", args=args)


def test_the_console_runs_its_scripts_without_breaking_its_policy(live_server, console, subscription):
    console.goto(address(live_server, "index"))
    expect(console.get_by_text("1 event is overdue.")).to_be_visible()
    console.goto(address(live_server, "djstripe_subscription_changelist"))
    console.locator("a", has_text="Filters").click()
    expect(console.get_by_text("By status")).to_be_visible()
    console.goto(address(live_server, "djstripe_subscription_change", subscription.pk))
    expect(console.get_by_role("heading", name="Invoices")).to_be_visible()


def test_an_id_is_copied_by_its_button(live_server, console, subscription):
    console.context.grant_permissions(["clipboard-read", "clipboard-write"])
    console.goto(address(live_server, "djstripe_subscription_change", subscription.pk))
    console.get_by_role("button", name=f"Copy {subscription.id}").click()
    expect(console.locator("[data-copied=yes]")).to_be_visible()
    assert console.evaluate("navigator.clipboard.readText()") == subscription.id


def test_an_operator_replays_a_failed_event_from_the_first_page(live_server, console, subscription):
    console.goto(address(live_server, "index"))
    console.locator(".stuck").get_by_role("link", name="customer.subscription.updated").click()
    console.get_by_role("link", name="Replay").click()
    console.get_by_role("button", name="Replay 1 event").click()
    expect(console.get_by_text("Say in a few words why")).to_be_visible()
    console.get_by_label("Why").fill("Stripe is back.")
    console.get_by_role("button", name="Replay 1 event").click()
    expect(console.get_by_text("1 event waits for the mirror again.")).to_be_visible()
    expect(console.get_by_text("Stripe is back.")).to_be_visible()


def test_events_are_selected_in_the_list_and_replayed_together(live_server, console, subscription):
    console.goto(address(live_server, "billing_inboxevent_changelist") + "?state__exact=failed")
    console.locator("input.action-select").first.check()
    console.get_by_label("Select action to run").select_option("replay_selected")
    console.get_by_role("button", name="Run").click()
    expect(console.get_by_role("heading", name="Replay 1 event")).to_be_visible()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_pages_can_be_read_by_everybody_and_fit(live_server, console, subscription, scheme, width):
    console.emulate_media(color_scheme=scheme)
    console.set_viewport_size({"width": width, "height": 900})
    make_machinery(timezone.now())
    server = make_server(subscription, timezone.now())
    failed = InboxEvent.objects.get(state=InboxState.FAILED)
    addresses = [
        address(live_server, "index"),
        address(live_server, "djstripe_subscription_change", subscription.pk),
        address(live_server, "billing_inboxevent_change", failed.pk),
        address(live_server, "billing_inboxevent_replay_one", failed.pk),
        address(live_server, "accounts_organization_change", subscription.customer.subscriber_id),
        address(live_server, "billing_inboxevent_replay_filtered") + "?state__exact=failed",
        address(live_server, "billing_asidemessage_change", AsideMessage.objects.get().pk),
        address(live_server, "billing_driftcheck_changelist"),
        address(live_server, "billing_driftcheck_change", DriftCheck.objects.get().pk),
        address(live_server, "billing_resyncrun_change", ResyncRun.objects.get().pk),
        address(live_server, "kinds"),
        address(live_server, "ops_finding_change", Finding.objects.get(kind="events-failed").pk),
        address(live_server, "ops_finding_acknowledge_one", Finding.objects.get(kind="events-failed").pk),
        address(live_server, "ops_destination_change", Destination.objects.get().pk),
        address(live_server, "ops_destination_test_one", Destination.objects.get().pk),
        address(live_server, "ops_destinationrequest_change", DestinationRequest.objects.first().pk),
        address(live_server, "billing_provision_change", server.pk),
        address(live_server, "ops_playbooktrial_begin"),
    ]
    for url in addresses:
        console.goto(url)
        expect(console.locator(".console").first).to_be_visible()
        found = Axe().run(
            console, context=".console", options=VIOLATIONS | {"runOnly": ["wcag2a", "wcag2aa", "wcag21aa"]}
        )
        assert found.violations_count == 0, found.generate_report()
        assert console.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), url


@pytest.mark.parametrize("shown", ["open", "closed"])
def test_the_page_of_a_question_can_be_read_by_everybody_and_fits_a_phone(live_server, page: Page, acme, shown):
    now = timezone.now()
    readers = [Reader(f"{'a-long-name-' * 5}@kumo.example", "Charlie", "en", "Asia/Tokyo")]
    text = {"": "Move from Team to Business, as you wrote to us last week, from the first of next month on?"}
    until = now + timedelta(days=7 if shown == "open" else -1)
    asked = Asked(acme, "cus_1", "k", "upgrade", None, None, text, {}, 20_000, "jpy", "sub_1", until)
    (link,) = ask(asked, readers, now=now)
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(str(live_server) + reverse("ops:question", kwargs={"token": token_of(link)}))
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    found = Axe().run(page, options=VIOLATIONS | {"runOnly": ["wcag2a", "wcag2aa", "wcag21aa"]})
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
