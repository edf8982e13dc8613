"""Subscriptions: how they begin, change and end, through the official library."""

from typing import Any

import pytest
import stripe

from tests.sandbox.shop import customer, plan, subscribed, types

BACK = "http://shop.example/back"


def item_of(subscription: Any) -> Any:
    return subscription["items"].data[0]


def test_a_customer_with_a_card_is_charged_at_once(v1: Any) -> None:
    price = plan(v1, 3000)
    subscription = v1.subscriptions.create(
        {
            "customer": customer(v1),
            "items": [{"price": price, "quantity": 2}],
            "metadata": {"order": "7"},
            "expand": ["latest_invoice.payments"],
        }
    )
    invoice = subscription.latest_invoice
    assert (subscription.status, invoice.status, invoice.amount_paid) == ("active", "paid", 6000)
    assert invoice.billing_reason == "subscription_create"
    assert invoice.parent.subscription_details.subscription == subscription.id
    assert invoice.parent.subscription_details.metadata.to_dict() == {"order": "7"}
    [line] = invoice.lines.data
    assert line.description == "2 × Pro (at ¥3,000 / month)"
    assert line.pricing.price_details.price == price
    assert line.parent.subscription_item_details.subscription_item == item_of(subscription).id
    assert (line.period.start, line.period.end) == (
        item_of(subscription).current_period_start,
        item_of(subscription).current_period_end,
    )
    paid_by = v1.payment_intents.retrieve(invoice.payments.data[0].payment.payment_intent)
    assert paid_by.status == "succeeded"


def test_it_is_announced_once_with_the_status_it_was_born_with(v1: Any) -> None:
    subscribed(v1)
    told = types(v1)
    assert told.count("customer.subscription.created") == 1
    assert "customer.subscription.updated" not in told
    order = ["invoice.created", "invoice.finalized", "payment_intent.succeeded", "invoice.paid"]
    assert [type for type in told if type in order] == order
    [created] = v1.events.list({"type": "customer.subscription.created"}).data
    assert created.data.object.status == "active"


def test_without_a_card_there_is_nothing_to_charge(v1: Any) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        subscribed(v1, card=None)
    assert refused.value.code == "resource_missing"
    assert "no attached payment source or default payment method" in str(refused.value)
    assert v1.subscriptions.list({"status": "all"}).data == []


def test_default_incomplete_waits_for_the_client_and_then_is_active(v1: Any) -> None:
    subscription = subscribed(
        v1,
        card=None,
        payment_behavior="default_incomplete",
        payment_settings={"save_default_payment_method": "on_subscription"},
        expand=["latest_invoice.confirmation_secret", "latest_invoice.payments"],
    )
    assert (subscription.status, subscription.latest_invoice.status) == ("incomplete", "open")
    intent_id = subscription.latest_invoice.payments.data[0].payment.payment_intent
    secret = subscription.latest_invoice.confirmation_secret.client_secret
    assert secret.startswith(f"{intent_id}_secret_")
    v1.payment_intents.confirm(intent_id, {"payment_method": "pm_card_visa", "return_url": BACK})
    after = v1.subscriptions.retrieve(subscription.id, {"expand": ["latest_invoice"]})
    assert (after.status, after.latest_invoice.status) == ("active", "paid")
    assert after.default_payment_method.startswith("pm_")
    [update] = v1.events.list({"type": "customer.subscription.updated"}).data
    assert update.data.previous_attributes.status == "incomplete"


def test_allow_incomplete_keeps_a_subscription_whose_card_fails(v1: Any) -> None:
    subscription = subscribed(v1, card="pm_card_chargeCustomerFail", expand=["latest_invoice"])
    assert (subscription.status, subscription.latest_invoice.status) == ("incomplete", "open")
    assert subscription.latest_invoice.attempt_count == 1
    assert "invoice.payment_failed" in types(v1)


def test_error_if_incomplete_leaves_nothing_behind(v1: Any) -> None:
    with pytest.raises(stripe.CardError) as refused:
        subscribed(v1, card="pm_card_chargeCustomerFail", payment_behavior="error_if_incomplete")
    assert (refused.value.http_status, refused.value.code) == (402, "card_declined")
    assert v1.subscriptions.list({"status": "all"}).data == []
    assert v1.invoices.list().data == []


