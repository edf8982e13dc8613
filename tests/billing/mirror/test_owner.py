"""Whose the key is: asked once, and where nobody says, objects are mirrored all the same."""

import pytest
import stripe as stripe_library
from django.utils import timezone
from djstripe import models as djstripe

from billing.mirror import owner
from billing.mirror.apply import mirror_due

pytestmark = pytest.mark.django_db


@pytest.fixture
def unasked():
    owner.account_of.cache_clear()
    yield
    owner.account_of.cache_clear()


def test_where_nobody_says_whose_the_key_is_objects_have_no_owner(unasked, shop, take_events, monkeypatch):
    def unknown(path: str, **_more: object) -> None:
        raise stripe_library.InvalidRequestError(f"Unrecognized request URL (GET: {path}).", None, http_status=404)

    monkeypatch.setattr(owner, "get", unknown)
    customer = shop.customer()
    take_events()
    mirror_due(timezone.now, budget_seconds=30)
    assert djstripe.Customer.objects.get(id=customer.id).djstripe_owner_account is None
