"""Leaving, and changing one's mind. Both are calls that may be repeated: the same intent carries the same key."""

from dataclasses import dataclass

from stripe import StripeClient, StripeError

from billing.mirror.facts import SubscriptionFacts, SubscriptionStatus
from billing.stripe_answers import Refused, Unreachable, answer_of


@dataclass(frozen=True)
class Done:
    """Stripe has taken the change; the mirror shows it as soon as its event has arrived."""


def cancel(subscription: SubscriptionFacts, *, intent: str, stripe: StripeClient) -> Done | Refused | Unreachable:
    """Let the subscription end with its period; one whose first payment never succeeded ends at once.

    `intent` names this one decision: repeated with it, nothing happens twice; another decision, later, brings another.
    """
    try:
        if ends_at_once(subscription):
            options = {"idempotency_key": f"cancel-subscription:{subscription.id}:{intent}"}
            stripe.v1.subscriptions.cancel(subscription.id, options=options)  # type: ignore[arg-type]
        else:
            set_end(subscription, at_period_end=True, intent=intent, stripe=stripe)
    except StripeError as error:
        return answer_of(error)
    return Done()


def ends_at_once(subscription: SubscriptionFacts) -> bool:
    """Whether there is no paid period to wait for."""
    return subscription.status is SubscriptionStatus.INCOMPLETE


def resume(subscription: SubscriptionFacts, *, intent: str, stripe: StripeClient) -> Done | Refused | Unreachable:
    """Take a scheduled cancellation back, so that the subscription renews as before."""
    try:
        set_end(subscription, at_period_end=False, intent=intent, stripe=stripe)
    except StripeError as error:
        return answer_of(error)
    return Done()


def set_end(subscription: SubscriptionFacts, *, at_period_end: bool, intent: str, stripe: StripeClient) -> None:
    verb = "cancel-at-period-end" if at_period_end else "resume"
    parameters: dict[str, object] = {"cancel_at_period_end": at_period_end}
    if not at_period_end and subscription.cancel_at and not subscription.cancel_at_period_end:
        parameters = {"cancel_at": ""}  # an end on a date of its own is taken back by emptying the date
    stripe.v1.subscriptions.update(
        subscription.id,
        params=parameters,  # type: ignore[arg-type]
        options={"idempotency_key": f"{verb}:{subscription.id}:{intent}"},
    )


def can_cancel(subscription: SubscriptionFacts | None) -> bool:
    return bool(subscription and subscription.living and not subscription.ends_at)


def can_resume(subscription: SubscriptionFacts | None) -> bool:
    return bool(subscription and subscription.living and subscription.ends_at)
