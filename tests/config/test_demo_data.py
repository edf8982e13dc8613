"""The demo company, made at a real sandbox and mirrored by the real mirror."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from django.conf import LazySettings
from djstripe.models import Subscription
from stripe import StripeClient

from accounts.models import CustomerLink, Organization, Role, User
from accounts.permissions import Act, may
from billing.entitlements.resolve import cover_of
from config.demo import catalogue, company, data
from config.demo.cast import CUSTOMER, OPERATOR, PASSWORD

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def make_all(stripe: StripeClient) -> None:
    catalogue.make_catalogue(stripe)
    company.make_organizations(stripe, company.make_people(), now=NOW)


def counts(stripe: StripeClient) -> dict[str, int]:
    lists = {
        "products": stripe.v1.products.list({"limit": 100}),
        "prices": stripe.v1.prices.list({"limit": 100}),
        "customers": stripe.v1.customers.list({"limit": 100}),
        "subscriptions": stripe.v1.subscriptions.list({"limit": 100, "status": "all"}),
    }
    return {name: len(found.data) for name, found in lists.items()} | {"organizations": Organization.objects.count()}


@pytest.mark.django_db(transaction=True)
def test_every_customer_ends_in_the_state_of_its_story_and_the_mirror_says_so(
    stripe: StripeClient, mirror_events: Callable[[], int]
) -> None:
    make_all(stripe)
    while mirror_events():
        pass
    assert company.missing() == []
    statuses = {found.stripe_data["status"] for found in Subscription.objects.all()}
    assert statuses == {"active", "trialing", "past_due", "canceled", "incomplete"}
    assert cover_of(Organization.objects.get(name="Osaka Works")).payer.name == "Kumo Robotics"
    leaving = CustomerLink.objects.get(organization__name="Northwind Trading")
    assert Subscription.objects.get(customer__id=leaving.customer_id).stripe_data["cancel_at_period_end"] is True


@pytest.mark.django_db(transaction=True)
def test_a_second_load_makes_nothing(stripe: StripeClient) -> None:
    make_all(stripe)
    before = counts(stripe)
    make_all(stripe)
    assert counts(stripe) == before
    assert before["products"] == len(catalogue.PLANS)
    assert before["prices"] == len(catalogue.PLANS) * 2 * 2


@pytest.mark.django_db(transaction=True)
def test_the_catalogue_is_what_the_portal_offers(stripe: StripeClient, mirror_events: Callable[[], int]) -> None:
    from billing.mirror.querysets import catalog

    catalogue.make_catalogue(stripe)
    mirror_events()
    offered = catalog()
    assert [plan.name for plan in offered.plans] == ["Starter", "Team", "Business", "Hosting"]
    assert offered.currencies == ("jpy", "usd")
    year = offered.plans[2].price_for("jpy", "year")
    assert year is not None
    assert year.unit_amount == 200_000  # whole yen


def test_the_customer_and_the_operator_can_sign_in(db: None, client) -> None:
    company.make_people()
    for email in (CUSTOMER, OPERATOR):
        answer = client.post("/accounts/login/", {"login": email, "password": PASSWORD})
        assert answer.status_code == 302, answer.content.decode()
        client.logout()
    assert User.objects.get(email=OPERATOR).is_staff
    assert not User.objects.get(email=CUSTOMER).is_staff


def test_the_demo_customer_meets_every_role() -> None:
    roles = {customer.members[CUSTOMER] for customer in company.CUSTOMERS if CUSTOMER in customer.members}
    assert roles == set(Role)
    assert any(may(role, Act.MANAGE_BILLING) for role in roles)


def test_webhooks_lead_to_this_portal_alone(stripe: StripeClient, settings: LazySettings) -> None:
    for port in (8000, 8001, 8001):  # a start, one on another port, and that one again
        data.receive_webhooks(stripe, f"http://localhost:{port}/webhooks/stripe/", "whsec_tests")
    found = stripe.v1.webhook_endpoints.list().data
    assert [endpoint.url for endpoint in found] == ["http://localhost:8001/webhooks/stripe/"]
