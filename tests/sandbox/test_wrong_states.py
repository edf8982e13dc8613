"""What a state forbids: every act on every state of what has states, the refusals in Stripe's form.

Each table says of an act in which states it is done; in all others it is refused, and the object stays as it was.
Source: Stripe docs, "Error codes", "PaymentIntent and SetupIntent statuses", "Invoice statuses", "How subscriptions
work"; API reference of each act.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sandbox.clock import Clock
from sandbox.discovery import discover
from sandbox.engine import Engine
from sandbox.store import Store
from tests.sandbox.running import new_key
from tests.sandbox.travel import Travel

CARD = {"payment_method_types[]": "card"}
GOOD, ASKS = "pm_card_visa", "pm_card_authenticationRequired"
INTENTS = ("requires_payment_method", "requires_confirmation", "requires_action", "processing", "requires_capture",
           "succeeded", "canceled")  # fmt: skip
BEFORE = {"requires_payment_method", "requires_confirmation", "requires_action"}
INVOICES = ("draft", "open", "paid", "void", "uncollectible")
SUBSCRIPTIONS = ("active", "trialing", "incomplete", "incomplete_expired", "canceled")
LIVE = {"active", "trialing", "incomplete"}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Travel]:
    discover()
    store = Store(tmp_path_factory.mktemp("states"))
    travel = Travel(Engine(store, Clock(), "http://sandbox.example", (10,)))
    travel.engine.clock = Clock(wall=lambda: travel.now)
    yield travel
    store.close()


@pytest.fixture
def travel(shared: Travel) -> Travel:
    """An account of the test's own."""
    shared.key = new_key()
    return shared


def intent_in(travel: Travel, state: str) -> Any:
    confirmed = (
        {"confirm": "true"} if state not in ("requires_payment_method", "requires_confirmation", "canceled") else {}
    )
    card = {"requires_payment_method": "", "canceled": "", "requires_action": ASKS}.get(state, GOOD)
    form = {"amount": "5000", "currency": "jpy", **CARD, **confirmed} | ({"payment_method": card} if card else {})
    if state == "requires_capture":
        form["capture_method"] = "manual"
    if state == "processing":
        data = "payment_method_data"
        form = {
            "amount": "5000", "currency": "eur", "payment_method_types[]": "sepa_debit", "confirm": "true",
            f"{data}[type]": "sepa_debit", f"{data}[sepa_debit][iban]": "AT611904300234573201",
            f"{data}[billing_details][name]": "Alice", f"{data}[billing_details][email]": "alice@example.com",
        }  # fmt: skip
    made = travel.post("/v1/payment_intents", **form)
    if state == "canceled":
        made = travel.post(f"/v1/payment_intents/{made['id']}/cancel")
    assert made["status"] == state
    return made


def refused(travel: Travel, path: str, method: str, act: str, allowed: bool, form: dict[str, str]) -> Any:
    """The error, when there must be one: then nothing has changed."""
    before = travel.get(path)
    status, said = travel.ask(method, f"{path}{act}", **form)
    if allowed:
        assert status == 200, said
        return None
    assert status in (400, 404), said
    assert said["error"]["type"] == "invalid_request_error"
    assert travel.get(path) == before
    return said["error"]


@pytest.mark.parametrize(
    ("act", "form", "states"),
    [
        ("/confirm", {"payment_method": GOOD}, BEFORE),
        ("/cancel", {}, BEFORE | {"processing", "requires_capture"}),
        ("/capture", {}, {"requires_capture"}),
        ("/increment_authorization", {"amount": "6000"}, set()),  # was not asked for
        ("/apply_customer_balance", {}, set()),  # waits for no transfer
        ("", {"amount": "6000"}, BEFORE),
        ("", {"metadata[order]": "7"}, set(INTENTS)),
    ],
)
@pytest.mark.parametrize("state", INTENTS)
def test_a_payment_intent(travel: Travel, state: str, act: str, form: dict[str, str], states: set[str]) -> None:
    made = intent_in(travel, state)
    error = refused(travel, f"/v1/payment_intents/{made['id']}", "POST", act, state in states, form)
    if error and (act, state) != ("/increment_authorization", "requires_capture"):
        assert error["code"] == "payment_intent_unexpected_state"
        assert error["payment_intent"]["id"] == made["id"]
        assert "succeeded" in error["message"] or state in error["message"]


