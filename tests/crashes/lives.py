"""Random lives of a company at Stripe: everything that people, cards and calendars do to it, in any order.

What Stripe refuses is left. The same seed makes the same choices.
"""

from collections.abc import Callable
from typing import Any

import httpx
import stripe as stripe_library

from tests.crashes.company import Company

DAY = 86_400
CARDS = [
    "pm_card_visa", "pm_card_visa", "pm_card_mastercard", "pm_card_chargeCustomerFail", "pm_card_createDispute",
    "pm_card_pendingRefund",
]  # fmt: skip


def live(company: Company, *, steps: int) -> None:
    """Do things, at random."""
    for _ in range(steps):
        act = company.chance.choice(ACTS)
        try:
            act(company)
        except (stripe_library.StripeError, IndexError, LookupError):
            continue
        company.done.append(act.__name__)


# --- what is sold ---------------------------------------------------------------------------------


def sell(company: Company) -> None:
    name = f"Plan {company.chance.random():.3f}"
    product = company.v1.products.create({"name": name})
    recurring = {"interval": company.chance.choice(["month", "month", "year"])}
    given = {"product": product.id, "currency": "jpy", "recurring": recurring}
    if company.chance.random() < 0.3:
        tiers = [{"up_to": 3, "unit_amount": 900}, {"up_to": "inf", "unit_amount": 500}]
        given |= {"billing_scheme": "tiered", "tiers_mode": "graduated", "tiers": tiers}
    else:
        given |= {"unit_amount": company.chance.randint(100, 9999)}
    company.products.append(product.id)
    company.prices.append(company.v1.prices.create(given).id)


def withdraw(company: Company) -> None:
    company.v1.prices.update(company.one(company.prices), {"active": company.chance.random() < 0.8})


def drop_product(company: Company) -> None:
    product = company.v1.products.create({"name": "Never sold"})
    company.v1.products.delete(product.id)


def give_coupon(company: Company) -> None:
    """Some under a name that somebody chose: it may be used in both modes, and again after a deletion."""
    given = {"percent_off": company.chance.randint(1, 60), "duration": "forever"}
    if company.chance.random() < 0.5:
        given["id"] = f"SPRING-{company.name}-{company.chance.randint(1, 3)}"
    coupon = company.v1.coupons.create(given)
    company.coupons.append(coupon.id)


def take_coupon_back(company: Company) -> None:
    coupon = company.one(company.coupons)
    company.coupons.remove(coupon)
    company.v1.coupons.delete(coupon)


def promote(company: Company) -> None:
    promotion = {"type": "coupon", "coupon": company.one(company.coupons)}
    company.promotions.append(company.v1.promotion_codes.create({"promotion": promotion}).id)


def end_promotion(company: Company) -> None:
    company.v1.promotion_codes.update(company.one(company.promotions), {"active": company.chance.random() < 0.3})


def retire_product(company: Company) -> None:
    """Off the shelves, or back; the plan of a price that nobody has bought is deleted, as older programs do it."""
    product = company.one(company.products)
    company.v1.products.update(product, {"active": company.chance.random() < 0.5})
    if company.chance.random() < 0.4:
        given = {"product": product, "currency": "jpy", "unit_amount": 100, "recurring": {"interval": "month"}}
        company.v1.plans.delete(company.v1.prices.create(given).id)


# --- customers ------------------------------------------------------------------------------------


def meet(company: Company) -> None:
    begin_with(company, {})


def meet_in_the_future(company: Company) -> None:
    """On a test clock, whose time is another."""
    clock = company.v1.test_helpers.test_clocks.create({"frozen_time": 1_800_000_000 + company.chance.randint(0, DAY)})
    company.clocks.append(clock.id)
    begin_with(company, {"test_clock": clock.id})


def begin_with(company: Company, more: dict[str, Any]) -> None:
    name = f"Alice {company.chance.random():.3f}"
    customer = company.v1.customers.create({"email": "alice@example.com", "name": name, **more})
    method = company.v1.payment_methods.attach(company.chance.choice(CARDS), {"customer": customer.id})
    company.v1.customers.update(customer.id, {"invoice_settings": {"default_payment_method": method.id}})
    company.customers.append(customer.id)


