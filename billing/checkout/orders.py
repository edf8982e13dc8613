"""Checkout orders as rows: each verb is one short transaction, each change names the state it starts from."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction

from accounts.models import Organization
from billing import clock
from billing.checkout.models import CheckoutOrder, OrderState

PAGE_LIFETIME = timedelta(minutes=60)  # Stripe allows 30 minutes to 24 hours (Stripe docs: Checkout, `expires_at`)
# An intent is repeated while its page, if it was made, may live and Stripe would still accept to make it.
RESUMABLE_FOR = timedelta(minutes=25)
UNFINISHED = (OrderState.OPENING, OrderState.OPEN)


@dataclass(frozen=True)
class CheckoutUrls:
    """Where Stripe's page sends the viewer: `success` holds Stripe's own placeholder {CHECKOUT_SESSION_ID}."""

    success: str
    cancel: str


def unfinished_order(organization: Organization) -> CheckoutOrder | None:
    return CheckoutOrder.objects.filter(organization=organization, state__in=UNFINISHED).first()


def open_order(
    organization: Organization, price_id: str, *, now: datetime, urls: CheckoutUrls, language: str
) -> CheckoutOrder | None:
    """Return the organization's unfinished order, committed; one for `price_id` is written when there is none.

    The unique constraint lets one of several racers write; the others get that one's row. None when racers open and
    close orders faster than they can be read.
    """
    for _ in range(5):
        order = unfinished_order(organization)
        if order:
            return order
        try:
            with transaction.atomic(durable=True):
                return write_order(organization, price_id, now=now, urls=urls, language=language)
        except IntegrityError:
            continue  # a racer wrote its own between our look and our insert
    return None


def write_order(
    organization: Organization, price_id: str, *, now: datetime, urls: CheckoutUrls, language: str
) -> CheckoutOrder:
    key = f"checkout:{organization.public_id}:{secrets.token_hex(8)}"
    return CheckoutOrder.objects.create(
        organization=organization,
        price_id=price_id,
        idempotency_key=key,
        parameters=describe_session(organization, price_id, key, now=now, urls=urls, language=language),
        created_at=now,
    )


def describe_session(
    organization: Organization, price_id: str, key: str, *, now: datetime, urls: CheckoutUrls, language: str
) -> dict[str, Any]:
    """Return the parameters of the checkout session, all but its customer (Stripe docs: "Create a Session")."""
    metadata = {"kessai_organization": organization.public_id, "kessai_order": key}
    return {
        "mode": "subscription",
        "line_items": [{"price": price_id, "quantity": 1}],
        "client_reference_id": organization.public_id,
        "metadata": metadata,
        "subscription_data": {"metadata": metadata},
        "success_url": urls.success,
        "cancel_url": urls.cancel,
        "locale": language.split("-")[0],
        # By Stripe's own time, which in the demo may be ahead of ours.
        "expires_at": int((now + clock.ahead() + PAGE_LIFETIME).timestamp()),
    }


def record_session(order: CheckoutOrder, *, session_id: str, url: str, expires_at: datetime) -> bool:
    """Store the page of an order that is still opening; False when somebody else has moved the order on."""
    changed = CheckoutOrder.objects.filter(pk=order.pk, state=OrderState.OPENING).update(
        state=OrderState.OPEN, session_id=session_id, session_url=url, expires_at=expires_at
    )
    order.refresh_from_db()
    return bool(changed)


def close_order(order: CheckoutOrder, *, now: datetime) -> None:
    """Mark an order as one that can no longer be paid, if it still stands where we saw it.

    One that a racer has brought from opening to open meanwhile has a page that somebody sees: it is left alone.
    """
    seen = CheckoutOrder.objects.filter(pk=order.pk, state=order.state).filter(state__in=UNFINISHED)
    seen.update(state=OrderState.EXPIRED, finished_at=now)


def note_return(order: CheckoutOrder, *, now: datetime) -> None:
    """Remember when the viewer first came back from the payment page."""
    if order.returned_at is None:
        CheckoutOrder.objects.filter(pk=order.pk, returned_at=None).update(returned_at=now)
        order.refresh_from_db()
