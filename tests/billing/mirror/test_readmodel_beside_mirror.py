"""Whatever the mirror takes in, by whichever way, its read model says the same: making it again changes nothing."""

from collections.abc import Callable

import pytest
import stripe as stripe_library
from django.utils import timezone

from billing.mirror import readmodel
from billing.models import InvoiceRow, SubscriptionRow
from billing.stripe_accounts import primary
from tests.billing.mirror.conftest import Shop


def changed_by_rebuilding() -> dict[str, int]:
    now = timezone.now()
    return {kind: sum(written for _, written in readmodel.rebuild(kind, now=now)) for kind in readmodel.TABLES}


@pytest.mark.django_db
def test_it_follows_a_subscription_through_its_life(
    stripe: stripe_library.StripeClient, shop: Shop, mirror_events: Callable[[], int]
) -> None:
    v1, customer = stripe.v1, shop.customer()
    shop.give_card(customer.id)
    made = shop.subscription(customer.id, shop.price(shop.product().id).id)
    mirror_events()
    row = SubscriptionRow.objects.get(pk=made.id)
    assert (row.status, row.ends_at, row.customer_id) == ("active", None, customer.id)
    assert InvoiceRow.objects.get(subscription_id=made.id).status == "paid"

    v1.subscriptions.update(made.id, {"cancel_at_period_end": True})
    mirror_events()
    row.refresh_from_db()
    assert row.ends_at == row.period_ends_at

    draft = v1.invoices.create({"customer": customer.id})
    mirror_events()
    assert InvoiceRow.objects.get(pk=draft.id).status == "draft"
    v1.invoices.delete(draft.id)
    v1.subscriptions.cancel(made.id)
    mirror_events()
    row.refresh_from_db()
    assert (row.status, row.ends_at) == ("canceled", None)
    assert InvoiceRow.objects.get(pk=draft.id).status == "deleted"

    assert row.owner == SubscriptionRow.objects.get().subscription.djstripe_owner_account_id
    assert primary().livemode is row.livemode is False
    assert changed_by_rebuilding() == {"subscription": 0, "invoice": 0}
