import json
from datetime import timedelta

import pytest
from django.utils import timezone
from djstripe import models as djstripe

from billing.inbox.models import InboxEvent, InboxState
from billing.inbox.replay import replay
from billing.mirror import asking
from billing.mirror.apply import mirror_due
from billing.mirror.fetch import fetch
from billing.mirror.kinds import Ref
from billing.mirror.raw import RawObject
from billing.mirror.write import Change
from billing.stripe_accounts import primary

pytestmark = pytest.mark.django_db


def refresh(ref: Ref) -> Change:
    return asking.refresh([ref], account=primary(), clock=timezone.now)[ref]


def test_a_deleted_customer_keeps_its_row_and_stripe_is_asked_to_delete_nothing(shop, mirror_events, methods):
    customer = shop.customer(name="Alice")
    mirror_events()
    shop.stripe.v1.customers.delete(customer.id)
    methods.clear()
    mirror_events()
    row = djstripe.Customer.objects.get()
    assert row.date_purged
    assert row.stripe_data["deleted"] is True
    assert row.stripe_data["name"] == "Alice"
    assert row.email == "alice@example.com"
    assert set(methods) == {"get"}


def test_a_late_update_of_a_deleted_customer_does_not_blank_it(shop, mirror_events):
    customer = shop.customer(name="Alice")
    shop.stripe.v1.customers.update(customer.id, {"name": "Alice B."})
    mirror_events()
    shop.stripe.v1.customers.delete(customer.id)
    mirror_events()
    purged = djstripe.Customer.objects.get().date_purged
    late = InboxEvent.objects.get(type="customer.updated")
    replay([late.pk], now=timezone.now())
    mirror_due(timezone.now, budget_seconds=10)
    late.refresh_from_db()
    row = djstripe.Customer.objects.get()
    assert late.state == InboxState.MIRRORED
    assert (row.stripe_data["name"], row.stripe_data["deleted"]) == ("Alice B.", True)
    assert row.date_purged == purged


def test_the_deletion_of_a_customer_that_was_never_mirrored_leaves_nothing_to_do(shop, mirror_events):
    shop.stripe.v1.customers.delete(shop.customer().id)
    mirror_events()
    assert not djstripe.Customer.objects.exists()
    assert set(InboxEvent.objects.values_list("state", flat=True)) == {InboxState.MIRRORED}


def test_a_deleted_product_is_inactive_and_its_prices_and_subscriptions_stay(shop, mirror_events, answer_with):
    price = shop.price(shop.product().id)
    customer = shop.customer()
    shop.give_card(customer.id)
    shop.subscription(customer.id, price.id)
    mirror_events()
    # Stripe refuses to delete a product with prices; its dashboard, and time, can make it gone all the same.
    answer_with(lambda _ref: None)
    assert refresh(Ref("product", price.product)) is Change.DELETED
    assert refresh(Ref("price", price.id)) is Change.DELETED
    product = djstripe.Product.objects.get()
    assert (product.active, product.stripe_data["active"], product.stripe_data["deleted"]) == (False, False, True)
    mirrored = djstripe.Price.objects.get()
    assert (mirrored.active, mirrored.stripe_data["deleted"]) == (False, True)
    assert mirrored.product == product
    assert djstripe.SubscriptionItem.objects.get().price == mirrored


def test_a_product_deleted_at_stripe_is_marked_by_its_event(shop, mirror_events):
    product = shop.product()
    mirror_events()
    shop.stripe.v1.products.delete(product.id)
    mirror_events()
    assert djstripe.Product.objects.get().active is False
    assert set(InboxEvent.objects.values_list("state", flat=True)) == {InboxState.MIRRORED}


def test_a_subscription_that_stripe_does_not_know_is_not_active_for_ever(shop, mirror_events, answer_with):
    price = shop.price(shop.product().id)
    customer = shop.customer()
    shop.give_card(customer.id)
    subscription = shop.subscription(customer.id, price.id)
    mirror_events()
    answer_with(lambda _ref: None)
    refresh(Ref("subscription", subscription.id))
    row = djstripe.Subscription.objects.get()
    assert (row.stripe_data["status"], row.stripe_data["deleted"]) == ("canceled", True)


def test_a_detached_payment_method_belongs_to_nobody(shop, mirror_events):
    customer = shop.customer()
    method = shop.give_card(customer.id)
    mirror_events()
    shop.stripe.v1.payment_methods.detach(method.id)
    mirror_events()
    assert djstripe.PaymentMethod.objects.get().customer is None
    assert djstripe.Customer.objects.get().default_payment_method is None


def test_a_key_of_another_account_does_not_read_as_if_everything_had_been_deleted(shop, mirror_events, use_key):
    product = shop.product()
    mirror_events()
    use_key("sk_test_51" + "Z" * 15 + "0" * 16)
    assert refresh(Ref("product", product.id)) is Change.REFUSED
    assert djstripe.Product.objects.get().active is True


def test_what_a_deleted_customer_left_behind_is_mirrored_and_the_customer_has_a_tombstone(shop, take_events):
    """An empty mirror, and a customer who is gone: Stripe still lists their subscription and invoices."""
    price = shop.price(shop.product().id)
    customer = shop.customer()
    shop.give_card(customer.id)
    subscription = shop.subscription(customer.id, price.id)
    shop.stripe.v1.customers.delete(customer.id)
    take_events()
    mirror_due(timezone.now, budget_seconds=20)
    row = djstripe.Subscription.objects.get(id=subscription.id)
    assert row.stripe_data["status"] == "canceled"
    assert row.customer.date_purged
    assert row.customer.stripe_data["deleted"] is True
    assert djstripe.Invoice.objects.get().customer == row.customer
    left = InboxEvent.objects.exclude(state__in=[InboxState.MIRRORED, InboxState.STORED])
    assert list(left.values_list("type", "error")) == []


def test_an_object_that_its_table_cannot_hold_is_kept_whole_beside_it(shop, mirror_events, answer_with):
    price = shop.price(shop.product().id)
    without_product = {**json.loads(str(price)), "product": None}
    answer_with(lambda ref: without_product if ref.kind == "price" else fetch(ref))
    mirror_events()
    assert not djstripe.Price.objects.filter(id=price.id).exists()
    assert RawObject.objects.get(id=price.id).stripe_data["unit_amount"] == 5000
    assert InboxEvent.objects.get(object_id=price.id).error == ""


def test_what_a_deleted_customer_paid_names_it_whichever_event_came_first(shop, take_events):
    """A charge that came after its customer's end would otherwise name nobody, and one that came before it, the
    customer: two mirrors of one company."""
    customer = shop.customer()
    given = {"amount": 900, "currency": "usd", "customer": customer.id, "payment_method": "pm_card_visa"}
    shop.stripe.v1.payment_intents.create({**given, "confirm": True, "off_session": True})
    shop.stripe.v1.customers.delete(customer.id)
    take_events()
    InboxEvent.objects.filter(object_kind="customer").update(due_at=timezone.now() + timedelta(hours=1))
    mirror_due(timezone.now, budget_seconds=10)
    assert djstripe.Charge.objects.get().customer_id == customer.id
    assert djstripe.PaymentIntent.objects.get().customer_id == customer.id
    assert djstripe.Customer.objects.get().stripe_data["deleted"] is True