def setup_in(travel: Travel, state: str) -> Any:
    card = {"payment_method": GOOD} if state in ("requires_confirmation", "succeeded") else {}
    confirm = {"confirm": "true"} if state == "succeeded" else {}
    made = travel.post("/v1/setup_intents", **CARD, **card, **confirm)
    return travel.post(f"/v1/setup_intents/{made['id']}/cancel") if state == "canceled" else made


@pytest.mark.parametrize(
    ("act", "form"),
    [("/confirm", {"payment_method": GOOD}), ("/cancel", {}), ("", {"payment_method": GOOD})],
)
@pytest.mark.parametrize("state", ["requires_payment_method", "requires_confirmation", "succeeded", "canceled"])
def test_a_setup_intent(travel: Travel, state: str, act: str, form: dict[str, str]) -> None:
    made, allowed = setup_in(travel, state), state.startswith("requires")
    error = refused(travel, f"/v1/setup_intents/{made['id']}", "POST", act, allowed, form)
    if error:
        assert (error["code"], error["setup_intent"]["status"]) == ("setup_intent_unexpected_state", state)


def customer(travel: Travel) -> str:
    paying = {"invoice_settings[default_payment_method]": GOOD}
    return str(travel.post("/v1/customers", payment_method=GOOD, **paying)["id"])


def invoice_in(travel: Travel, state: str) -> str:
    made = travel.post("/v1/invoices", customer=customer(travel), currency="jpy")["id"]
    travel.post(f"/v1/invoices/{made}/add_lines", **{"lines[0][amount]": "1000"})
    steps = {"draft": [], "open": ["finalize"], "paid": ["pay"]}.get(state, ["finalize", state])
    for step in steps:
        travel.post(f"/v1/invoices/{made}/{step.replace('uncollectible', 'mark_uncollectible')}")
    return str(made)


@pytest.mark.parametrize(
    ("method", "act", "form", "states", "code"),
    [
        ("POST", "/finalize", {}, {"draft"}, None),
        ("POST", "/pay", {}, {"draft", "open", "uncollectible"}, None),
        ("POST", "/pay", {"paid_out_of_band": "true"}, {"draft", "open", "uncollectible"}, None),
        ("POST", "/void", {}, {"open", "uncollectible"}, None),
        ("POST", "/mark_uncollectible", {}, {"open"}, None),
        ("POST", "/send", {}, set(), None),  # it is charged, not sent
        ("POST", "", {"description": "Late"}, {"draft"}, "invoice_not_editable"),
        ("POST", "", {"metadata[order]": "7"}, set(INVOICES), None),
        ("POST", "/add_lines", {"lines[0][amount]": "1"}, {"draft"}, "invoice_not_editable"),
        ("DELETE", "", {}, {"draft"}, None),
    ],
)
@pytest.mark.parametrize("state", INVOICES)
def test_an_invoice(
    travel: Travel, state: str, method: str, act: str, form: dict[str, str], states: set[str], code: str | None
) -> None:
    error = refused(travel, f"/v1/invoices/{invoice_in(travel, state)}", method, act, state in states, form)
    if error:
        assert error.get("code") == code


@pytest.mark.parametrize(
    ("path", "states", "code"),
    [
        ("/v1/invoiceitems", {"draft"}, "invoice_not_editable"),
        ("/v1/credit_notes", {"open", "paid"}, None),
    ],
)
@pytest.mark.parametrize("state", INVOICES)
def test_what_is_put_on_an_invoice(travel: Travel, state: str, path: str, states: set[str], code: str | None) -> None:
    made = invoice_in(travel, state)
    form = {"invoice": made, "amount": "5"} | (
        {"currency": "jpy", "customer": travel.get(f"/v1/invoices/{made}")["customer"]} if "items" in path
        else {"credit_amount": "5"} if state == "paid" else {}
    )  # fmt: skip
    status, said = travel.ask("POST", path, **form)
    assert status == (200 if state in states else 400), said
    if status == 400:
        assert (said["error"].get("code"), said["error"]["param"]) == (code, "invoice")