def rename(company: Company) -> None:
    company.v1.customers.update(company.one(company.customers), {"name": f"Bob {company.chance.random():.3f}"})


def change_card(company: Company) -> None:
    """Another card, and often the old one away."""
    customer = company.one(company.customers)
    old = company.v1.customers.payment_methods.list(customer).data
    method = company.v1.payment_methods.attach(company.chance.choice(CARDS), {"customer": customer})
    company.v1.customers.update(customer, {"invoice_settings": {"default_payment_method": method.id}})
    if old and company.chance.random() < 0.7:
        company.v1.payment_methods.detach(old[0].id)


def detach(company: Company) -> None:
    customer = company.one(company.customers)
    methods = company.v1.customers.payment_methods.list(customer).data
    company.v1.payment_methods.detach(company.chance.choice(methods).id)


def discount_customer(company: Company) -> None:
    company.v1.customers.update(company.one(company.customers), {"coupon": company.one(company.coupons)})


def end_discount(company: Company) -> None:
    company.v1.customers.delete_discount(company.one(company.customers))


def tax_number(company: Company) -> None:
    customer = company.one(company.customers)
    number = company.v1.customers.tax_ids.create(customer, {"type": "eu_vat", "value": "DE123456789"})
    if company.chance.random() < 0.5:
        company.v1.customers.tax_ids.delete(customer, number.id)


def credit(company: Company) -> None:
    given = {"amount": company.chance.randint(-900, 900), "currency": "jpy"}
    company.v1.customers.balance_transactions.create(company.one(company.customers), given)


def forget(company: Company) -> None:
    customer = company.one(company.customers)
    company.customers.remove(customer)
    company.v1.customers.delete(customer)


def save_card(company: Company) -> None:
    given = {"customer": company.one(company.customers), "payment_method": "pm_card_visa", "confirm": True}
    intent = company.v1.setup_intents.create(given | {"return_url": "https://example.com/"})
    if intent.status != "succeeded":
        company.v1.setup_intents.cancel(intent.id)


# --- subscriptions --------------------------------------------------------------------------------


def subscribe(company: Company) -> None:
    prices = company.chance.sample(company.prices, k=min(len(company.prices), company.chance.randint(1, 2)))
    given: dict[str, Any] = {
        "customer": company.one(company.customers),
        "items": [{"price": price} for price in prices],
        "payment_behavior": "allow_incomplete",
    }
    if company.chance.random() < 0.2:
        given["trial_period_days"] = company.chance.randint(1, 30)
    if company.chance.random() < 0.2:
        given |= {"collection_method": "send_invoice", "days_until_due": 7}
    if company.coupons and company.chance.random() < 0.3:
        given["discounts"] = [{"coupon": company.one(company.coupons)}]
    company.subscriptions.append(company.v1.subscriptions.create(given).id)


def change(company: Company) -> None:
    subscription = company.living_subscription()
    item = subscription["items"].data[0].id
    given = {"items": [{"id": item, "quantity": company.chance.randint(1, 9)}]}
    company.v1.subscriptions.update(subscription.id, given)


def exchange_item(company: Company) -> None:
    """One item away, another in its place: in one call."""
    subscription = company.living_subscription()
    gone = {"id": subscription["items"].data[0].id, "deleted": True}
    company.v1.subscriptions.update(subscription.id, {"items": [gone, {"price": company.one(company.prices)}]})


def add_or_remove_item(company: Company) -> None:
    subscription = company.living_subscription()
    items = subscription["items"].data
    if len(items) > 1 and company.chance.random() < 0.5:
        company.v1.subscription_items.delete(items[-1].id)
    else:
        company.v1.subscription_items.create({"subscription": subscription.id, "price": company.one(company.prices)})


def leave(company: Company) -> None:
    given = {"cancel_at_period_end": company.chance.random() < 0.7}
    company.v1.subscriptions.update(company.living_subscription().id, given)


def cancel(company: Company) -> None:
    company.v1.subscriptions.cancel(company.living_subscription().id)


