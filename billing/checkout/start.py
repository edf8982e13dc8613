"""The click on "subscribe": one unfinished order, one customer, one payment page, one subscription.

Order of things, with a crash possible at each comma: the order's row is committed with its idempotency key and the
words of the call, the customer is ensured, Stripe is asked for living subscriptions, the page is created, the page is
recorded. Nobody gets to see a page before it is recorded: a page whose answer was lost, or whose order was closed
meanwhile, cannot be paid by anyone.
"""

import time
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from stripe import IdempotencyError, InvalidRequestError, StripeClient, StripeError

from accounts.customers import CustomerIsSettling, ensure_customer, is_replay
from accounts.models import Organization
from billing.checkout.models import CheckoutOrder, OrderState
from billing.checkout.orders import RESUMABLE_FOR, CheckoutUrls, close_order, open_order, record_session
from billing.checkout.outcomes import (
    AlreadySubscribed,
    AwaitingConfirmation,
    NotOffered,
    Outcome,
    Started,
    Superseded,
)
from billing.mirror import querysets
from billing.mirror.facts import ENDED
from billing.stripe_answers import Unreachable, answer_of

MOST_ROUNDS = 4
IN_USE_PAUSES = (0.1, 0.3, 0.7, 1.5, 3.0)  # seconds between attempts while another request uses the same key


def start_checkout(
    organization: Organization,
    price_id: str,
    *,
    stripe: StripeClient,
    now: datetime,
    urls: CheckoutUrls,
    language: str,
) -> Outcome:
    """Open a payment page for `price_id`, or say why not. Repeating it is safe, in parallel and after any failure.

    Calls Stripe, so it must not run inside a transaction. A second click for the same price gets the page of the
    first; for another price the first page is expired at Stripe before a new one is made.
    """
    living = querysets.living_subscription(organization)
    if living:
        return AlreadySubscribed(living.id)
    if querysets.catalog().find_price(price_id) is None:
        return NotOffered()
    try:
        for _ in range(MOST_ROUNDS):
            order = open_order(organization, price_id, now=now, urls=urls, language=language)
            outcome = advance_order(order, price_id, stripe=stripe, now=now) if order else Superseded()
            if outcome:
                return outcome
    except CustomerIsSettling:
        return Unreachable()
    except StripeError as error:
        return answer_of(error)
    return Superseded()


def advance_order(order: CheckoutOrder, price_id: str, *, stripe: StripeClient, now: datetime) -> Outcome | None:
    """Bring the order to an outcome; None when it was closed, so that the next round begins with a new one."""
    if order.state == OrderState.OPEN:
        return visit_page(order, price_id, stripe=stripe, now=now)
    if order.price_id != price_id or now - order.created_at > RESUMABLE_FOR:
        close_order(order, now=now)
        return None
    return open_page(order, stripe=stripe, now=now)


def visit_page(order: CheckoutOrder, price_id: str, *, stripe: StripeClient, now: datetime) -> Outcome | None:
    """Ask Stripe what became of the order's page: it may have been paid or have expired since we heard of it."""
    wanted = order.price_id == price_id
    status = page_status(order.session_id, stripe) if wanted else expire_page(order.session_id, stripe)
    if status == "complete":
        return AwaitingConfirmation(order.session_id)
    if status == "open":
        return Started(order.session_url, order.session_id)
    close_order(order, now=now)
    return None


def page_status(session_id: str, stripe: StripeClient) -> str:
    return str(stripe.v1.checkout.sessions.retrieve(session_id).status)


def expire_page(session_id: str, stripe: StripeClient) -> str:
    """Make sure that the page can no longer be paid; return "expired", or "complete" when it was paid before."""
    try:
        return str(stripe.v1.checkout.sessions.expire(session_id).status)
    except InvalidRequestError:
        status = page_status(session_id, stripe)
        if status == "open":
            raise
        return status


def open_page(order: CheckoutOrder, *, stripe: StripeClient, now: datetime) -> Outcome | None:
    customer_id = ensure_customer(order.organization, stripe, livemode=settings.STRIPE_LIVE_MODE, now=now)
    # The mirror may be seconds behind a payment; Stripe is not.
    existing = living_at_stripe(customer_id, stripe)
    if existing:
        close_order(order, now=now)
        return AlreadySubscribed(existing)
    try:
        session = create_session(order, customer_id, stripe)
    except (InvalidRequestError, IdempotencyError):
        close_order(order, now=now)  # under this key Stripe would only repeat itself
        raise
    except StripeError as error:
        if is_replay(error):
            close_order(order, now=now)
        raise
    return Started(order.session_url, order.session_id) if session is None else keep_page(order, session, stripe)


def living_at_stripe(customer_id: str, stripe: StripeClient) -> str:
    """Return a subscription of the customer's that has not ended, empty when there is none."""
    subscriptions = stripe.v1.subscriptions.list(params={"customer": customer_id, "limit": 100})
    return next((sub.id for sub in subscriptions.data if sub.status not in ENDED), "")


def create_session(order: CheckoutOrder, customer_id: str, stripe: StripeClient) -> Any | None:
    """Create the page; None when another request, which held the key, has recorded it meanwhile."""
    for pause in IN_USE_PAUSES:
        try:
            return post_session(order, customer_id, stripe)
        except StripeError as error:
            if error.http_status != 409:
                raise
        time.sleep(pause)
        order.refresh_from_db()
        if order.state == OrderState.OPEN:
            return None
    return post_session(order, customer_id, stripe)


def post_session(order: CheckoutOrder, customer_id: str, stripe: StripeClient) -> Any:
    parameters = {**order.parameters, "customer": customer_id}
    options = {"idempotency_key": order.idempotency_key}
    return stripe.v1.checkout.sessions.create(params=parameters, options=options)  # type: ignore[arg-type]


def keep_page(order: CheckoutOrder, session: Any, stripe: StripeClient) -> Outcome:
    """Record the page and hand it out; if the order was closed meanwhile, make sure that nobody can pay it."""
    expires_at = datetime.fromtimestamp(session.expires_at, UTC)
    recorded = record_session(order, session_id=session.id, url=session.url, expires_at=expires_at)
    if recorded or (order.state == OrderState.OPEN and order.session_id == session.id):
        return Started(order.session_url, order.session_id)
    if order.state == OrderState.PAID:
        return AwaitingConfirmation(session.id)
    expire_page(session.id, stripe)
    return Superseded()
