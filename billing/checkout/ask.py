"""Asking Stripe about an order at once, for somebody who has come back from the payment page and sees no news.

Its events are lost, or late: the events API finds them within a minute or two, and what they tell is then known
already. The answer goes the mirror's own way, gate before each object; so nothing here can undo what a webhook that
comes at the same moment writes, and orders settle as they do with one.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q
from djstripe import models as mirror
from stripe import StripeError

from billing.checkout.models import CheckoutOrder, OrderState
from billing.mirror import asking
from billing.mirror.kinds import Ref
from billing.mirror.shapes import id_of
from billing.stripe_accounts import primary
from billing.stripe_answers import Unreachable

BETWEEN_QUESTIONS = timedelta(seconds=10)  # about one order, whoever asks from however many windows


@dataclass(frozen=True)
class Answered:
    """Stripe has said how the order stands, and the mirror shows it."""


@dataclass(frozen=True)
class NotNow:
    """The order has been asked about a moment ago, or is settled: Stripe was not asked."""


def ask_stripe(order: CheckoutOrder, *, now: datetime) -> Answered | NotNow | Unreachable:
    """Bring what Stripe knows of the order into the mirror. Calls Stripe: never inside a transaction."""
    if not take_question(order, now=now):
        return NotNow()
    try:
        refresh([Ref("checkout.session", order.session_id)], now=now)
        page = page_as_mirrored(order.session_id)
        made = made_by(page)
        refresh(made, now=now)
        refresh(paying_for(made), now=now)
    except StripeError:
        return Unreachable()
    CheckoutOrder.objects.filter(pk=order.pk).update(answer=page.get("status") or "")
    return Answered()


def take_question(order: CheckoutOrder, *, now: datetime) -> bool:
    """Whether this is whose turn it is to ask: of many at once one finds the row as it was."""
    free = Q(asked_at=None) | Q(asked_at__lte=now - BETWEEN_QUESTIONS)
    return bool(CheckoutOrder.objects.filter(free, pk=order.pk, state=OrderState.OPEN).update(asked_at=now, answer=""))


def refresh(refs: list[Ref], *, now: datetime) -> None:
    asking.refresh(refs, account=primary(), clock=lambda: now, at=now)


def page_as_mirrored(session_id: str) -> dict[str, Any]:
    return mirror.Session.objects.filter(id=session_id).values_list("stripe_data", flat=True).first() or {}


def made_by(page: dict[str, Any]) -> list[Ref]:
    """The subscription and the invoice of the page; both may have moved on since the mirror saw them."""
    found = {kind: id_of(page.get(kind)) for kind in ("subscription", "invoice")}
    return [Ref(kind, object_id) for kind, object_id in found.items() if object_id]


def paying_for(made: list[Ref]) -> list[Ref]:
    """The payment method that the new subscription is charged to: its row refers to none, so none comes with it."""
    ids = [ref.id for ref in made if ref.kind == "subscription"]
    subscriptions = mirror.Subscription.objects.filter(id__in=ids).values_list("stripe_data", flat=True)
    methods = filter(None, (id_of(data.get("default_payment_method")) for data in subscriptions))
    return [Ref("payment_method", method) for method in methods]