def test_a_card_that_wants_a_challenge_leaves_it_incomplete(v1: Any) -> None:
    subscription = subscribed(v1, card="pm_card_authenticationRequired")
    assert subscription.status == "incomplete"
    assert "invoice.payment_action_required" in types(v1)


def test_a_trial_begins_without_a_charge(v1: Any) -> None:
    subscription = subscribed(v1, card=None, trial_period_days=7, expand=["latest_invoice"])
    assert subscription.status == "trialing"
    assert (subscription.latest_invoice.status, subscription.latest_invoice.amount_due) == ("paid", 0)
    assert subscription.latest_invoice.lines.data[0].description == "Trial period for Pro"
    assert subscription.trial_end - subscription.trial_start == 7 * 24 * 3600
    assert item_of(subscription).current_period_end == subscription.trial_end
    assert subscription.billing_cycle_anchor == subscription.trial_end


def test_ending_a_trial_now_charges_and_starts_the_period(v1: Any) -> None:
    subscription = subscribed(v1, trial_period_days=7)
    ended = v1.subscriptions.update(subscription.id, {"trial_end": "now", "expand": ["latest_invoice"]})
    assert (ended.status, ended.latest_invoice.amount_paid) == ("active", 3000)
    assert item_of(ended).current_period_start == ended.billing_cycle_anchor


def test_send_invoice_is_active_before_it_is_paid(v1: Any) -> None:
    subscription = subscribed(
        v1, card=None, collection_method="send_invoice", days_until_due=14, expand=["latest_invoice"]
    )
    invoice = subscription.latest_invoice
    assert (subscription.status, invoice.status) == ("active", "draft")
    assert invoice.due_date - invoice.created == 14 * 24 * 3600


@pytest.mark.parametrize(
    ("params", "param", "words"),
    [
        ({"items": [{"price": "price_x"}]}, "items[0][price]", "No such price: 'price_x'"),
        ({"items": []}, "items", "Missing required param: items."),
        ({"items": [{"quantity": "1"}]}, "items[0][price]", "Missing required param: items[0][price]."),
        ({"days_until_due": 3}, "days_until_due", "You can only set `days_until_due`"),
        ({"collection_method": "send_invoice"}, "days_until_due", "You must pass a `days_until_due`"),
        ({"payment_behavior": "pending_if_incomplete"}, "payment_behavior", "has no effect when creating"),
        ({"trial_end": 1}, "trial_end", "`trial_end` must be in the future."),
        ({"default_payment_method": "pm_x"}, "default_payment_method", "No such PaymentMethod: 'pm_x'"),
        ({"colour": "red"}, "colour", "Received unknown parameter: colour"),
    ],
)
def test_bad_input_is_refused_in_stripes_words(v1: Any, params: dict[str, Any], param: str, words: str) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        subscribed(v1, **params)
    assert refused.value.param == param
    assert words in str(refused.value)


def test_a_one_time_price_cannot_be_subscribed_to(v1: Any) -> None:
    product = v1.products.create({"name": "Hat"})
    price = v1.prices.create({"product": product.id, "currency": "jpy", "unit_amount": 100})
    with pytest.raises(stripe.InvalidRequestError, match="type=recurring"):
        subscribed(v1, price.id)


def test_an_inactive_price_cannot_be_subscribed_to(v1: Any) -> None:
    price = plan(v1)
    v1.prices.update(price, {"active": False})
    with pytest.raises(stripe.InvalidRequestError, match="inactive"):
        subscribed(v1, price)


def test_the_same_price_cannot_stand_in_it_twice(v1: Any) -> None:
    price = plan(v1)
    with pytest.raises(stripe.InvalidRequestError, match="same Price"):
        v1.subscriptions.create({"customer": customer(v1), "items": [{"price": price}, {"price": price}]})


