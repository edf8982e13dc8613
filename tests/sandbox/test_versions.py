"""Clients of an older API version read and send the words of their time."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from sandbox import API_VERSION, versions
from sandbox.app import Call, answer
from tests.sandbox.running import Receiver, RunningSandbox, new_key, until
from tests.sandbox.travel import Travel

BEFORE_BASIL, BEFORE_CLOVER, BEFORE_DAHLIA = "2024-06-20", "2025-08-27.basil", "2025-09-30.clover"


class Shop:
    """A shop whose software is of one version."""

    def __init__(self, http: httpx.Client, version: str = BEFORE_BASIL) -> None:
        self.http, self.headers = http, {"Stripe-Version": version}

    def post(self, path: str, **form: str) -> Any:
        return self._body(self.http.post("/v1/" + path, data=form, headers=self.headers))

    def get(self, path: str, **query: str) -> Any:
        return self._body(self.http.get("/v1/" + path, params=query, headers=self.headers))

    def subscribed(self, **more: str) -> Any:
        """A customer who pays with a card and subscribes to one price."""
        customer = self.post("customers")["id"]
        card = self.get("payment_methods/pm_card_visa")["id"]
        self.post(f"payment_methods/{card}/attach", customer=customer)
        self.post(f"customers/{customer}", **{"invoice_settings[default_payment_method]": card})
        form = {"customer": customer, "items[0][price]": self.price()} | more
        return self.post("subscriptions", **form)

    def price(self) -> str:
        form = {"currency": "usd", "unit_amount": "1000", "recurring[interval]": "month", "product_data[name]": "Pro"}
        return str(self.post("prices", **form)["id"])

    @staticmethod
    def _body(answer: httpx.Response) -> Any:
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
def http(running: RunningSandbox) -> Iterator[httpx.Client]:
    with running.http(new_key()) as client:
        yield client


class Journeyer(Shop):
    """A shop whose time the test moves."""

    def __init__(self, travel: Travel, version: str = BEFORE_BASIL) -> None:
        self.travel, self.version = travel, version

    def post(self, path: str, **form: str) -> Any:
        return self._asked("POST", path, body=urlencode(form).encode())

    def get(self, path: str, **query: str) -> Any:
        return self._asked("GET", path, query=urlencode(query))

    def _asked(self, method: str, path: str, *, query: str = "", body: bytes = b"") -> Any:
        headers = {
            "authorization": "Bearer sk_test_123", "content-type": "application/x-www-form-urlencoded",
            "stripe-version": self.version,
        }  # fmt: skip
        said = answer(self.travel.engine, Call(method, f"/v1/{path}", query, headers, body, "http://sandbox.example"))
        assert said.status_code == 200, said.body
        return json.loads(bytes(said.body))


@pytest.fixture
def shop(http: httpx.Client) -> Shop:
    return Shop(http)


def test_an_older_client_finds_the_payment_in_the_invoice(shop: Shop) -> None:
    made = shop.subscribed(**{"expand[]": "latest_invoice.payment_intent"})
    invoice = made["latest_invoice"]
    assert invoice["payment_intent"]["status"] == "succeeded"
    assert (invoice["paid"], invoice["subscription"], invoice["tax"]) == (True, made["id"], None)
    assert invoice["charge"] == invoice["payment_intent"]["latest_charge"]
    assert invoice["payment_intent"]["invoice"] == invoice["id"]
    charge = shop.get(f"charges/{invoice['charge']}", **{"expand[]": "invoice.subscription"})
    assert charge["invoice"]["subscription"]["id"] == made["id"]


def test_an_older_client_finds_period_plan_and_quantity_in_the_subscription(shop: Shop) -> None:
    made = shop.subscribed()
    item = made["items"]["data"][0]
    assert made["current_period_end"] == item["current_period_end"] > made["current_period_start"]
    assert (made["plan"]["id"], made["quantity"]) == (item["price"]["id"], 1)
    assert made["billing_mode"]["type"] == "classic"


def test_an_older_client_finds_the_price_in_the_line(shop: Shop) -> None:
    line = shop.get(f"invoices/{shop.subscribed()['latest_invoice']}")["lines"]["data"][0]
    assert (line["price"]["unit_amount"], line["plan"]["amount"]) == (1000, 1000)
    assert (line["type"], line["proration"], line["tax_amounts"]) == ("subscription", False, [])


def test_an_older_client_previews_by_the_older_address(shop: Shop) -> None:
    made = shop.subscribed()
    change = {"subscription_items[0][id]": made["items"]["data"][0]["id"], "subscription_items[0][quantity]": "3"}
    asked = {"customer": made["customer"], "subscription": made["id"], "subscription_proration_behavior": "none"}
    upcoming = shop.get("invoices/upcoming", **asked, **change)
    assert (upcoming["total"], upcoming["subscription"]) == (3000, made["id"])
    assert upcoming["payment_intent"] is None


def test_an_older_client_gives_a_coupon_by_itself(shop: Shop) -> None:
    coupon = shop.post("coupons", percent_off="25", duration="forever")["id"]
    made = shop.subscribed(coupon=coupon, **{"expand[]": "latest_invoice"})
    assert made["discount"]["coupon"]["percent_off"] == 25
    assert made["latest_invoice"]["total"] == 750
    assert shop.post(f"subscriptions/{made['id']}", coupon="")["discount"] is None
    code = shop.post("promotion_codes", coupon=coupon)
    assert code["coupon"]["id"] == coupon == code["promotion"]["coupon"]


def test_an_older_client_embeds_checkout_by_the_older_word(http: httpx.Client) -> None:
    shop = Shop(http, BEFORE_DAHLIA)
    form = {"mode": "setup", "currency": "usd", "ui_mode": "embedded", "return_url": "https://shop.example/done"}
    made = shop.post("checkout/sessions", **form)
    assert made["ui_mode"] == "embedded"
    assert Shop(http, API_VERSION).get(f"checkout/sessions/{made['id']}")["ui_mode"] == "embedded_page"


def test_a_client_of_today_sees_nothing_of_it(http: httpx.Client) -> None:
    shop = Shop(http, API_VERSION)
    made = shop.subscribed()
    assert not {"current_period_end", "discount"} & set(made)
    invoice = shop.get(f"invoices/{made['latest_invoice']}")
    assert not {"payment_intent", "charge", "paid", "subscription"} & set(invoice)
    answer = http.get(f"/v1/invoices/{invoice['id']}", params={"expand[]": "payment_intent"})
    assert (answer.status_code, http.get("/v1/invoices/upcoming").status_code) == (400, 404)


def test_an_endpoint_of_an_older_version_is_sent_what_it_knows(running: RunningSandbox, receiver: Receiver) -> None:
    key = new_key()
    asked = {"url": receiver.url, "enabled_events": ["invoice.paid"], "api_version": BEFORE_BASIL}
    endpoint = running.client(key).v1.webhook_endpoints.create(asked)
    with running.http(key) as http:
        Shop(http, API_VERSION).subscribed()
    until(lambda: receiver.received)
    [told] = receiver.events(endpoint.secret)
    assert (told.api_version, told.data.object["paid"]) == (BEFORE_BASIL, True)
    assert told.data.object["lines"].data[0]["price"]["unit_amount"] == 1000


@pytest.mark.parametrize(
    "path", ["subscriptions", "payment_intents", "setup_intents", "promotion_codes", "invoiceitems"]
)
def test_an_older_client_lists(shop: Shop, path: str) -> None:
    made = shop.subscribed()
    asked = {} if path == "promotion_codes" else {"customer": made["customer"]}
    assert shop.get(path, **asked)["object"] == "list"


@pytest.mark.parametrize(
    ("version", "change", "older"),
    [
        ("2020-08-27", versions.BASIL, True),
        (BEFORE_CLOVER, versions.BASIL, False),  # a later release of the same name
        (BEFORE_CLOVER, versions.CLOVER, True),
        ("2025-03-31.basil", versions.BASIL, False),  # the very version
        ("2026-08-26.preview", versions.DAHLIA, False),
    ],
)
def test_a_version_is_older_than_a_change(version: str, change: str, *, older: bool) -> None:
    assert versions.is_before(version, change) is older


def test_a_named_test_card_that_is_asked_for_becomes_a_payment_method(shop: Shop) -> None:
    first, second = (shop.get("payment_methods/pm_card_visa")["id"] for _ in range(2))
    assert first != second
    assert shop.get(f"payment_methods/{first}")["card"]["last4"] == "4242"


def test_what_will_pay_waits_to_be_confirmed(shop: Shop) -> None:
    """Source: Stripe docs, "Billing with the Payment Intents API"."""
    more = {"payment_behavior": "default_incomplete", "expand[]": "latest_invoice.payment_intent"}
    intent = shop.subscribed(**more)["latest_invoice"]["payment_intent"]
    assert intent["status"] == "requires_confirmation"
    assert shop.post(f"payment_intents/{intent['id']}/confirm")["status"] == "succeeded"


def test_an_older_client_lists_events_of_invoices_that_are_only_foreseen(travel: Travel) -> None:
    shop = Journeyer(travel)
    shop.subscribed()
    travel.advance(25 * 24 * 3600)
    [foreseen] = shop.get("events", type="invoice.upcoming")["data"]
    assert foreseen["data"]["object"]["payment_intent"] is None
    assert foreseen["data"]["object"]["subscription"]
