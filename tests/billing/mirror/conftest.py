from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import stripe as stripe_library
from django.conf import LazySettings
from django.utils import timezone

from billing.mirror import inquiry
from billing.mirror.fetch import Fetched
from billing.mirror.kinds import Ref


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


@pytest.fixture
def fault(sandbox: str, stripe: stripe_library.StripeClient, stripe_key: str) -> Iterator[Callable[..., None]]:
    """Make the sandbox's API refuse, hang or dawdle for this test's account: fault("rate_limit", count=2)."""
    made: list[int] = []
    with httpx.Client(base_url=sandbox, trust_env=False) as http:

        def ask_for(effect: str, **fields: Any) -> None:
            said = http.post("/_sandbox/faults", json={"effect": effect, "key": stripe_key, **fields})
            assert said.status_code == 200, said.text
            made.append(said.json()["id"])

        yield ask_for
        for number in made:
            http.delete(f"/_sandbox/faults/{number}")


@pytest.fixture
def answer_with(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Ref], Any]], None]:
    """Stand between the mirror and Stripe: the function is called for each question, and returns or raises the answer.

    `fetch(ref, account=…)` asks Stripe itself; None says that Stripe has the object no more.
    """

    def answer(ref: Ref, function: Callable[[Ref], Any]) -> Fetched | Exception:
        try:
            found = function(ref)
        except Exception as error:
            return error
        if isinstance(found, Fetched):
            return found
        second = int(timezone.now().timestamp())
        return Fetched(ref, found, second - 1, second)

    def use(function: Callable[[Ref], Any]) -> None:
        monkeypatch.setattr(
            inquiry, "fetch_many", lambda refs, *, account: {ref: answer(ref, function) for ref in refs}
        )

    return use
