from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
import stripe as stripe_library
from django.conf import LazySettings


@dataclass
class Shop:
    """What most tests of the mirror begin with: one product, one price, one customer who can pay."""

    stripe: stripe_library.StripeClient

    def product(self, name: str = "Pro") -> Any:
        return self.stripe.v1.products.create({"name": name})

    def price(self, product_id: str, *, amount: int = 5000) -> Any:
        return self.stripe.v1.prices.create(
            {"product": product_id, "currency": "jpy", "unit_amount": amount, "recurring": {"interval": "month"}}
        )

    def customer(self, **params: Any) -> Any:
        given: Any = {"email": "alice@example.com", **params}
        return self.stripe.v1.customers.create(given)

    def give_card(self, customer_id: str) -> Any:
        """Attach a card that works and make it the customer's default."""
        method = self.stripe.v1.payment_methods.attach("pm_card_visa", {"customer": customer_id})
        self.stripe.v1.customers.update(customer_id, {"invoice_settings": {"default_payment_method": method.id}})
        return method

    def subscription(self, customer_id: str, price_id: str, **params: Any) -> Any:
        given: Any = {"customer": customer_id, "items": [{"price": price_id}], **params}
        return self.stripe.v1.subscriptions.create(given)


@pytest.fixture
def shop(stripe: stripe_library.StripeClient) -> Shop:
    return Shop(stripe)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that Stripe was asked for, through whatever client of this process."""
    from billing.stripe_client import StripeHTTP

    paths: list[str] = []
    request = StripeHTTP.request

    def recording(self: StripeHTTP, method: str, url: str, *args: Any, **more: Any) -> Any:
        paths.append(urlsplit(url).path)
        return request(self, method, url, *args, **more)

    monkeypatch.setattr(StripeHTTP, "request", recording)
    return paths


@pytest.fixture
def methods(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The HTTP methods with which Stripe was called."""
    from billing.stripe_client import StripeHTTP

    used: list[str] = []
    request = StripeHTTP.request

    def recording(self: StripeHTTP, method: str, url: str, *args: Any, **more: Any) -> Any:
        used.append(method)
        return request(self, method, url, *args, **more)

    monkeypatch.setattr(StripeHTTP, "request", recording)
    return used


@pytest.fixture
def use_key(stripe: stripe_library.StripeClient, settings: LazySettings) -> Callable[[str], None]:
    """Put another secret key into the settings, as after a restart with another configuration."""
    from billing.stripe_client import stripe_client

    def use(key: str) -> None:
        settings.STRIPE_SECRET_KEY = key
        stripe_client.cache_clear()

    return use