def pause(company: Company) -> None:
    given = {"pause_collection": {"behavior": "void"} if company.chance.random() < 0.6 else ""}
    company.v1.subscriptions.update(company.living_subscription().id, given)


def discount_subscription(company: Company) -> None:
    subscription = company.living_subscription().id
    if company.chance.random() < 0.4:
        company.v1.subscriptions.delete_discount(subscription)
    else:
        company.v1.subscriptions.update(subscription, {"discounts": [{"coupon": company.one(company.coupons)}]})


def plan_ahead(company: Company) -> None:
    schedule = company.v1.subscription_schedules.create({"from_subscription": company.living_subscription().id})
    company.schedules.append(schedule.id)
    phase = schedule.phases[0]
    items = [{"price": item.price, "quantity": item.quantity} for item in phase["items"]]
    now = {"items": items, "start_date": phase.start_date, "end_date": phase.end_date}
    later = {"items": [{"price": company.one(company.prices)}], "duration": {"interval": "month", "interval_count": 1}}
    company.v1.subscription_schedules.update(schedule.id, {"phases": [now, later]})


def end_plan(company: Company) -> None:
    schedule = company.one(company.schedules)
    company.schedules.remove(schedule)
    if company.chance.random() < 0.5:
        company.v1.subscription_schedules.release(schedule)
    else:
        company.v1.subscription_schedules.cancel(schedule)


# --- invoices and money ---------------------------------------------------------------------------


def long_invoice(company: Company) -> None:
    """One with more lines than an event shows."""
    customer = company.one(company.customers)
    for number in range(company.chance.randint(11, 23)):
        item = {"customer": customer, "currency": "jpy", "amount": 100 + number, "description": f"Line {number}"}
        made = company.v1.invoice_items.create(item)
        if company.chance.random() < 0.1:
            company.v1.invoice_items.delete(made.id)
    bill(company, customer)


def short_invoice(company: Company) -> None:
    customer = company.one(company.customers)
    amount = company.chance.randint(100, 5000)
    company.v1.invoice_items.create({"customer": customer, "currency": "jpy", "amount": amount})
    bill(company, customer)


def bill(company: Company, customer: str) -> None:
    how = company.chance.choice([{}, {"collection_method": "send_invoice", "days_until_due": 5}])
    given = {"customer": customer, "pending_invoice_items_behavior": "include", "auto_advance": False}
    given |= {"currency": "jpy", **how}
    invoice = company.v1.invoices.create(given)
    company.invoices.append(invoice.id)
    lot = company.chance.random()
    if lot < 0.15:
        company.v1.invoices.delete(invoice.id)
        return
    if lot < 0.9:
        company.v1.invoices.finalize_invoice(invoice.id)
    if lot < 0.6:
        company.v1.invoices.pay(invoice.id)