def test_an_upgrade_invoiced_at_once_charges_the_difference(v1: Any) -> None:
    subscription = subscribed(v1, plan(v1, 3000))
    dearer = plan(v1, 9000, name="Business")
    changed = v1.subscriptions.update(
        subscription.id,
        {
            "items": [{"id": item_of(subscription).id, "price": dearer}],
            "proration_behavior": "always_invoice",
            "proration_date": item_of(subscription).current_period_start,
            "expand": ["latest_invoice"],
        },
    )
    invoice = changed.latest_invoice
    assert (invoice.billing_reason, invoice.status) == ("subscription_update", "paid")
    credit, charge = invoice.lines.data
    assert (credit.amount, credit.description.split(" after")[0]) == (-3000, "Unused time on Pro")
    assert (charge.amount, charge.description.split(" after")[0]) == (9000, "Remaining time on Business")
    assert credit.parent.subscription_item_details.proration is True
    assert item_of(changed).id == item_of(subscription).id
    assert item_of(changed).current_period_end == item_of(subscription).current_period_end


def test_prorations_wait_for_the_next_invoice_unless_told_otherwise(v1: Any) -> None:
    subscription = subscribed(v1)
    item = item_of(subscription)
    change = {"items": [{"id": item.id, "quantity": 3}], "proration_date": item.current_period_start}
    changed = v1.subscriptions.update(subscription.id, change)
    assert changed.latest_invoice == subscription.latest_invoice
    waiting = v1.invoice_items.list({"customer": subscription.customer, "pending": True}).data
    assert sorted(item.amount for item in waiting) == [-3000, 9000]
    preview = v1.invoices.create_preview({"subscription": subscription.id})
    assert preview.amount_due == 6000 + 9000
    assert preview.id.startswith("upcoming_in_")


def test_no_proration_is_made_where_none_is_wanted(v1: Any) -> None:
    subscription = subscribed(v1)
    v1.subscriptions.update(
        subscription.id,
        {"items": [{"id": item_of(subscription).id, "quantity": 3}], "proration_behavior": "none"},
    )
    assert v1.invoice_items.list({"customer": subscription.customer}).data == []


def test_a_preview_changes_nothing(v1: Any) -> None:
    subscription = subscribed(v1)
    before = types(v1)
    preview = v1.invoices.create_preview(
        {
            "subscription": subscription.id,
            "subscription_details": {
                "items": [{"id": item_of(subscription).id, "quantity": 2}],
                "proration_behavior": "always_invoice",
                "proration_date": item_of(subscription).current_period_start,
            },
        }
    )
    assert preview.amount_due == 3000
    assert types(v1) == before
    assert item_of(v1.subscriptions.retrieve(subscription.id)).quantity == 1
    assert len(v1.invoices.list({"subscription": subscription.id}).data) == 1


def test_another_interval_starts_a_new_cycle_and_is_charged_at_once(v1: Any) -> None:
    subscription = subscribed(v1, plan(v1, 3000))
    yearly = plan(v1, 30000, interval="year")
    changed = v1.subscriptions.update(
        subscription.id,
        {"items": [{"id": item_of(subscription).id, "price": yearly}], "expand": ["latest_invoice"]},
    )
    assert changed.latest_invoice.amount_paid == 27000
    assert item_of(changed).current_period_end - item_of(changed).current_period_start >= 365 * 24 * 3600


def test_cancel_at_period_end_can_be_taken_back(v1: Any) -> None:
    subscription = subscribed(v1)
    leaving = v1.subscriptions.update(
        subscription.id, {"cancel_at_period_end": True, "cancellation_details": {"feedback": "unused"}}
    )
    assert leaving.cancel_at == item_of(subscription).current_period_end
    assert (leaving.cancellation_details.reason, leaving.cancellation_details.feedback) == (
        "cancellation_requested",
        "unused",
    )
    assert leaving.status == "active"
    staying = v1.subscriptions.update(subscription.id, {"cancel_at_period_end": False})
    assert (staying.cancel_at, staying.canceled_at, staying.cancellation_details.reason) == (None, None, None)
    back, gone = v1.events.list({"type": "customer.subscription.updated"}).data
    assert gone.data.previous_attributes.cancel_at_period_end is False
    assert back.data.previous_attributes.cancel_at_period_end is True


