"""How a subscription begins: its fields, its first invoice, the first payment.

Sources: Stripe docs, "How subscriptions work", "Subscription invoices", API reference "Create a subscription"
(payment_behavior).
"""

from typing import Any

from sandbox import clocks, objects
from sandbox.billing import (
    anchors,
    backdating,
    billing_modes,
    collection,
    cutting,
    discounts,
    items,
    lifecycle,
    lines,
    sums,
    usage_lines,
)
from sandbox.billing.periods import DAY, Period
from sandbox.context import Context
from sandbox.documents import merge_metadata, new_document, new_id
from sandbox.errors import ApiError, missing
from sandbox.kinds import Doc
from sandbox.resources import payment_settings, setup_intents, tax_rates
from sandbox.resources.payment_methods import card_of, declined
from sandbox.resources.prices import new_price

NO_PAYMENT_METHOD = (
    "This customer has no attached payment source or default payment method. Please consider adding a default payment "
    "method. For more information, visit "
    "https://stripe.com/docs/billing/subscriptions/payment-methods-setting#payment-method-priority."
)
LONGEST_TRIAL = 730


def begin(ctx: Context, params: dict[str, Any], *, inactive_prices: bool = False) -> Doc:
    """A subscription with its first invoice, paid as `payment_behavior` says. Raises CardError for
    error_if_incomplete when the bank refuses. `inactive_prices` lets in the prices that Checkout made inline."""
    customer = objects.load(ctx, "customer", params["customer"], param="customer", in_path=True)
    _check(params)
    _check_room(ctx, customer)
    subscription = _stored(ctx, customer, params, inactive_prices=inactive_prices)
    payment_method = collection.payment_method_for(ctx, subscription)
    behavior = params.get("payment_behavior", "allow_incomplete")
    automatic = subscription["collection_method"] == "charge_automatically"
    for number, given in enumerate(params.get("add_invoice_items") or []):
        add_once(ctx, subscription, given, f"add_invoice_items[{number}]")
    invoice = first_invoice(ctx, subscription, customer, params.get("proration_behavior", "create_prorations"))
    started = "trialing" if subscription["trial_end"] else "active"
    asks_for_card = automatic and not payment_method and not params.get("off_session")
    if invoice is None:
        return _opened(ctx, _ask_for_card(ctx, subscription) if asks_for_card else subscription, started)
    subscription = lifecycle.changed(ctx, subscription, {"latest_invoice": invoice["id"]})
    if invoice["amount_due"] and not automatic:
        return _opened(ctx, subscription, started)
    if invoice["amount_due"] and behavior != "default_incomplete" and not payment_method:
        raise ApiError(NO_PAYMENT_METHOD, code="resource_missing")
    invoice = collection.open_up(ctx, invoice)
    if invoice["status"] == "paid":
        if asks_for_card:
            subscription = _ask_for_card(ctx, subscription)
        return _opened(ctx, subscription, started)
    if behavior == "default_incomplete":
        return _opened(ctx, subscription, "incomplete")
    return _paid_now(ctx, subscription, invoice, payment_method, behavior, off_session=params.get("off_session", False))


def _check(params: dict[str, Any]) -> None:
    if not params.get("items"):
        raise missing("items")
    if params.get("payment_behavior") == "pending_if_incomplete":
        raise ApiError(
            "Setting `payment_behavior` to `pending_if_incomplete` has no effect when creating a subscription.",
            param="payment_behavior",
        )
    check_sending(params.get("collection_method", "charge_automatically"), params.get("days_until_due"))
    if "trial_end" in params and "trial_period_days" in params:
        raise ApiError("You may only specify one of these parameters: trial_end, trial_period_days.")


def check_sending(method: str, days: int | None) -> None:
    """Raises where the days that a customer has for an invoice are said of one that is not sent, or the other way
    round."""
    if method != "send_invoice" and days is not None:
        raise ApiError(
            "You can only set `days_until_due` if `collection_method` is `send_invoice`.", param="days_until_due"
        )
    if method == "send_invoice" and days is None:
        raise ApiError(
            "You must pass a `days_until_due` with the `collection_method` set to `send_invoice`.",
            param="days_until_due",
        )


def _check_room(ctx: Context, customer: Doc) -> None:
    """In the time of a test clock a customer has few subscriptions."""
    running = {"customer": customer["id"], "status": [*lifecycle.LIVE, "incomplete", "paused"]}
    if ctx.clock and ctx.tx.count(ctx.scope, "subscription", running) >= clocks.MOST_SUBSCRIPTIONS:
        raise ApiError(
            f"A customer with a test clock can have at most {clocks.MOST_SUBSCRIPTIONS} subscriptions.",
            param="customer",
        )


