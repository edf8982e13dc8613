"""A changed name or billing address reaches Stripe, where it stands on invoices. Against the sandbox."""

import pytest
import stripe as stripe_library
from django.utils import timezone

from accounts.customers import ensure_customer
from accounts.models import CustomerLink, Organization
from billing.customer_details import links_to_tell, tell_stripe
from billing.stripe_client import stripe_client
from tests.accounts.races import race

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def customer_id(acme: Organization, stripe: stripe_library.StripeClient) -> str:
    return ensure_customer(acme, stripe, livemode=False, now=timezone.now())


def test_a_new_customer_needs_no_telling(acme: Organization, customer_id: str) -> None:
    assert not links_to_tell().exists()


def test_a_changed_name_and_address_are_told_once(
    acme: Organization, customer_id: str, stripe: stripe_library.StripeClient
) -> None:
    Organization.objects.filter(pk=acme.pk).update(name="株式会社アクメ", billing_email="money@acme.example")
    assert tell_stripe(stripe) == 1
    customer = stripe.v1.customers.retrieve(customer_id)
    assert (customer.name, customer.email) == ("株式会社アクメ", "money@acme.example")
    assert tell_stripe(stripe) == 0


def test_what_was_not_told_while_stripe_was_away_is_told_later(
    acme: Organization, customer_id: str, stripe: stripe_library.StripeClient
) -> None:
    Organization.objects.filter(pk=acme.pk).update(name="Acme Two")
    away = stripe_library.StripeClient("sk_test_x", base_addresses={"api": "http://127.0.0.1:9"}, max_network_retries=0)
    assert tell_stripe(away) == 0
    assert CustomerLink.objects.get().told_name == "Acme"
    assert tell_stripe(stripe) == 1


def test_racing_workers_leave_the_newest_name(
    acme: Organization, customer_id: str, stripe: stripe_library.StripeClient
) -> None:
    def rename_and_tell(number: int) -> None:
        Organization.objects.filter(pk=acme.pk).update(name=f"Acme {number}")
        tell_stripe(stripe_client())

    race([lambda number=number: rename_and_tell(number) for number in range(6)])
    tell_stripe(stripe)
    acme.refresh_from_db()
    assert stripe.v1.customers.retrieve(customer_id).name == acme.name