def test_a_canceled_subscription_is_over(v1: Any) -> None:
    subscription = subscribed(v1)
    ended = v1.subscriptions.cancel(subscription.id)
    assert (ended.status, ended.cancellation_details.reason) == ("canceled", "cancellation_requested")
    assert types(v1)[-1] == "customer.subscription.deleted"
    with pytest.raises(stripe.InvalidRequestError, match="No such subscription"):
        v1.subscriptions.cancel(subscription.id)
    with pytest.raises(stripe.InvalidRequestError, match="A canceled subscription can only update"):
        v1.subscriptions.update(subscription.id, {"cancel_at_period_end": True})


def test_canceling_with_a_credit_invoices_what_is_owed_back(v1: Any) -> None:
    subscription = subscribed(v1)
    v1.subscriptions.cancel(subscription.id, {"prorate": True, "invoice_now": True})
    last = v1.invoices.list({"subscription": subscription.id}).data[0]
    assert (last.total, last.amount_due, last.status, last.ending_balance) == (-3000, 0, "paid", -3000)
    assert v1.customers.retrieve(subscription.customer).balance == -3000


def test_an_incomplete_one_expires_when_canceled_and_its_invoice_is_void(v1: Any) -> None:
    subscription = subscribed(v1, card=None, payment_behavior="default_incomplete")
    ended = v1.subscriptions.cancel(subscription.id)
    assert ended.status == "incomplete_expired"
    assert v1.invoices.retrieve(subscription.latest_invoice).status == "void"


def test_a_deleted_customers_subscriptions_end(v1: Any) -> None:
    subscription = subscribed(v1)
    v1.customers.delete(subscription.customer)
    assert v1.subscriptions.retrieve(subscription.id).status == "canceled"


def test_lists_are_narrowed_by_customer_price_and_status(v1: Any) -> None:
    price = plan(v1)
    first, second = subscribed(v1, price), subscribed(v1)
    v1.subscriptions.cancel(second.id)
    assert [found.id for found in v1.subscriptions.list().data] == [first.id]
    assert [found.id for found in v1.subscriptions.list({"status": "all"}).data] == [second.id, first.id]
    assert [found.id for found in v1.subscriptions.list({"status": "canceled"}).data] == [second.id]
    assert [found.id for found in v1.subscriptions.list({"price": price}).data] == [first.id]
    assert [found.id for found in v1.subscriptions.list({"customer": first.customer}).data] == [first.id]


def test_items_are_added_changed_and_removed_by_themselves(v1: Any) -> None:
    subscription = subscribed(v1)
    seats = v1.subscription_items.create(
        {"subscription": subscription.id, "price": plan(v1, 500, name="Seat"), "quantity": 4}
    )
    assert len(v1.subscription_items.list({"subscription": subscription.id}).data) == 2
    assert v1.subscription_items.update(seats.id, {"quantity": 5}).quantity == 5
    assert v1.subscription_items.retrieve(seats.id).price.unit_amount == 500
    assert v1.subscription_items.delete(seats.id).deleted is True
    with pytest.raises(stripe.InvalidRequestError) as gone:
        v1.subscription_items.retrieve(seats.id)
    assert str(gone.value).endswith(f"Invalid subscription_item id: {seats.id}")
    with pytest.raises(stripe.InvalidRequestError, match="at least one active plan"):
        v1.subscription_items.delete(item_of(subscription).id)


def test_a_new_default_card_is_the_one_that_pays(v1: Any) -> None:
    subscription = subscribed(v1)
    card = v1.payment_methods.attach("pm_card_mastercard", {"customer": subscription.customer})
    changed = v1.subscriptions.update(
        subscription.id, {"default_payment_method": card.id, "expand": ["default_payment_method"]}
    )
    assert changed.default_payment_method.card.brand == "mastercard"


def test_somebody_elses_card_cannot_be_the_default(v1: Any) -> None:
    subscription = subscribed(v1)
    other = v1.payment_methods.attach("pm_card_visa", {"customer": customer(v1, None)})
    with pytest.raises(stripe.InvalidRequestError, match="must be attached to the customer"):
        v1.subscriptions.update(subscription.id, {"default_payment_method": other.id})


def test_a_free_plan_needs_no_card(v1: Any) -> None:
    assert subscribed(v1, plan(v1, 0), card=None).status == "active"