def _stored(ctx: Context, customer: Doc, params: dict[str, Any], *, inactive_prices: bool) -> Doc:
    """The subscription without an invoice, status incomplete, not announced yet."""
    shell = new_document(ctx, "subscription", _fields(ctx, customer, params))
    prices = [
        items.price_for(ctx, given, f"items[{number}]", inactive=inactive_prices)
        for number, given in enumerate(params["items"])
    ]
    trial_end = _trial_end(ctx, params, prices)
    shell |= anchors.fixed(ctx, params, prices, trial_end or ctx.now)
    made = [
        items.dressed(
            ctx,
            items.new_item(ctx, shell["id"], price, given, first_period(ctx, shell, price, trial_end)),
            given, customer["id"], f"items[{number}]",
        )
        for number, (price, given) in enumerate(zip(prices, params["items"], strict=True))
    ]  # fmt: skip
    items.check_together(made)
    shell |= items.with_items(shell, made) | {
        "currency": prices[0]["currency"],
        "trial_end": trial_end,
        "trial_start": ctx.now if trial_end else None,
        "_free_part": params.get("proration_behavior") == "none",
    }
    shell |= items.settled(ctx, shell, params) | lifecycle.cancellation(ctx, shell, params)
    shell |= items.with_items(shell, cutting.cut(ctx, shell)[0])
    return objects.create(ctx, "subscription", shell)


def first_period(ctx: Context, subscription: Doc, price: Doc, trial_end: int | None) -> Period:
    """From now to the end of the trial, or to the next boundary of the cycle."""
    if trial_end:
        return Period(ctx.now, trial_end)
    return Period(ctx.now, items.cycle_in(subscription, price).holding(ctx.now).end)


def _trial_end(ctx: Context, params: dict[str, Any], prices: list[Doc]) -> int | None:
    given = params.get("trial_end")
    if given == "now":
        return None
    if given is not None:
        if given <= ctx.now:
            raise ApiError("`trial_end` must be in the future.", param="trial_end")
        if given > ctx.now + LONGEST_TRIAL * DAY:
            raise ApiError("`trial_end` can be at most two years from now.", param="trial_end")
        return int(given)
    days = params.get("trial_period_days")
    if days is None and params.get("trial_from_plan"):
        days = prices[0]["recurring"]["trial_period_days"]
    return ctx.now + days * DAY if days else None


def _fields(ctx: Context, customer: Doc, params: dict[str, Any]) -> Doc:
    nothing = dict.fromkeys(
        ("application", "application_fee_percent", "billing_cycle_anchor_config", "billing_thresholds", "cancel_at",
         "canceled_at", "customer_account", "default_source", "ended_at", "latest_invoice",
         "next_pending_invoice_item_invoice", "on_behalf_of", "pause_collection", "pending_invoice_item_interval",
         "pending_setup_intent", "pending_update", "transfer_data")
    )  # fmt: skip
    payment = {**payment_settings.NOTHING, "save_default_payment_method": "off"}
    return nothing | {
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
        "billing_cycle_anchor": ctx.now,
        "billing_mode": billing_modes.chosen(params),
        "billing_schedules": [],
        "cancel_at_period_end": False,
        "cancellation_details": lifecycle.NOT_CANCELED,
        "collection_method": params.get("collection_method", "charge_automatically"),
        "currency": "",
        "customer": customer["id"],
        "days_until_due": params.get("days_until_due"),
        "default_payment_method": _default_payment_method(ctx, customer, params),
        "default_tax_rates": [],
        "description": params.get("description"),
        "discounts": [],
        "invoice_settings": {
            "account_tax_ids": None, "custom_fields": None, "description": None, "footer": None,
            "issuer": {"type": "self"},
        },
        "managed_payments": {"enabled": False},
        "metadata": merge_metadata({}, params.get("metadata")),
        "payment_settings": payment_settings.said(payment, params.get("payment_settings")),
        "schedule": params.get("schedule"),
        "start_date": backdating.start_of(ctx, params),
        "status": "incomplete",
        "test_clock": customer["test_clock"],
        "trial_settings": params.get("trial_settings")
        or {"end_behavior": {"missing_payment_method": "create_invoice"}},
    }  # fmt: skip


def _default_payment_method(ctx: Context, customer: Doc, params: dict[str, Any]) -> str | None:
    id = params.get("default_payment_method")
    return collection.owned_payment_method(ctx, customer["id"], id) if id else None


def first_invoice(ctx: Context, subscription: Doc, customer: Doc, proration_behavior: str) -> Doc | None:
    """The draft for the first period, with what was pending. Up to an anchor that was asked for, a part of a period is
    charged; with proration_behavior none it is free, and there is no line for it. None when there is nothing to put on
    it."""
    charged = []
    free = proration_behavior == "none"
    for item in subscription["items"]["data"]:
        if subscription["trial_end"] is not None:
            charged += items.lines_for(ctx, subscription, item, items.period_of(item), trial=True)
        elif not (free and lifecycle.is_part(subscription, item)):
            charged += lifecycle.period_lines(ctx, subscription, item, free=False)
        charged += [] if free else backdating.passed_lines(ctx, subscription, item)
        charged += usage_lines.opening(ctx, subscription, item)
    if not charged and not collection.take_pending(ctx, subscription):
        return None
    return lifecycle.subscription_invoice(ctx, subscription, customer, "subscription_create", charged)


