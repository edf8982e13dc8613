import pytest
from django.utils import timezone
from djstripe import models as djstripe

from accounts.customers import ensure_customer
from accounts.models import CustomerLink
from billing.mirror.apply import mirror_due

pytestmark = pytest.mark.django_db


def link(organization, customer_id: str) -> None:
    CustomerLink.objects.create(
        organization=organization, livemode=False, idempotency_key=customer_id, customer_id=customer_id
    )


def test_a_customer_points_to_the_organization_it_is_linked_to(shop, mirror_events, acme):
    customer = shop.customer()
    link(acme, customer.id)
    mirror_events()
    assert djstripe.Customer.objects.get().subscriber == acme
    shop.stripe.v1.customers.update(customer.id, {"name": "Acme"})
    mirror_events()
    assert djstripe.Customer.objects.get().subscriber == acme


@pytest.mark.django_db(transaction=True)
def test_a_customer_whose_answer_was_lost_is_adopted_when_it_is_mirrored(stripe, take_events, acme):
    customer_id = ensure_customer(acme, stripe, livemode=False, now=timezone.now())
    CustomerLink.objects.update(customer_id=None, linked_at=None)  # killed before the answer was recorded
    take_events()
    mirror_due(timezone.now, budget_seconds=10)
    assert CustomerLink.objects.get().customer_id == customer_id
    assert djstripe.Customer.objects.get().subscriber == acme


def test_metadata_edited_at_stripe_re_points_nobody(shop, mirror_events, acme, charlie):
    customer = shop.customer()
    link(acme, customer.id)
    mirror_events()
    other = charlie.organizations.get()
    shop.stripe.v1.customers.update(
        customer.id, {"metadata": {"djstripe_subscriber": str(other.pk), "kessai_organization": other.public_id}}
    )
    mirror_events()
    assert djstripe.Customer.objects.get().subscriber == acme


def test_a_stranger_to_us_is_mirrored_and_points_to_nobody(shop, mirror_events, acme):
    shop.customer(email=acme.billing_email)
    mirror_events()
    assert djstripe.Customer.objects.get().subscriber is None


def test_a_customer_with_a_discount_is_mirrored(shop, mirror_events):
    """dj-stripe's own hook fails on `discount.source.coupon`, the shape of the pinned API version."""
    coupon = shop.stripe.v1.coupons.create({"percent_off": 20, "duration": "forever"})
    customer = shop.customer(coupon=coupon.id)
    mirror_events()
    discount = djstripe.Customer.objects.get(id=customer.id).stripe_data["discount"]
    assert discount["source"]["coupon"] == coupon.id
