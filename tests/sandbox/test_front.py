"""The sandbox's front page: who is in it, and buttons that make things happen."""

import html
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from sandbox.app import Call, answer
from sandbox.hosted.index_words import rule, sentence, span
from tests.browser import VIOLATIONS
from tests.sandbox.running import Receiver, RunningSandbox, new_account, new_key, until
from tests.sandbox.shop import customer, plan, subscribed
from tests.sandbox.travel import Travel


@pytest.fixture
def account() -> str:
    return new_account()


@pytest.fixture
def v1(running: RunningSandbox, account: str) -> Any:
    return running.client(new_key(account=account), max_network_retries=0).v1


@pytest.fixture
def front(running: RunningSandbox, v1: Any, account: str) -> Iterator[httpx.Client]:
    """A browser without scripts, on the page of this test's account."""
    v1.products.create({"name": "Pro"})
    scope = f"acct_1{account[2:]}:test"
    with httpx.Client(base_url=running.url, cookies={"scope": scope}, trust_env=False, timeout=60) as client:
        assert f"<strong><code>{scope}</code>" in front_page(client).text
        yield client


def front_page(front: httpx.Client, **asked: str) -> httpx.Response:
    return front.get("/", params={"scope": scope_of(front), **asked})


def shown(page: httpx.Response) -> str:
    assert page.status_code == 200
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.text)))


def test_customers_are_found_by_name_and_address_and_listed_a_page_at_a_time(v1: Any, front: httpx.Client) -> None:
    for number in range(17):
        v1.customers.create({"name": f"Reader {number:02}", "email": f"reader{number:02}@example.com"})
    first = front_page(front).text
    assert "Reader 16" in first and "Reader 01" not in first
    [older] = re.findall(r'href="([^"]+)">Older<', first)
    assert "Reader 01" in front.get(older.replace("&amp;", "&")).text
    for text in ("Reader 03", "reader03@example.com", "eader03"):
        found = front_page(front, q=text).text
        assert "Reader 03" in found and "Reader 04" not in found
    assert "Nobody fits “100%”." in shown(front_page(front, q="100%"))


def scope_of(front: httpx.Client) -> str:
    return str(front.cookies["scope"])


def test_subscriptions_say_what_comes_next_and_are_found_by_state(v1: Any, front: httpx.Client) -> None:
    price = plan(v1)
    subscribed(v1, price)
    subscribed(v1, price, trial_period_days=14)
    everything = shown(front_page(front, show="subscriptions"))
    assert "Renews" in everything and "Trial ends" in everything
    trials = shown(front_page(front, show="subscriptions", q="trialing"))
    assert "Trial ends" in trials and "Renews" not in trials


def press(front: httpx.Client, path: str, **form: str) -> httpx.Response:
    """A button: the page that the browser lands on."""
    back = f"/?scope={scope_of(front)}"
    said = front.post(path, data={"back": back, **form}, headers={"Origin": str(front.base_url).rstrip("/")})
    assert said.status_code == 303, said.text
    return front.get(said.headers["location"])


def test_a_card_can_be_made_to_fail(v1: Any, front: httpx.Client) -> None:
    id = customer(v1, name="Alice")
    page = press(front, f"/_sandbox/customers/{id}/card", card="pm_card_chargeCustomerFail")
    assert "Alice pays with Visa ·· 0341 from now on, which fails when it is charged." in shown(page)
    invoice = v1.invoices.create({"customer": id, "currency": "jpy"})
    v1.invoice_items.create({"customer": id, "invoice": invoice.id, "amount": 3000, "currency": "jpy"})
    assert v1.invoices.retrieve(v1.invoices.finalize_invoice(invoice.id).id).status == "open"
    answer = httpx.post(
        f"{str(front.base_url).rstrip('/')}/v1/invoices/{invoice.id}/pay",
        headers={"Authorization": f"Bearer {v1._requestor._options.api_key}"},
        trust_env=False,
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (402, "card_declined")


def test_what_cannot_be_done_is_said_on_the_page(v1: Any, front: httpx.Client) -> None:
    page = press(front, f"/_sandbox/customers/{customer(v1)}/card", card="pm_card_unheard_of")
    assert "No such PaymentMethod: 'pm_card_unheard_of'" in shown(page)


def test_delivery_is_broken_and_mended_by_buttons(v1: Any, front: httpx.Client, receiver: Receiver) -> None:
    v1.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["*"]})
    page = press(front, "/_sandbox/faults", effect="lost", count="1", scope=scope_of(front))
    assert "Webhooks are lost from now on: the next 1." in shown(page)
    v1.customers.create({"name": "Alice"})
    page = front_page(front)
    assert "Lost" in shown(page) and receiver.received == []
    [delivery] = re.findall(r'name="delivery" value="(\d+)"', page.text)
    assert "1 delivery queued." in shown(press(front, "/_sandbox/deliveries/redeliver", delivery=delivery))
    until(lambda: receiver.received)
    [id] = re.findall(r'/_sandbox/faults/end".*?name="id" value="(\d+)"', page.text, re.S)
    assert "The fault is ended." in shown(press(front, "/_sandbox/faults/end", id=id))