def rewrite_draft(company: Company) -> None:
    """Lines on, lines away, lines changed; or the draft away."""
    drafts = company.v1.invoices.list({"limit": 20, "status": "draft"}).data
    draft = company.chance.choice([each for each in drafts if each.billing_reason == "manual"])
    lot, lines = company.chance.random(), company.v1.invoices.line_items.list(draft.id, {"limit": 100}).data
    if lot < 0.3:
        added = [{"amount": 100 + number, "description": "More"} for number in range(company.chance.randint(1, 12))]
        company.v1.invoices.add_lines(draft.id, {"lines": added})
    elif lot < 0.5:
        taken = company.chance.sample(lines, k=max(1, len(lines) // 3))
        behavior = company.chance.choice(["delete", "unassign"])
        company.v1.invoices.remove_lines(draft.id, {"lines": [{"id": one.id, "behavior": behavior} for one in taken]})
    elif lot < 0.7:
        company.v1.invoices.line_items.update(draft.id, company.chance.choice(lines).id, {"description": "Changed"})
    else:
        company.v1.invoices.delete(draft.id)


def settle_invoice(company: Company) -> None:
    invoice = company.chance.choice(company.v1.invoices.list({"limit": 20, "status": "open"}).data).id
    verbs = company.v1.invoices
    company.chance.choice([verbs.pay, verbs.pay, verbs.void_invoice, verbs.mark_uncollectible])(invoice)


def give_credit_note(company: Company) -> None:
    paid = company.v1.invoices.list({"limit": 30, "status": "paid"}).data
    invoice = company.chance.choice([invoice.id for invoice in paid if invoice.amount_paid > 100])
    note = company.v1.credit_notes.create({"invoice": invoice, "amount": 50, "credit_amount": 50})
    if company.chance.random() < 0.3:
        company.v1.credit_notes.void_credit_note(note.id)


def refund(company: Company) -> None:
    charges = company.v1.charges.list({"limit": 20}).data
    given = {"charge": company.chance.choice(charges).id, "amount": company.chance.randint(1, 99)}
    company.v1.refunds.create(given)


def take_refund_back(company: Company) -> None:
    """One that waits for the customer's bank, or is only noted upon."""
    refund = company.chance.choice(company.v1.refunds.list({"limit": 20}).data).id
    if company.chance.random() < 0.5:
        company.v1.refunds.cancel(refund)
    else:
        company.v1.refunds.update(refund, {"metadata": {"note": f"{company.chance.random():.3f}"}})


def pay_once(company: Company) -> None:
    given = {
        "amount": company.chance.randint(100, 5000),
        "currency": "jpy",
        "customer": company.one(company.customers),
        "payment_method": company.chance.choice(["pm_card_visa", "pm_card_createDispute", "pm_card_chargeDeclined"]),
        "capture_method": company.chance.choice(["automatic", "manual"]),
        "confirm": True,
        "off_session": True,
    }
    intent = company.v1.payment_intents.create(given)
    if intent.status == "requires_capture":
        verbs = company.v1.payment_intents
        company.chance.choice([verbs.capture, verbs.cancel])(intent.id)


def settle_dispute(company: Company) -> None:
    dispute = company.chance.choice(company.v1.disputes.list({"limit": 20}).data).id
    if company.chance.random() < 0.5:
        company.v1.disputes.close(dispute)
    else:
        company.v1.disputes.update(dispute, {"evidence": {"product_description": "A plan"}, "submit": False})


def shop(company: Company) -> None:
    given = {
        "mode": "subscription",
        "customer": company.one(company.customers),
        "line_items": [{"price": company.one(company.prices), "quantity": 1}],
        "success_url": "https://example.com/",
    }
    session = company.v1.checkout.sessions.create(given)
    if company.chance.random() < 0.5:
        company.v1.checkout.sessions.expire(session.id)


# --- time -----------------------------------------------------------------------------------------


def pass_time(company: Company) -> None:
    """One clock goes on: renewals, failed payments, ends of trials, phases, cancellations."""
    clock = company.v1.test_helpers.test_clocks.retrieve(company.one(company.clocks))
    to = clock.frozen_time + company.chance.choice([1, 9, 33, 58]) * DAY
    address = f"{company.sandbox}/_sandbox/test_clocks/{clock.id}/advance"
    headers = {"Authorization": f"Bearer {company.stripe._requestor.api_key}"}
    httpx.post(address, json={"to": to}, headers=headers, timeout=60, trust_env=False)


def end_time(company: Company) -> None:
    """A clock is deleted, with its customers and all that they had."""
    clock = company.one(company.clocks)
    company.clocks.remove(clock)
    company.v1.test_helpers.test_clocks.delete(clock)


ACTS: list[Callable[[Company], None]] = [
    sell, sell, withdraw, drop_product, give_coupon, give_coupon, give_coupon, take_coupon_back, promote,
    promote, end_promotion, retire_product,
    meet, meet, meet_in_the_future, meet_in_the_future, rename, change_card, detach,
    discount_customer, discount_customer, end_discount,
    tax_number, credit, forget, save_card,
    subscribe, subscribe, subscribe, subscribe, change, change, exchange_item, add_or_remove_item, leave, cancel, pause,
    discount_subscription, plan_ahead, plan_ahead, end_plan,
    long_invoice, short_invoice, rewrite_draft, settle_invoice, give_credit_note, refund, take_refund_back,
    pay_once, settle_dispute, shop,
    pass_time, pass_time, pass_time, end_time,
]  # fmt: skip