def test_a_trial_without_a_card_waits_for_one(v1: Any) -> None:
    subscription = subscribed(
        v1,
        card=None,
        trial_period_days=7,
        payment_settings={"save_default_payment_method": "on_subscription"},
        expand=["pending_setup_intent"],
    )
    waiting = subscription.pending_setup_intent
    assert waiting.client_secret.startswith(waiting.id)
    v1.setup_intents.confirm(waiting.id, {"payment_method": "pm_card_visa", "return_url": BACK})
    after = v1.subscriptions.retrieve(subscription.id)
    assert after.pending_setup_intent is None
    assert after.default_payment_method.startswith("pm_")


def test_a_client_that_meets_a_challenge_makes_the_invoice_say_so(v1: Any) -> None:
    subscription = subscribed(v1, card=None, payment_behavior="default_incomplete", expand=["latest_invoice.payments"])
    intent_id = subscription.latest_invoice.payments.data[0].payment.payment_intent
    v1.payment_intents.confirm(intent_id, {"payment_method": "pm_card_authenticationRequired", "return_url": BACK})
    assert "invoice.payment_action_required" in types(v1)


def test_prices_in_it_are_shown_as_they_are_now(v1: Any) -> None:
    price = plan(v1)
    subscription = subscribed(v1, price)
    v1.prices.update(price, {"nickname": "Old Pro", "active": False})
    for shown in (v1.subscriptions.retrieve(subscription.id), v1.subscriptions.list().data[0]):
        assert (item_of(shown).price.nickname, item_of(shown).price.active) == ("Old Pro", False)


def test_a_customer_is_expanded_to_its_running_subscriptions(v1: Any) -> None:
    subscription = subscribed(v1)
    shown = v1.customers.retrieve(subscription.customer, {"expand": ["subscriptions"]})
    assert [found.id for found in shown.subscriptions.data] == [subscription.id]


def test_a_trial_that_ends_without_a_card_may_pause_and_be_resumed(v1: Any) -> None:
    settings = {"end_behavior": {"missing_payment_method": "pause"}}
    subscription = subscribed(v1, card=None, trial_period_days=7, trial_settings=settings)
    assert v1.subscriptions.update(subscription.id, {"trial_end": "now"}).status == "paused"
    card = v1.payment_methods.attach("pm_card_visa", {"customer": subscription.customer})
    v1.customers.update(subscription.customer, {"invoice_settings": {"default_payment_method": card.id}})
    resumed = v1.subscriptions.resume(subscription.id, {"expand": ["latest_invoice"]})
    assert (resumed.status, resumed.latest_invoice.amount_paid) == ("active", 3000)
    told = types(v1)
    assert told.count("customer.subscription.paused") == told.count("customer.subscription.resumed") == 1
    with pytest.raises(stripe.InvalidRequestError, match="You can only resume a subscription if it is `paused`"):
        v1.subscriptions.resume(subscription.id)


def test_resuming_with_a_card_that_fails_leaves_it_paused(v1: Any) -> None:
    settings = {"end_behavior": {"missing_payment_method": "pause"}}
    subscription = subscribed(v1, card=None, trial_period_days=7, trial_settings=settings)
    v1.subscriptions.update(subscription.id, {"trial_end": "now"})
    card = v1.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": subscription.customer})
    v1.customers.update(subscription.customer, {"invoice_settings": {"default_payment_method": card.id}})
    assert v1.subscriptions.resume(subscription.id).status == "paused"


def test_ending_a_trial_now_without_a_card_is_refused(v1: Any) -> None:
    subscription = subscribed(v1, card=None, trial_period_days=7)
    with pytest.raises(stripe.InvalidRequestError, match="no attached payment source"):
        v1.subscriptions.update(subscription.id, {"trial_end": "now"})
    assert v1.subscriptions.retrieve(subscription.id).status == "trialing"


def test_an_item_cannot_be_added_after_the_end(v1: Any) -> None:
    subscription = subscribed(v1)
    v1.subscriptions.cancel(subscription.id)
    with pytest.raises(stripe.InvalidRequestError, match="No such subscription") as refused:
        v1.subscription_items.create({"subscription": subscription.id, "price": plan(v1)})
    assert refused.value.http_status == 404