@pytest.mark.parametrize(
    ("path", "said", "text"),
    [
        (
            "/_sandbox/advance",
            {"now": 1_800_000_000, "events": {"invoice.paid": 2, "charge.succeeded": 3}},
            "It is Fri 15 Jan 2027, 08:00 UTC now. 5 events happened on the way: 2 invoice.paid, 3 charge.succeeded.",
        ),
        ("/_sandbox/deliveries/redeliver", {"queued": 0}, "Nothing was left to send again."),
        (
            "/_sandbox/vouchers/pi_1/pay",
            {"object": "payment_intent", "amount": 8800, "currency": "jpy", "status": "succeeded"},
            "The payment of ¥8,800: succeeded. Last events tell what followed.",
        ),
        (
            "/_sandbox/transfers",
            {"object": "customer_cash_balance_transaction", "net_amount": 12000, "currency": "jpy"},
            "¥12,000 arrived by bank transfer. Last events tell what it paid.",
        ),
        (
            "/_sandbox/test_clocks/clock_1/advance",
            {"now": 1_800_000_000, "status": "ready", "name": "Trials", "events": {}},
            "The test clock Trials stands at Fri 15 Jan 2027, 08:00 UTC. Nothing happened on the way.",
        ),
        (
            "/_sandbox/test_clocks/clock_1/advance",
            {"now": 1_800_000_000, "status": "internal_failure", "name": None, "events": {}},
            "The test clock could not be advanced: something failed on the way. Last events and the sandbox's log tell "
            "more.",
        ),
    ],
)
def test_every_act_ends_in_a_sentence(path: str, said: Any, text: str) -> None:
    assert sentence(path, said, {}) == text


def test_a_test_clock_is_advanced_by_buttons(v1: Any, front: httpx.Client) -> None:
    begun = 1_800_000_000
    clock = v1.test_helpers.test_clocks.create({"frozen_time": begun, "name": "Trials"})
    assert "Nobody lives on it yet" in shown(front_page(front))
    id = v1.customers.create({"name": "Alice", "test_clock": clock.id}).id
    card = v1.payment_methods.attach("pm_card_visa", {"customer": id}).id
    v1.customers.update(id, {"invoice_settings": {"default_payment_method": card}})
    v1.subscriptions.create({"customer": id, "items": [{"price": plan(v1)}]})
    page = front_page(front)
    assert "Trials Ready Fri 15 Jan 2027, 08:00 UTC Alice" in shown(page)
    steps = re.findall(rf'test_clocks/{clock.id}/advance".*?name="to" value="(\d+)"', page.text, re.S)
    assert [int(to) - begun for to in steps[:3]] == [86400, 7 * 86400, 31 * 86400]
    said = shown(press(front, f"/_sandbox/test_clocks/{clock.id}/advance", to=str(begun + 32 * 86400)))
    assert "The test clock Trials stands at Tue 16 Feb 2027, 08:00 UTC." in said and "1 invoice.paid" in said
    back = shown(press(front, f"/_sandbox/test_clocks/{clock.id}/advance", to=str(begun)))
    assert "must be after the test clock's current frozen time" in back


