"""Effects at Stripe, against the sandbox: each once however often it is called with its key."""

import json
from datetime import UTC, datetime

import httpx
import pytest

import ops.workflows.resources  # noqa: F401 - registers the effects
from ops.effects import stripe as effects
from ops.effects.outcome import Done, Refused, Retry
from ops.effects.registry import ARN, EFFECTS, Call, by_arn

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def call(name: str, key: str = "refund:1", **given):
    effect = by_arn(ARN + name)
    assert effect
    return effect.call(json.dumps(given), Call(key=key, now=NOW, cause="test"))


@pytest.fixture
def customer(stripe):
    customer = stripe.v1.customers.create({"email": "alice@example.com"})
    stripe.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    return customer


@pytest.fixture
def prices(stripe):
    product = stripe.v1.products.create({"name": "Pro"})
    given = {"product": product.id, "currency": "jpy", "recurring": {"interval": "month"}}
    return [stripe.v1.prices.create({**given, "unit_amount": amount}) for amount in (5000, 9000)]


@pytest.fixture
def subscription(stripe, customer, prices):
    method = stripe.v1.customers.payment_methods.list(customer.id).data[0]
    items = [{"price": prices[0].id}]
    return stripe.v1.subscriptions.create(
        {"customer": customer.id, "items": items, "default_payment_method": method.id}
    )


@pytest.fixture
def invoice(subscription):
    return subscription.latest_invoice


def test_a_refund_is_made_once_however_often_it_is_called(stripe, invoice):
    outcomes = [call("refund-invoice", invoice=invoice, amount=1200) for _ in range(3)]
    assert outcomes[0] == outcomes[1] == outcomes[2]
    assert [refund.amount for refund in stripe.v1.refunds.list().data] == [1200]


def test_a_refund_that_stripe_has_forgotten_the_key_of_is_found(stripe, invoice):
    intent = stripe.v1.invoice_payments.list({"invoice": invoice}).data[0].payment.payment_intent
    stripe.v1.refunds.create({"payment_intent": intent, "amount": 1200, "metadata": {effects.KEY: "refund:1"}})
    outcome = call("refund-invoice", invoice=invoice, amount=1200)
    assert isinstance(outcome, Done)
    assert len(stripe.v1.refunds.list().data) == 1


def test_two_keys_are_two_refunds_until_nothing_is_left(stripe, invoice):
    call("refund-invoice", "a", invoice=invoice, amount=3000)
    call("refund-invoice", "b", invoice=invoice)
    outcome = call("refund-invoice", "c", invoice=invoice)
    assert sorted(refund.amount for refund in stripe.v1.refunds.list().data) == [2000, 3000]
    assert isinstance(outcome, Refused)
    assert outcome.error.startswith("Stripe.charge_already_refunded: ")


def test_an_invoice_that_was_never_paid_is_not_refunded(stripe, customer):
    invoice = stripe.v1.invoices.create({"customer": customer.id, "currency": "jpy"})
    outcome = call("refund-invoice", invoice=invoice.id)
    assert isinstance(outcome, Refused)
    assert outcome.error.startswith("Stripe.not_paid: ")


def test_a_credit_is_given_once(stripe, customer):
    for _ in range(2):
        call("credit-customer", customer=customer.id, amount=700, currency="jpy")
    assert stripe.v1.customers.retrieve(customer.id).balance == -700


@pytest.mark.parametrize(("when", "status", "ends"), [("now", "canceled", False), ("period-end", "active", True)])
def test_a_subscription_is_cancelled(stripe, subscription, when, status, ends):
    for _ in range(2):
        outcome = call("cancel-subscription", subscription=subscription.id, when=when)
    assert outcome == Done({"subscription": subscription.id, "status": status, "cancel_at_period_end": ends})


def test_a_subscription_is_paused_and_resumed(stripe, subscription):
    call("pause-subscription", "p", subscription=subscription.id, behavior="keep_as_draft")
    assert stripe.v1.subscriptions.retrieve(subscription.id).pause_collection.behavior == "keep_as_draft"
    call("resume-subscription", "r", subscription=subscription.id)
    assert stripe.v1.subscriptions.retrieve(subscription.id).pause_collection is None


