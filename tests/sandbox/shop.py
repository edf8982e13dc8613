"""What a merchant has before anything is sold: plans, customers with a card; and what a customer types."""

from typing import Any

import httpx

GOOD, DECLINED, POOR, ASKS = "4242424242424242", "4000000000000002", "4000000000009995", "4000000000003220"
SUCCESS = "http://shop.example/thanks?session={CHECKOUT_SESSION_ID}"
CANCEL = "http://shop.example/plans"


def plan(
    v1: Any, amount: int = 3000, currency: str = "jpy", interval: str = "month", name: str = "Pro", **more: Any
) -> str:
    """The id of a recurring price."""
    product = v1.products.create({"name": name})
    recurring = {"interval": interval, **more}
    given = {"product": product.id, "currency": currency, "unit_amount": amount, "recurring": recurring}
    return str(v1.prices.create(given).id)


def customer(v1: Any, card: str | None = "pm_card_visa", **fields: Any) -> str:
    """The id of a customer whose default is this card."""
    made = v1.customers.create({"email": "alice@example.com", **fields})
    if card:
        attached = v1.payment_methods.attach(card, {"customer": made.id})
        v1.customers.update(made.id, {"invoice_settings": {"default_payment_method": attached.id}})
    return str(made.id)


def subscribed(v1: Any, price: str | None = None, card: str | None = "pm_card_visa", **params: Any) -> Any:
    """A subscription of a new customer."""
    given = {"customer": customer(v1, card), "items": [{"price": price or plan(v1)}], **params}
    return v1.subscriptions.create(given)


def checkout(v1: Any, **params: Any) -> Any:
    """An open checkout session, for a subscription unless told otherwise."""
    given = {"mode": "subscription", "success_url": SUCCESS, "cancel_url": CANCEL, **params}
    if given["mode"] == "subscription" and "line_items" not in given:
        given["line_items"] = [{"price": plan(v1), "quantity": 1}]
    return v1.checkout.sessions.create(given)


def fill_in(address: str, number: str, **typed: str) -> httpx.Response:
    """Send a card form, as a browser does."""
    form = {"number": number, "expiry": "12 / 34", "cvc": "123", "name": "Alice", "email": "alice@example.com"}
    return httpx.post(address, data=form | typed, trust_env=False, timeout=60)


def answer_the_bank(asked: httpx.Response, answer: str) -> httpx.Response:
    """On the challenge page that a form led to: `complete` or `fail`. The page that the customer then sees, or the
    redirect away from the sandbox."""
    said = httpx.post(asked.headers["location"], data={"answer": answer}, trust_env=False)
    return httpx.get(said.headers["location"], trust_env=False)


def types(v1: Any) -> list[str]:
    """The events so far, oldest first."""
    return [event.type for event in v1.events.list({"limit": 100}).data][::-1]
