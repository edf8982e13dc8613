"""Objects that events alone tell: a customer's entitlements, which are but a list, and what Stripe answers nowhere."""

from typing import Any

import pytest
from django.utils import timezone
from djstripe import models as djstripe

from billing.inbox.intake import store_event
from billing.inbox.models import Door, InboxEvent, InboxState
from billing.mirror.apply import mirror_due
from tests.billing.events import an_event

pytestmark = pytest.mark.django_db
SECOND = 1_767_225_600


def features_of_a_product(shop, number: int) -> str:
    """A price whose product gives so many features."""
    product = shop.product()
    for n in range(number):
        feature = shop.stripe.v1.entitlements.features.create({"name": f"F{n}", "lookup_key": f"f{n}"})
        shop.stripe.v1.products.features.create(product.id, {"entitlement_feature": feature.id})
    price: str = shop.price(product.id).id
    return price


def summary(customer: str, number: int, *entitlements: Any, has_more: bool = False) -> dict[str, Any]:
    """An event of the very second that tells what the customer may use."""
    rows = [dict(one.to_dict()) for one in entitlements]
    listed = {"object": "list", "data": rows, "has_more": has_more, "url": f"/v1/customer/{customer}/entitlements"}
    told = {"object": "entitlements.active_entitlement_summary", "customer": customer, "entitlements": listed}
    kind = "entitlements.active_entitlement_summary.updated"
    return an_event(id=f"evt_{number}", type=kind, data={"object": {**told, "livemode": False}})


def tell(*events: dict[str, Any], together: bool) -> None:
    for number, event in enumerate(events):
        store_event(event, door=Door.WEBHOOK, now=timezone.now())
        if not together or number == len(events) - 1:
            mirror_due(timezone.now, budget_seconds=10)
    assert not InboxEvent.objects.exclude(state__in=[InboxState.MIRRORED, InboxState.STORED]).exists()


def entitlements() -> set[str]:
    return set(djstripe.ActiveEntitlement.objects.values_list("id", flat=True))


@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "one by one"])
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_two_summaries_of_one_second_it_does_not_matter_which_comes_last(shop, order, together):
    """A plan is changed: what the old one gave goes, and what the new one gives comes, within a second."""
    customer = shop.customer().id
    shop.give_card(customer)
    subscription = shop.subscription(customer, features_of_a_product(shop, 1))
    given = shop.stripe.v1.entitlements.active_entitlements.list({"customer": customer}).data
    shop.stripe.v1.subscriptions.cancel(subscription.id)
    events = [summary(customer, 1, *given), summary(customer, 2)]
    tell(*(events[n] for n in order), together=together)
    assert entitlements() == set()


def test_what_a_test_clock_gave_in_its_time_and_a_product_lost_in_ours_is_asked_about(shop):
    """The later event has the earlier date: a clock's months ahead."""
    customer = shop.customer().id
    shop.give_card(customer)
    subscription = shop.subscription(customer, features_of_a_product(shop, 1))
    given = shop.stripe.v1.entitlements.active_entitlements.list({"customer": customer}).data
    now = int(timezone.now().timestamp())
    granted, taken = summary(customer, 1, *given), summary(customer, 2)
    shop.stripe.v1.subscriptions.cancel(subscription.id)
    tell({**granted, "created": now + 40 * 86400}, {**taken, "created": now}, together=False)
    assert entitlements() == set()


def test_entitlements_beyond_those_that_an_event_shows_are_mirrored_too(shop):
    customer = shop.customer().id
    shop.give_card(customer)
    shop.subscription(customer, features_of_a_product(shop, 12))
    listed = shop.stripe.v1.entitlements.active_entitlements.list({"customer": customer, "limit": 100}).data
    assert len(listed) == 12
    tell(summary(customer, 1, *listed[:10], has_more=True), together=True)
    assert entitlements() == {one.id for one in listed}


@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "one by one"])
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_end_of_what_stripe_answers_nowhere_is_the_last_of_its_second(shop, order, together):
    """A card of the older kind that is given and taken away again: their events may come in any order."""
    card = {"id": "card_1", "object": "card", "brand": "Visa", "last4": "4242", "customer": shop.customer().id}
    events = [
        an_event(id=f"evt_{n}", type=f"customer.source.{what}", created=SECOND, data={"object": card})
        for n, what in enumerate(("created", "deleted"))
    ]
    tell(*(events[n] for n in order), together=together)
    assert not [row for row in djstripe.Card.objects.all() if not row.stripe_data.get("deleted")]
