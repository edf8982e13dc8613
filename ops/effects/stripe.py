"""Effects at Stripe: refund, credit, void, pay, cancel, pause, resume, change, and what customers are told there.

Every call carries the key of its effect. Where money moves, what is made carries it too, in its metadata, and
is looked for first: Stripe forgets idempotency keys after a day (API reference, "Idempotent requests"), and repeats an
error of its own under the same key; a refund that is there is there for ever.
"""

from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Annotated, Any, Literal

import msgspec
import stripe
from stripe import StripeClient

from billing.stripe_accounts import UnknownAccount, by_name
from billing.stripe_client import stripe_client
from ops.effects.outcome import Done, Outcome, Refused, Retry
from ops.effects.registry import Call, effect

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
Amount = Annotated[int, msgspec.Meta(gt=0)]  # in the currency's minor unit
KEY = "kessai_key"  # in the metadata of what an effect makes
ERRORS = {"Stripe.CODE": "Stripe refused the call for good; CODE is Stripe's own, as in charge_already_refunded."}
AGAIN = (stripe.APIConnectionError, stripe.RateLimitError, stripe.APIError)


class OfStripe(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What every effect at Stripe takes: the name of the configured account; without it, the primary one."""

    account: Annotated[str, msgspec.Meta(max_length=32)] = ""


Run = Callable[[Any, Call, StripeClient], Any]


def at_stripe(run: Run) -> Callable[[Any, Call], Outcome]:
    """Give a function the account's client, and make outcomes of Stripe's errors."""

    @wraps(run)
    def call(given: OfStripe, call: Call) -> Outcome:
        try:
            client = stripe_client(by_name(given.account))
            return Done(run(given, call, client))
        except UnknownAccount as error:
            return Refused(f"UnknownAccount: {error}")
        except Nothing as nothing:
            return Refused(f"Stripe.{nothing.args[0]}: {nothing.args[1]}")
        except stripe.StripeError as error:
            return outcome_of(error)

    return call


class Nothing(Exception):
    """There is nothing that could be done: an error's name and a sentence."""


def outcome_of(error: stripe.StripeError) -> Outcome:
    """What an error of Stripe's means: whether the same call may come through later."""
    code = error.code or type(error).__name__
    said = f"Stripe.{code}: {error.user_message or 'Stripe refused the call.'}"[:1000]
    status = error.http_status or 0
    if isinstance(error, AGAIN) and not isinstance(error, stripe.InvalidRequestError | stripe.CardError):
        return Retry(said)
    return Retry(said) if status in (409, 429) or status >= 500 else Refused(said)


class RefundInvoice(OfStripe):
    """`amount` in the minor unit of the invoice's currency; without it, all that is left of what was paid."""

    invoice: Id
    amount: Amount | None = None
    reason: Literal["duplicate", "fraudulent", "requested_by_customer"] = "requested_by_customer"


@effect("refund-invoice", takes=RefundInvoice, errors=ERRORS | {"Stripe.not_paid": "The invoice was never paid."})
@at_stripe
def refund_invoice(given: RefundInvoice, call: Call, client: StripeClient) -> dict[str, Any]:
    """Give back what an invoice was paid with, once."""
    payments = client.v1.invoice_payments.list({"invoice": given.invoice, "status": "paid", "limit": 1}).data
    if not payments:
        raise Nothing("not_paid", f"The invoice {given.invoice} was never paid.")
    paid_with = payments[0].payment["payment_intent"] if payments[0].payment["type"] == "payment_intent" else None
    if not paid_with:
        raise Nothing("not_paid", f"The invoice {given.invoice} was paid outside Stripe.")
    made = found(client.v1.refunds.list({"payment_intent": paid_with, "limit": 100}), call.key)
    if made is None:
        amount = {"amount": given.amount} if given.amount else {}
        params: Any = {"payment_intent": paid_with, "reason": given.reason, "metadata": {KEY: call.key}, **amount}
        made = client.v1.refunds.create(params, options={"idempotency_key": call.key})
    return {"refund": made["id"], "amount": made["amount"], "currency": made["currency"], "status": made["status"]}


def found(objects: Any, key: str) -> Any:
    """What was made under this key before, among these; None where nothing was."""
    return next((one for one in objects.auto_paging_iter() if (one["metadata"] or {}).get(KEY) == key), None)


class CreditCustomer(OfStripe):
    """`amount` in the minor unit: what the customer's next invoices cost less."""

    customer: Id
    amount: Amount
    currency: Annotated[str, msgspec.Meta(pattern="^[a-z]{3}$")]
    description: Annotated[str, msgspec.Meta(max_length=350)] = ""


@effect("credit-customer", takes=CreditCustomer, errors=ERRORS)
@at_stripe
def credit_customer(given: CreditCustomer, call: Call, client: StripeClient) -> dict[str, Any]:
    """Credit a customer's balance, once."""
    transactions = client.v1.customers.balance_transactions
    made = found(transactions.list(given.customer, {"limit": 100}), call.key)
    if made is None:
        params: Any = {
            "amount": -given.amount,
            "currency": given.currency,
            "description": given.description,
            "metadata": {KEY: call.key},
        }
        made = transactions.create(given.customer, params, options={"idempotency_key": call.key})
    return {"transaction": made["id"], "amount": -made["amount"], "currency": made["currency"]}


class OfInvoice(OfStripe):
    """Which invoice."""

    invoice: Id


@effect("void-invoice", takes=OfInvoice, errors=ERRORS)
@at_stripe
def void_invoice(given: OfInvoice, call: Call, client: StripeClient) -> dict[str, Any]:
    """Void an open invoice; one that is void stays so."""
    invoice = client.v1.invoices.retrieve(given.invoice)
    if invoice.status != "void":
        invoice = client.v1.invoices.void_invoice(given.invoice, options={"idempotency_key": call.key})
    return {"invoice": invoice.id, "status": invoice.status}


@effect("pay-invoice", takes=OfInvoice, errors=ERRORS)
@at_stripe
def pay_invoice(given: OfInvoice, call: Call, client: StripeClient) -> dict[str, Any]:
    """Try to collect an open invoice with the customer's own payment method; a paid one is left alone."""
    invoice = client.v1.invoices.retrieve(given.invoice)
    if invoice.status != "paid":
        invoice = client.v1.invoices.pay(given.invoice, options={"idempotency_key": call.key})
    return {"invoice": invoice.id, "status": invoice.status, "amount_paid": invoice.amount_paid}


class CancelSubscription(OfStripe):
    """`when`: at once, or when the period that was paid for ends."""

    subscription: Id
    when: Literal["now", "period-end"] = "now"


@effect("cancel-subscription", takes=CancelSubscription, errors=ERRORS)
@at_stripe
def cancel_subscription(given: CancelSubscription, call: Call, client: StripeClient) -> dict[str, Any]:
    """Cancel a subscription; one that has ended stays so."""
    subscription = client.v1.subscriptions.retrieve(given.subscription)
    options: Any = {"idempotency_key": call.key}
    if subscription.status in ("canceled", "incomplete_expired"):
        return state_of(subscription)
    if given.when == "now":
        return state_of(client.v1.subscriptions.cancel(given.subscription, options=options))
    return state_of(client.v1.subscriptions.update(given.subscription, {"cancel_at_period_end": True}, options=options))


def state_of(subscription: Any) -> dict[str, Any]:
    return {
        "subscription": subscription.id,
        "status": subscription.status,
        "cancel_at_period_end": subscription.cancel_at_period_end,
    }


class PauseSubscription(OfStripe):
    """`behavior`: what becomes of invoices meanwhile (Stripe docs, "Pause payment collection")."""

    subscription: Id
    behavior: Literal["keep_as_draft", "mark_uncollectible", "void"] = "void"
    resumes_at: datetime | None = None


@effect("pause-subscription", takes=PauseSubscription, errors=ERRORS)
@at_stripe
def pause_subscription(given: PauseSubscription, call: Call, client: StripeClient) -> dict[str, Any]:
    """Collect nothing for a subscription for a while."""
    pause: Any = {"behavior": given.behavior}
    if given.resumes_at:
        pause["resumes_at"] = int(given.resumes_at.timestamp())
    return updated(client, given.subscription, {"pause_collection": pause}, call)


class OfSubscription(OfStripe):
    """Which subscription."""

    subscription: Id


@effect("resume-subscription", takes=OfSubscription, errors=ERRORS)
@at_stripe
def resume_subscription(given: OfSubscription, call: Call, client: StripeClient) -> dict[str, Any]:
    """Collect again for a subscription that was paused."""
    return updated(client, given.subscription, {"pause_collection": ""}, call)


def updated(client: StripeClient, subscription: str, params: dict[str, Any], call: Call) -> dict[str, Any]:
    given: Any = params
    changed = client.v1.subscriptions.update(subscription, given, options={"idempotency_key": call.key})
    return state_of(changed)


class ChangePlan(OfStripe):
    """`price`: what the subscription's only item costs from now on."""

    subscription: Id
    price: Id
    proration: Literal["create_prorations", "always_invoice", "none"] = "create_prorations"


@effect(
    "change-plan", takes=ChangePlan, errors=ERRORS | {"Stripe.several_items": "The subscription has several items."}
)
@at_stripe
def change_plan(given: ChangePlan, call: Call, client: StripeClient) -> dict[str, Any]:
    """Change the price of a subscription with one item; one that has it is left alone."""
    subscription = client.v1.subscriptions.retrieve(given.subscription)
    items = subscription["items"]["data"]
    if len(items) != 1:
        raise Nothing("several_items", f"{given.subscription} has {len(items)} items: change them one by one.")
    if items[0]["price"]["id"] == given.price:
        return state_of(subscription)
    params = {"items": [{"id": items[0]["id"], "price": given.price}], "proration_behavior": given.proration}
    return updated(client, given.subscription, params, call)


class ApplyCoupon(OfStripe):
    """`coupon` goes before what the subscription has; nothing of that is taken away."""

    subscription: Id
    coupon: Id


@effect("apply-coupon", takes=ApplyCoupon, errors=ERRORS)
@at_stripe
def apply_coupon(given: ApplyCoupon, call: Call, client: StripeClient) -> dict[str, Any]:
    """Give a subscription a coupon, once."""
    subscription = client.v1.subscriptions.retrieve(given.subscription, {"expand": ["discounts"]})
    had = [discount for discount in subscription.discounts or [] if not isinstance(discount, str)]
    if any(coupon_of(discount) == given.coupon for discount in had):
        return state_of(subscription)
    discounts = [{"coupon": given.coupon}, *({"discount": discount["id"]} for discount in had)]
    return updated(client, given.subscription, {"discounts": discounts}, call)


def coupon_of(discount: Any) -> str:
    coupon = discount["source"]["coupon"]
    return str(coupon if isinstance(coupon, str) else coupon["id"])


class ExtendTrial(OfStripe):
    """`until`: when the trial ends; RFC 3339."""

    subscription: Id
    until: datetime


@effect("extend-trial", takes=ExtendTrial, errors=ERRORS)
@at_stripe
def extend_trial(given: ExtendTrial, call: Call, client: StripeClient) -> dict[str, Any]:
    """Let a trial go on until a day; nothing is prorated."""
    params = {"trial_end": int(given.until.timestamp()), "proration_behavior": "none"}
    return updated(client, given.subscription, params, call)


class UpdateCustomer(OfStripe):
    """`metadata`: values that are set; an empty one is taken away."""

    customer: Id
    metadata: dict[str, Annotated[str, msgspec.Meta(max_length=500)]]


@effect("update-customer", takes=UpdateCustomer, errors=ERRORS)
@at_stripe
def update_customer(given: UpdateCustomer, call: Call, client: StripeClient) -> dict[str, Any]:
    """Set values in a customer's metadata."""
    params: Any = {"metadata": given.metadata}
    customer = client.v1.customers.update(given.customer, params, options={"idempotency_key": call.key})
    return {"customer": customer.id}