def subscription_in(travel: Travel, state: str) -> Any:
    product = travel.post("/v1/products", name="Pro")["id"]
    terms = {"currency": "jpy", "unit_amount": "3000", "recurring[interval]": "month"}
    price = travel.post("/v1/prices", product=product, **terms)["id"]
    how = {"trialing": {"trial_period_days": "5"}, "active": {}, "canceled": {}}
    given = how.get(state, {"payment_behavior": "default_incomplete"})
    made = travel.post("/v1/subscriptions", customer=customer(travel), **{"items[0][price]": price}, **given)
    if state == "canceled":
        travel.ask("DELETE", f"/v1/subscriptions/{made['id']}")
    if state == "incomplete_expired":
        travel.advance(24 * 3600)
    return travel.get(f"/v1/subscriptions/{made['id']}")


@pytest.mark.parametrize(
    ("method", "act", "form", "states", "code"),
    [
        ("POST", "", {"cancel_at_period_end": "true"}, LIVE, "invalid_canceled_subscription_fields"),
        ("POST", "", {"metadata[order]": "7"}, set(SUBSCRIPTIONS), None),
        ("POST", "/resume", {}, set(), None),  # none of them is paused
        ("DELETE", "", {}, LIVE, "resource_missing"),
        ("DELETE", "/discount", {}, set(), "resource_missing"),
    ],
)
@pytest.mark.parametrize("state", SUBSCRIPTIONS)
def test_a_subscription(
    travel: Travel, state: str, method: str, act: str, form: dict[str, str], states: set[str], code: str | None
) -> None:
    made = subscription_in(travel, state)
    assert made["status"] == state
    error = refused(travel, f"/v1/subscriptions/{made['id']}", method, act, state in states, form)
    if error:
        assert error.get("code") == code


Refusal = tuple[int, str | None, str | None, str]
"""Status, code, param and the beginning of the message."""


def _refund(travel: Travel, amount: str, *before: str) -> tuple[int, Any]:
    charge = intent_in(travel, "succeeded")["latest_charge"]
    for one in before:
        travel.post("/v1/refunds", charge=charge, amount=one)
    return travel.ask("POST", "/v1/refunds", charge=charge, amount=amount)


def _disputed(travel: Travel, act: str, **form: str) -> tuple[int, Any]:
    """An act on a dispute that was lost."""
    travel.post("/v1/payment_intents", amount="5000", currency="jpy", payment_method="pm_card_createDispute",
                confirm="true", **CARD)  # fmt: skip
    dispute = travel.get("/v1/disputes")["data"][0]["id"]
    travel.post(f"/v1/disputes/{dispute}/close")
    return travel.ask("POST", f"/v1/disputes/{dispute}{act}", **form)


def _reviewed(travel: Travel) -> tuple[int, Any]:
    travel.post("/v1/payment_intents", amount="5000", currency="jpy", payment_method="pm_card_riskLevelElevated",
                confirm="true", **CARD)  # fmt: skip
    review = travel.get("/v1/reviews")["data"][0]["id"]
    travel.post(f"/v1/reviews/{review}/approve")
    return travel.ask("POST", f"/v1/reviews/{review}/approve")


def _scheduled(travel: Travel, ending: str, act: str) -> tuple[int, Any]:
    active = subscription_in(travel, "active")["id"]
    schedule = travel.post("/v1/subscription_schedules", from_subscription=active)["id"]
    travel.post(f"/v1/subscription_schedules/{schedule}/{ending}")
    return travel.ask("POST", f"/v1/subscription_schedules/{schedule}/{act}")


def _checked_out(travel: Travel, *acts: str) -> tuple[int, Any]:
    item = {"[price_data][currency]": "jpy", "[price_data][unit_amount]": "500", "[quantity]": "1",
            "[price_data][product_data][name]": "Hat"}  # fmt: skip
    form = {"mode": "payment", "success_url": "http://shop.example"}
    items = {f"line_items[0]{name}": value for name, value in item.items()}
    session = travel.post("/v1/checkout/sessions", **form, **items)["id"]
    path = f"/v1/checkout/sessions/{session}/expire"
    for act in acts:
        if act == "pay":
            said = travel.ask("POST", f"/v1/payment_pages/{session}/confirm", payment_method=GOOD)
        else:
            said = travel.ask("POST", path)
    return said


