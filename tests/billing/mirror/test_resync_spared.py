"""Customers whose payment methods a second resync need not ask for: what must be true of them, and that nothing is
missed where it is not."""

import json
import os
from datetime import timedelta
from io import StringIO
from random import Random
from typing import Any

import httpx
import pytest
from django.core.management import call_command
from django.db import connection
from django.db.models import F
from django.utils import timezone
from djstripe import models as djstripe

from billing.mirror.fetch import list_pages
from billing.mirror.history import ListedParent
from billing.mirror.kinds import kind_for
from billing.mirror.resync_spared import TRUSTED, customers_of
from billing.mirror.tables import read
from billing.stripe_accounts import primary
from tests.billing.mirror.company import Company as MirroredCompany
from tests.billing.mirror.company import use
from tests.crashes.company import Company
from tests.crashes.lives import live
from tests.crashes.truth import about_objects
from tests.sandbox.running import RunningSandbox

pytestmark = pytest.mark.django_db(transaction=True)

KINDS = ("customer", "payment_method")
LATER = 600  # seconds
SEEDS = [int(seed) for seed in os.environ.get("RESYNC_SEEDS", "1").split()]


def run(*arguments: str) -> dict[str, Any]:
    out = StringIO()
    call_command("resync", *arguments, "--json", stdout=out)
    counts: dict[str, Any] = json.loads(out.getvalue())
    return counts["payment_method"]


def same(number: int) -> dict[str, int]:
    return {"created": 0, "updated": 0, "unchanged": number, "deleted": 0, "refused": 0}


@pytest.fixture
def customer(shop, asked) -> str:
    """One with a card, whose list a resync has read: some time after the card was attached."""
    customer = shop.customer().id
    shop.give_card(customer)
    run(*KINDS)
    time_goes_by()
    asked.clear()
    return customer


def time_goes_by() -> None:
    """Stripe's events are of now, so what was listed is made to have been listed later."""
    ListedParent.objects.update(listed_at=F("listed_at") + LATER)


def asked_about(customer: str, asked: list[str]) -> int:
    return asked.count(f"/v1/customers/{customer}/payment_methods")


def test_where_nothing_changed_no_customer_is_asked_about_and_every_card_was_compared(customer, asked):
    assert run(*KINDS) == same(1)
    assert asked_about(customer, asked) == 0
    out = StringIO()
    call_command("resync", *KINDS, stdout=out)
    assert "Not asked about one by one: the payment methods of 1 customer." in out.getvalue()


def test_without_a_payment_method_too(shop, asked):
    customer = shop.customer().id
    run(*KINDS)
    asked.clear()
    assert run(*KINDS) == same(0)
    assert asked_about(customer, asked) == 0


def test_a_card_that_was_attached_since_is_found_though_no_event_came_to_us(shop, customer, asked):
    ListedParent.objects.update(listed_at=F("listed_at") - LATER)
    second = shop.stripe.v1.payment_methods.attach("pm_card_mastercard", {"customer": customer})
    assert run(*KINDS)["created"] == 1
    assert djstripe.PaymentMethod.objects.get(id=second.id).customer_id == customer


def test_a_card_that_was_removed_since_is_found(shop, customer, asked):
    ListedParent.objects.update(listed_at=F("listed_at") - LATER)
    [method] = djstripe.PaymentMethod.objects.values_list("id", flat=True)
    shop.stripe.v1.payment_methods.detach(method)
    run(*KINDS)
    assert djstripe.PaymentMethod.objects.get().customer_id is None