def test_a_plan_is_changed(stripe, subscription, prices):
    for _ in range(2):
        call("change-plan", subscription=subscription.id, price=prices[1].id)
    items = stripe.v1.subscriptions.retrieve(subscription.id)["items"]["data"]
    assert [item["price"]["id"] for item in items] == [prices[1].id]


def test_a_coupon_is_given_once_and_takes_nothing_away(stripe, subscription):
    coupons = [stripe.v1.coupons.create({"percent_off": 10, "duration": "forever"}).id for _ in range(2)]
    for key, coupon in [("a", coupons[0]), ("b", coupons[1]), ("c", coupons[1])]:
        assert isinstance(call("apply-coupon", key, subscription=subscription.id, coupon=coupon), Done)
    found = stripe.v1.subscriptions.retrieve(subscription.id, {"expand": ["discounts"]}).discounts
    assert {effects.coupon_of(discount) for discount in found} == set(coupons)
    assert len(found) == 2


def test_an_open_invoice_is_paid_or_voided(stripe, customer):
    invoices = []
    for _ in range(2):
        invoice = stripe.v1.invoices.create({"customer": customer.id, "currency": "jpy"})
        given = {"customer": customer.id, "invoice": invoice.id, "amount": 500, "currency": "jpy"}
        stripe.v1.invoice_items.create(given)
        stripe.v1.invoices.finalize_invoice(invoice.id)
        invoices.append(invoice.id)
    for _ in range(2):
        assert call("void-invoice", "v", invoice=invoices[0]) == Done({"invoice": invoices[0], "status": "void"})
    refused = call("pay-invoice", "p", invoice=invoices[1])
    assert isinstance(refused, Refused)  # the customer has no default payment method


def test_a_trial_goes_on(stripe, customer, prices):
    trial = stripe.v1.subscriptions.create(
        {"customer": customer.id, "items": [{"price": prices[0].id}], "trial_period_days": 7}
    )
    later = datetime.fromtimestamp(trial.trial_end + 7 * 86_400, tz=UTC)
    call("extend-trial", subscription=trial.id, until=later.isoformat())
    assert stripe.v1.subscriptions.retrieve(trial.id).trial_end == int(later.timestamp())


def test_values_of_a_customer_are_set(stripe, customer):
    call("update-customer", customer=customer.id, metadata={"tier": "gold"})
    assert stripe.v1.customers.retrieve(customer.id).metadata["tier"] == "gold"


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"invoice": ""},
        {"invoice": "in_1", "amount": 0},
        {"invoice": "in_1", "amount": "5"},
        {"invoice": "in_1", "x": 1},
    ],
)
def test_wrong_input_fails_before_anything_is_called(given, settings):
    settings.STRIPE_API_BASE = "http://127.0.0.1:9"
    outcome = call("refund-invoice", **given)
    assert isinstance(outcome, Refused)
    assert outcome.error.startswith("InvalidInput: ")


def test_an_account_that_is_not_configured_is_refused():
    assert call("refund-invoice", invoice="in_1", account="elsewhere").error.startswith("UnknownAccount: ")


def test_a_stripe_that_fails_is_tried_again(sandbox, stripe, invoice, stripe_key):
    fault = {"effect": "server_error", "key": stripe_key, "path": "/v1/refunds*", "method": "POST"}
    made = httpx.post(f"{sandbox}/_sandbox/faults", json=fault, timeout=60).json()
    try:
        assert isinstance(call("refund-invoice", invoice=invoice), Retry)
    finally:
        httpx.delete(f"{sandbox}/_sandbox/faults/{made['id']}", timeout=60)


def test_every_effect_says_what_it_does_and_how_it_fails():
    for effect in EFFECTS.values():
        assert effect.meaning, effect.name
        assert all(effect.errors.values())