def _attached(travel: Travel, *acts: str) -> tuple[int, Any]:
    method = travel.post(f"/v1/payment_methods/{GOOD}/attach", customer=customer(travel))["id"]
    for act in acts:
        form = {"customer": customer(travel)} if act == "attach" else {}
        said = travel.ask("POST", f"/v1/payment_methods/{method}/{act}", **form)
    return said


def _voided(travel: Travel) -> tuple[int, Any]:
    note = travel.post("/v1/credit_notes", invoice=invoice_in(travel, "open"), amount="5")["id"]
    travel.post(f"/v1/credit_notes/{note}/void")
    return travel.ask("POST", f"/v1/credit_notes/{note}/void")


def _gone(travel: Travel, path: str, **form: str) -> tuple[int, Any]:
    """An act for a customer that was deleted."""
    owner = customer(travel)
    travel.ask("DELETE", f"/v1/customers/{owner}")
    return travel.ask("POST", path.format(owner), **form | ({} if "{}" in path else {"customer": owner}))


@pytest.mark.parametrize(
    ("act", "refusal"),
    [
        (lambda t: _refund(t, "5001"), (400, None, "amount", "Refund amount (¥5,001) is greater than charge amount")),
        (lambda t: _refund(t, "3001", "2000"), (400, None, "amount", "Refund amount (¥3,001) is greater than unref")),
        (lambda t: _refund(t, "1", "5000"), (400, "charge_already_refunded", None, "Charge ch_")),
        (lambda t: t.ask("POST", "/v1/refunds"), (400, "parameter_missing", None, "One of the following params")),
        (lambda t: _disputed(t, "/close"), (400, None, "dispute", "This dispute is already closed")),
        (lambda t: _disputed(t, "", submit="true"), (400, None, "dispute", "This dispute has a status of lost")),
        (_reviewed, (400, None, "review", "This review is already closed: approved.")),
        (lambda t: _scheduled(t, "release", "cancel"), (400, None, None, "You cannot cancel a subscription schedule")),
        (lambda t: _scheduled(t, "release", "release"), (400, None, None, "You cannot release a subscription")),
        (lambda t: _scheduled(t, "cancel", "release"), (400, None, None, "You cannot release a subscription")),
        (lambda t: _checked_out(t, "pay", "expire"), (400, None, "session", "Only Checkout Sessions with a status")),
        (lambda t: _checked_out(t, "expire", "expire"), (400, None, "session", "Only Checkout Sessions with a")),
        (lambda t: _checked_out(t, "expire", "pay"), (400, None, None, "This Checkout Session has a status of exp")),
        (lambda t: _attached(t, "attach"), (400, None, "payment_method", "The payment method you provided has")),
        (lambda t: _attached(t, "detach", "detach"), (400, None, "payment_method", "The payment method you provided")),
        (lambda t: _attached(t, "detach", "attach"), (400, None, "payment_method", "This PaymentMethod was prev")),
        (_voided, (400, None, "id", "This credit note is already void.")),
        (lambda t: _gone(t, "/v1/customers/{}", name="A"), (404, "resource_missing", "id", "No such customer: 'cus_")),
        (lambda t: _gone(t, "/v1/payment_intents", amount="500", currency="jpy"),
         (400, "resource_missing", "customer", "No such customer: 'cus_")),
        (lambda t: _gone(t, "/v1/invoices"), (400, "resource_missing", "customer", "No such customer: 'cus_")),
    ],
)  # fmt: skip
def test_an_act_that_comes_too_late(travel: Travel, act: Callable[[Travel], tuple[int, Any]], refusal: Refusal) -> None:
    status, said = act(travel)
    error = said.get("error") or pytest.fail(f"it was done: {said}")
    assert (status, error.get("code"), error.get("param")) == refusal[:3], error["message"]
    assert error["type"] == "invalid_request_error"
    assert error["message"].startswith(refusal[3])