def test_a_card_that_changed_is_brought_right_by_what_names_it(customer, asked):
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE djstripe_paymentmethod SET stripe_data = stripe_data || '{"metadata": {"by": "hand"}}'"""
        )
    assert run(*KINDS) == {**same(0), "updated": 1}
    assert asked_about(customer, asked) == 0
    [method] = djstripe.PaymentMethod.objects.values_list("id", flat=True)
    assert read(kind_for("payment_method"), [method])[method]["metadata"] == {}


def test_a_row_that_is_gone_from_the_mirror_is_missed(customer, asked):
    """The list of customers brings the default along; what nothing brings along is asked for."""
    [method] = djstripe.PaymentMethod.objects.values_list("id", flat=True)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE djstripe_customer SET default_payment_method_id = NULL")
        cursor.execute("DELETE FROM djstripe_paymentmethod")
    run(*KINDS)
    assert list(djstripe.PaymentMethod.objects.values_list("id", flat=True)) == [method]


def test_a_card_that_nothing_brings_along_is_asked_for(shop, customer, asked):
    ListedParent.objects.update(listed_at=F("listed_at") - LATER)
    shop.stripe.v1.payment_methods.attach("pm_card_mastercard", {"customer": customer})
    run(*KINDS)
    time_goes_by()
    asked.clear()
    assert run(*KINDS) == same(2)
    assert asked_about(customer, asked) == 1


@pytest.mark.parametrize("words", [("--thorough", *KINDS), ("--check", *KINDS), ("payment_method",)])
def test_who_wants_all_customers_asked_about_has_it(words, customer, asked):
    assert run(*words) == same(1)
    assert asked_about(customer, asked) == 1


def test_a_list_of_long_ago_is_asked_for_again(customer, asked):
    long_ago = (timezone.now() - TRUSTED - timedelta(hours=1)).timestamp()
    ListedParent.objects.update(listed_at=long_ago)
    run(*KINDS)
    assert asked_about(customer, asked) == 1
    assert ListedParent.objects.get().listed_at > long_ago


def test_what_was_attached_in_the_very_minute_of_the_list_is_asked_for_again(customer, asked):
    ListedParent.objects.update(listed_at=F("listed_at") - LATER)
    run(*KINDS)
    assert asked_about(customer, asked) == 1


def test_a_key_that_may_not_read_events_spares_nobody(customer, asked, sandbox, stripe_key, use_key):
    restricted = stripe_key.replace("sk_", "rk_")
    permissions = {"*": "read", "events": "none", "account": "read", "accounts": "read"}
    httpx.post(f"{sandbox}/_sandbox/keys", json={"key": restricted, "permissions": permissions}).raise_for_status()
    use_key(restricted)
    run(*KINDS)
    assert asked_about(customer, asked) == 1


def test_a_customer_of_a_test_clock_is_always_asked_about(shop, asked):
    clock = shop.stripe.v1.test_helpers.test_clocks.create({"frozen_time": int(timezone.now().timestamp())})
    customer = shop.customer(test_clock=clock.id).id
    shop.give_card(customer)
    run(*KINDS)
    time_goes_by()
    asked.clear()
    run(*KINDS)
    assert asked_about(customer, asked) == 1


def test_an_event_names_whose_the_card_is_and_whose_it_was():
    removed = {"data": {"object": {"customer": None}, "previous_attributes": {"customer": "cus_1"}}}
    attached = {"data": {"object": {"customer": "cus_2"}}}
    assert (customers_of(removed), customers_of(attached)) == ({"cus_1"}, {"cus_2"})


@pytest.mark.parametrize("seed", SEEDS)
def test_a_life_of_which_no_event_comes_to_us_is_followed_by_resyncs_alone(tmp_path, settings, seed):
    """Between two resyncs ten minutes pass at Stripe: some customers are spared, and none of them changed."""
    settings.DRIFT_PATIENCE_SECONDS = 0.0
    sandbox = RunningSandbox(tmp_path).start()
    try:
        company = Company(use(MirroredCompany(sandbox), settings), sandbox.url, Random(seed))
        for _ in range(5):
            live(company, steps=15)
            httpx.post(f"{sandbox.url}/_sandbox/advance", json={"by": 600}, trust_env=False).raise_for_status()
            call_command("resync", "--json", stdout=StringIO())
            assert ways_to_pay_here() == ways_to_pay_there(company)
            assert [untruth for untruth in about_objects(primary()) if not is_of_nobody(untruth)] == []
    finally:
        sandbox.stop()


def is_of_nobody(untruth: str) -> bool:
    """A payment method that was detached, and whose customer's clock is gone: Stripe lists it nowhere."""
    kind, object_id, *_ = untruth.split()
    return kind == "payment_method" and djstripe.PaymentMethod.objects.filter(id=object_id, customer=None).exists()


def ways_to_pay_here() -> dict[str, dict[str, Any]]:
    living = djstripe.Customer.objects.exclude(stripe_data__deleted=True).values_list("id", flat=True)
    found: dict[str, dict[str, Any]] = {customer: {} for customer in living}
    methods = djstripe.PaymentMethod.objects.filter(customer_id__in=list(living))
    for customer, method, data in methods.values_list("customer_id", "id", "stripe_data"):
        if not data.get("deleted"):
            found[customer][method] = data
    return found


def ways_to_pay_there(company: Company) -> dict[str, dict[str, Any]]:
    return {
        customer["id"]: {
            data["id"]: data
            for page in list_pages(f"/v1/customers/{customer['id']}/payment_methods", {})
            for data in page.objects
        }
        for kind_of_customer in ({}, *({"test_clock": clock} for clock in company.clocks))
        for page in list_pages("/v1/customers", kind_of_customer)
        for customer in page.objects
    }
