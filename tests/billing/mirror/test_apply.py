import pytest
from djstripe import models as djstripe

from billing.inbox.models import InboxEvent, InboxState

pytestmark = pytest.mark.django_db


def states() -> set[str]:
    return set(InboxEvent.objects.values_list("state", flat=True))


def test_an_event_brings_its_object_and_the_objects_it_refers_to_into_the_mirror(shop, mirror_events):
    price = shop.price(shop.product("Pro").id)
    customer = shop.customer()
    shop.give_card(customer.id)
    subscription = shop.subscription(customer.id, price.id)
    mirror_events()
    mirrored = djstripe.Subscription.objects.get(id=subscription.id)
    assert mirrored.stripe_data["status"] == "active"
    assert mirrored.customer_id == customer.id
    assert mirrored.items.get().price.product.name == "Pro"
    assert states() <= {InboxState.MIRRORED, InboxState.STORED}


def test_a_customer_and_its_default_payment_method_refer_to_each_other_and_both_are_mirrored(shop, mirror_events):
    customer = shop.customer()
    shop.give_card(customer.id)
    mirror_events()
    mirrored = djstripe.Customer.objects.get(id=customer.id)
    assert mirrored.default_payment_method.customer == mirrored
    assert states() == {InboxState.MIRRORED}


def test_no_api_key_is_ever_written_and_the_account_is_asked_for_once(shop, mirror_events, stripe_key):
    for name in ("Pro", "Team"):
        shop.product(name)
    mirror_events()
    assert djstripe.APIKey.objects.count() == 0
    account = djstripe.Account.objects.get()
    assert {product.djstripe_owner_account_id for product in djstripe.Product.objects.all()} == {account.id}
