"""Reading from Stripe: one GET under the shared budget, tried again where that helps, and stamped with Stripe's time.

stripe's own client does the connecting; its reading of answers is passed by, because it takes five times as long as
orjson for a page of a hundred invoices (10 ms against 2).
"""

import math
import random
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode

import orjson
import stripe
from django.conf import settings

from billing import metrics, stripe_budget, stripe_patience
from billing.stripe_accounts import StripeAccount, primary
from billing.stripe_client import refuse_calls, stripe_http
from billing.unusual_json import read_json

Data = dict[str, Any]

STRIPE = "https://api.stripe.com"
TRIES = 3  # of a call that fails on the way or inside Stripe
TRIES_WHEN_TOO_MANY = 8  # the budget rests longer and longer before each
FIRST_WAIT = 0.5  # seconds, doubled from try to try
LONG_AGO = 0
# What Stripe says, without a code, of an item that its subscription has no more, and of a source that its customer has
# no more (dj-stripe's issues 2025 and 1068). Any other 404 without a code may be a wrong address.
MISSING = ("Invalid subscription_item id", "A source must be attached to a customer")
FAR = 2**62  # a time that no event's exceeds: whatever comes, Stripe is asked (billing.mirror.gate.FAR)


class Missing(stripe.InvalidRequestError):
    """Stripe has no such object, as of some second between `low` and `high`."""

    low = LONG_AGO
    high = FAR


@dataclass(frozen=True)
class Answer:
    """What Stripe said: its state as of some second between `low` and `high`, in Unix seconds of Stripe's clock."""

    data: Data
    low: int
    high: int


def read(path: str, params: Mapping[str, Any] | None = None, *, account: StripeAccount | None = None) -> Answer:
    """GET an address of Stripe's API once its turn has come. Params may be nested: {"created": {"gte": 1}}.

    Tries again after silence, Stripe's own errors and "too many requests"; then raises stripe.StripeError, which is
    Missing when Stripe knows no such object.
    """
    refuse_calls()
    account = account or primary()
    url = f"{settings.STRIPE_API_BASE or STRIPE}{path}{query_of(params or {})}"
    tries = 0
    while True:
        tries += 1
        try:
            return read_once(url, account)
        except stripe.StripeError as error:
            metrics.fetch_errors.labels(code=str(error.http_status or "connection")).inc()
            if stripe_patience.is_over() or not worth_trying_again(error, tries):
                raise
            if not rests_for_all(error):
                time.sleep(FIRST_WAIT * 2 ** (tries - 1) * random.uniform(0.5, 1.0))  # noqa: S311 - not a secret


def read_once(url: str, account: StripeAccount) -> Answer:
    take_turn(account)
    headers = {
        "Authorization": f"Bearer {account.secret_key}",
        "Stripe-Version": settings.STRIPE_API_VERSION,
        "User-Agent": "Kessai",
    }
    began = time.monotonic()
    with stripe_budget.paid():
        body, status, answered = stripe_http(account).request("get", url, headers, None)
    elapsed = time.monotonic() - began
    metrics.fetch_seconds.observe(elapsed)
    low, high = stamp_of(answered, elapsed)
    if status != 200:
        error = error_of(body, status, answered)
        if isinstance(error, Missing):
            error.low, error.high = low, high
        raise error
    try:
        return Answer(read_json(body), low, high)
    except ValueError as error:  # an answer that broke off, or a proxy's page
        raise stripe.APIConnectionError(f"Stripe's answer is not JSON: {error}", should_retry=True)


def take_turn(account: StripeAccount) -> None:
    """Wait for the turn that the budget gives: a page's is the next."""
    if stripe_patience.somebody_waits():
        stripe_budget.take_for_page(account.secret_key)
    else:
        stripe_budget.take(account.secret_key)


def stamp_of(headers: Mapping[str, str], elapsed: float) -> tuple[int, int]:
    """The span of Stripe's time in which the answer's state was read: before its Date, after the question.

    A second is given for the part of a second that Date leaves out. An answer without a Date says nothing of its age.
    """
    try:
        date = int(parsedate_to_datetime(headers["Date"]).timestamp())
    except (KeyError, ValueError):
        return LONG_AGO, FAR
    return date - math.ceil(elapsed) - 1, date


def worth_trying_again(error: stripe.StripeError, tries: int) -> bool:
    """Stripe docs: "Advanced error handling" (Stripe-Should-Retry)."""
    if isinstance(error, stripe.RateLimitError):
        return tries < TRIES_WHEN_TOO_MANY
    if isinstance(error, stripe.APIConnectionError):
        return tries < TRIES and error.should_retry
    advice = (error.headers or {}).get("Stripe-Should-Retry", "")
    server_side = (error.http_status or 0) >= 500 or error.http_status == 409
    return tries < TRIES and (advice == "true" or (server_side and advice != "false"))


def rests_for_all(error: stripe.StripeError) -> bool:
    """Whether the budget rests because of it, so that the next try waits there. The client has told the budget."""
    return isinstance(error, stripe.RateLimitError) and not stripe_budget.concerns_one_object(error.headers or {})


def error_of(body: bytes, status: int, headers: Mapping[str, str]) -> stripe.StripeError:
    """The error that stripe's own client would raise, but for Missing."""
    said = error_in(body)
    message, param, code = said.get("message") or f"Stripe answered {status}.", said.get("param"), said.get("code")
    known: dict[str, Any] = {"http_body": body, "http_status": status, "json_body": {"error": said}, "headers": headers}
    if status == 429 or (status == 400 and code == "rate_limit"):
        return stripe.RateLimitError(message, **known, code=code)
    if (status == 404 and code == "resource_missing") or (status in (400, 404) and message.startswith(MISSING)):
        return Missing(message, param, code, **known)
    if status in (400, 404):
        return stripe.InvalidRequestError(message, param, code, **known)
    if status == 401:
        return stripe.AuthenticationError(message, **known, code=code)
    if status == 403:
        return stripe.PermissionError(message, **known, code=code)
    return stripe.APIError(message, **known, code=code)


def error_in(body: bytes) -> Data:
    try:
        said = orjson.loads(body)["error"]
    except (ValueError, KeyError, TypeError):
        return {}
    return said if isinstance(said, dict) else {}


def query_of(params: Mapping[str, Any]) -> str:
    pairs = [pair for name, value in params.items() for pair in flat(name, value)]
    return f"?{urlencode(pairs)}" if pairs else ""


def flat(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """A parameter as Stripe's forms spell it: created[gte]=1, expand[]=data.tiers, active=true."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from flat(f"{name}[{key}]", inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from flat(f"{name}[]", inner)
    elif value is not None:
        yield name, str(value).lower() if isinstance(value, bool) else str(value)