def add_once(ctx: Context, subscription: Doc, given: dict[str, Any], path: str) -> None:
    """A one-time price on the first invoice."""
    price = _once_price(ctx, given, path)
    quantity, id = given.get("quantity", 1), new_id(ctx, "invoiceitem")
    held = discounts.put(
        ctx, given.get("discounts"), subscription["customer"], f"{path}[discounts]",
        purchase=items.purchase_of(ctx, [(price["id"], quantity)]), invoice_item=id,
    )  # fmt: skip
    collection.add_pending(
        ctx,
        {
            "id": id,
            "discounts": held,
            "tax_rates": tax_rates.named(ctx, given.get("tax_rates"), f"{path}[tax_rates]"),
            "amount": sums.price_amount(price, quantity),
            "currency": price["currency"],
            "customer": subscription["customer"],
            "description": items.product_name(ctx, price),
            "discountable": given.get("discountable", True),
            "metadata": given.get("metadata") or {},
            "parent": {
                "subscription_details": {"subscription": subscription["id"]},
                "type": "subscription_details",
            },
            "pricing": lines.price_pricing(price),
            "quantity": quantity,
        },
    )


def _once_price(ctx: Context, given: dict[str, Any], path: str) -> Doc:
    """The price named, or one made of `price_data`, which nothing else can use."""
    if "price_data" in given:
        objects.load(ctx, "product", given["price_data"]["product"], param=f"{path}[price_data][product]")
        return new_price(ctx, dict(given["price_data"]) | {"active": False})
    if "price" not in given:
        raise missing(f"{path}[price]")
    price = objects.load(ctx, "price", given["price"], param=f"{path}[price]")
    if price["type"] != "one_time":
        raise ApiError(
            "The price specified is set to `type=recurring` but this field only accepts prices with `type=one_time`.",
            param=f"{path}[price]",
        )
    return price


def _opened(ctx: Context, subscription: Doc, status: str) -> Doc:
    """Give the status, tell the world, plan what comes."""
    opened = lifecycle.changed(ctx, subscription, {"status": status, "_announced": True})
    objects.announce(ctx, "customer.subscription.created", opened)
    lifecycle.plan(ctx, opened)
    return opened


def _ask_for_card(ctx: Context, subscription: Doc) -> Doc:
    """Nothing is due yet, but something will be: a setup intent waits for a card."""
    wanted = {"customer": subscription["customer"], "_subscription": subscription["id"]}
    intent = setup_intents.new_setup_intent(ctx, wanted)
    return lifecycle.changed(ctx, subscription, {"pending_setup_intent": intent["id"]})


def _is_set_up(ctx: Context, intent: Doc) -> None:
    """Told by setup_intents: the card that a subscription waited for is there."""
    subscription = objects.find(ctx, "subscription", intent.get("_subscription"))
    if subscription is None or subscription["pending_setup_intent"] != intent["id"]:
        return
    changes: Doc = {"pending_setup_intent": None}
    if subscription["payment_settings"]["save_default_payment_method"] == "on_subscription":
        changes["default_payment_method"] = intent["payment_method"]
    lifecycle.updated(ctx, subscription, changes)


setup_intents.LISTENERS.append(_is_set_up)


def _paid_now(
    ctx: Context, subscription: Doc, invoice: Doc, payment_method: Doc | None, behavior: str, *, off_session: bool
) -> Doc:
    """Ask the bank while the subscription is not announced, so that it is born with its final status."""
    invoice, intent = collection.collect(ctx, invoice, payment_method, off_session=off_session)
    good = invoice["status"] == "paid" or intent["status"] == "processing"
    if not good and behavior == "error_if_incomplete":
        raise _refusal(payment_method, intent)
    status = "active" if good else "incomplete"
    return _opened(ctx, objects.load(ctx, "subscription", subscription["id"]), status)


def _refusal(payment_method: Doc | None, intent: Doc) -> ApiError:
    """Nothing of the attempt stays: error_if_incomplete creates no subscription."""
    if intent["status"] == "requires_action" or payment_method is None:
        return ApiError(
            "This payment requires additional user action before it can be completed successfully. Payment can be "
            "completed using the PaymentIntent associated with the subscription.",
            status=402, type="card_error", code="subscription_payment_intent_requires_action",
        )  # fmt: skip
    error = declined(card_of(payment_method))
    return ApiError(error.message, status=402, type="card_error", code=error.code, param=error.param, **error.fields)