def test_a_voucher_is_paid_and_a_charge_disputed(v1: Any, front: httpx.Client) -> None:
    id = customer(v1)
    asked: Any = {
        "amount": 8800, "currency": "jpy", "customer": id, "confirm": True, "payment_method_types": ["konbini"],
        "payment_method_data": {"type": "konbini", "billing_details": {"name": "Alice", "email": "a@example.com"}},
    }  # fmt: skip
    intent = v1.payment_intents.create(asked)
    assert f"/_sandbox/vouchers/{intent.id}/pay" in front_page(front).text
    assert "The payment of ¥8,800: succeeded." in shown(press(front, f"/_sandbox/vouchers/{intent.id}/pay"))
    paid: Any = {"amount": 5000, "currency": "jpy", "customer": id, "payment_method": "pm_card_visa", "confirm": True,
                 "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"}}  # fmt: skip
    charge = v1.payment_intents.create(paid).latest_charge
    assert f'name="charge" value="{charge}"' in front_page(front, customer=id).text
    assert "The bank disputes ¥5,000 (fraudulent)." in shown(press(front, "/_sandbox/disputes", charge=charge))
    assert "disputed" in shown(front_page(front, customer=id))


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),  # a page in a sandboxed frame
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),  # another port of this machine
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({}, 200),  # a program
    ],
)
def test_no_other_site_may_press_the_buttons(running: RunningSandbox, headers: Any, status: int) -> None:
    said = running.http().post("/_sandbox/keys", json={"key": new_key("rk")}, headers=headers)
    assert said.status_code == status


@pytest.mark.parametrize("back", ["//evil.example/", "https://evil.example/", "/\\evil.example"])
def test_a_form_leads_nowhere_else(running: RunningSandbox, back: str) -> None:
    said = running.http().post("/_sandbox/faults/end", data={"id": "0", "back": back})
    assert said.status_code == 200


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(30, "less than a minute"), (90, "2 minutes"), (3600, "1 hour"), (31 * 86400, "31 days"), (-86400, "1 day")],
)
def test_spans_are_said_in_their_largest_unit(seconds: int, text: str) -> None:
    assert span(seconds) == text


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ({"count": None, "rate": 1.0, "seconds": 0, "struck": 0}, "every one"),
        ({"count": 3, "rate": 1.0, "seconds": 0, "struck": 0}, "the next 3"),
        ({"count": 3, "rate": 1.0, "seconds": 0, "struck": 2}, "1 more"),
        ({"count": None, "rate": 0.2, "seconds": 5, "struck": 9}, "about 20 of 100, 5 seconds"),
    ],
)
def test_a_rule_is_said_in_words(said: Any, text: str) -> None:
    assert rule(said) == text


def test_an_account_is_shown_however_many_there_are(travel: Travel) -> None:
    with travel.engine.store.write() as tx:
        for number in range(60):
            scope = f"acct_{number:03}:test"
            tx.insert(scope, {"id": f"cus_{number}", "object": "customer", "created": 1, "name": f"Reader {number}"})
    for number in (3, 57, 59):
        call = Call("GET", "/", f"scope=acct_{number:03}:test&q=cus_{number}&show=subscriptions", {}, b"", "")
        assert f"<strong><code>acct_{number:03}:test" in bytes(answer(travel.engine, call).body).decode()


@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_the_page_is_readable_everywhere(
    running: RunningSandbox, v1: Any, front: httpx.Client, page: Page, receiver: Receiver, width: int, scheme: Any
) -> None:
    id = subscribed(v1).customer
    v1.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["*"]})
    v1.customers.create({"email": "x" * 60 + "@example.com"})
    v1.customers.update(id, {"name": "Nowhere" + "Long" * 40 + "Broken"})
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    page.goto(f"{running.url}/?scope={scope_of(front)}&customer={id}")
    expect(page.get_by_role("button", name="Pay with it from now on")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert Axe().run(page, options=VIOLATIONS).response["violations"] == []
    page.locator("select[name=card]").select_option("pm_card_chargeCustomerFail")
    page.get_by_role("button", name="Pay with it from now on").click()
    expect(page.get_by_role("status")).to_contain_text("which fails when it is charged")
    assert page.evaluate("document.documentElement.scrollWidth") <= width  # the sentence has the name in it
