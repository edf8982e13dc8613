"""What a batch lacks is asked for by lists: as many calls for twenty objects as for five."""

import pytest
from django.utils import timezone
from djstripe import models as djstripe

from billing.inbox.models import InboxEvent, InboxState
from billing.mirror import inquiry
from billing.mirror.apply import mirror_due
from billing.mirror.kinds import Ref
from billing.mirror.owner import owner_id
from billing.mirror.together import AFTER, APART, BEFORE, ENOUGH, Span, fetch_together, spans
from billing.stripe_accounts import primary


def span(kind: str, ids: str, since: int, until: int) -> Span:
    return Span(kind, frozenset(ids), since - BEFORE, until + AFTER)


@pytest.mark.parametrize(
    ("made", "wanted"),
    [
        ({}, []),
        ({"charge": {"a": 1000, "b": 1010, "c": 1020}}, []),  # too few to be worth a list
        ({"charge": {"a": 1000, "b": 1010, "c": 1020, "d": 1030}}, [span("charge", "abcd", 1000, 1030)]),
        (
            {"charge": {"a": 1000, "b": 1010, "c": 1020, "d": 1020 + APART, "e": 1021 + 2 * APART}},
            [span("charge", "abcd", 1000, 1020 + APART)],
        ),
        ({"charge": {"a": 1, "b": 1}, "refund": {"c": 1, "d": 1}}, []),  # each kind has a list of its own
        ({"payment_link": dict.fromkeys("abcd", 1)}, []),  # Stripe lists them by no time
        ({"line_item": dict.fromkeys("abcd", 1)}, []),  # nor these at all
    ],
)
def test_lists_are_of_one_kind_and_of_one_time(made, wanted):
    dated = {Ref(kind, object_id): second for kind, ids in made.items() for object_id, second in ids.items()}
    assert list(spans([*dated, Ref("charge", "undated")], dated)) == wanted


pytestmark = pytest.mark.django_db


@pytest.fixture
def paid(shop, take_events):
    """So many payments of a customer whom the mirror has; of their events the charges' alone have come."""
    customer = shop.customer()
    method = shop.give_card(customer.id)
    take_events()
    mirror_due(timezone.now, budget_seconds=30)

    def pay(number: int) -> None:
        for amount in range(number):
            given = {"customer": customer.id, "payment_method": method.id, "confirm": True, "off_session": True}
            shop.stripe.v1.payment_intents.create({"amount": 100 + amount, "currency": "jpy", **given})
        take_events()
        InboxEvent.objects.filter(state=InboxState.RECEIVED).exclude(object_kind="charge").delete()

    return pay


def calls_to_mirror(asked: list[str]) -> int:
    owner_id(primary())  # asked for once a process
    asked.clear()
    mirror_due(timezone.now, budget_seconds=30)
    assert not InboxEvent.objects.exclude(state__in=[InboxState.MIRRORED, InboxState.STORED]).exists()
    return len(asked)


def test_a_batch_of_charges_costs_as_many_calls_however_many_they_are(paid, asked, monkeypatch):
    """Each lacks its payment and its balance transaction: one list of each kind brings them."""
    paid(ENOUGH + 1)
    few = calls_to_mirror(asked)
    paid(4 * ENOUGH)
    assert calls_to_mirror(asked) == few == 2
    assert djstripe.BalanceTransaction.objects.count() == djstripe.PaymentIntent.objects.count() == 5 * ENOUGH + 1
    paid(ENOUGH)
    monkeypatch.setattr(inquiry, "fetch_together", lambda *_, **__: {})
    assert calls_to_mirror(asked) == 2 * ENOUGH  # what it cost before


def test_what_must_be_asked_about_itself_is_asked_for_together_with_what_it_refers_to(paid, asked):
    """Charges in another version's shape: their list brings their balance transactions along."""
    paid(2 * ENOUGH)
    InboxEvent.objects.filter(state=InboxState.RECEIVED).update(api_version="2020-08-27")
    assert calls_to_mirror(asked) == 2  # of charges, of payments
    assert asked[0] == "/v1/charges"
    assert djstripe.BalanceTransaction.objects.count() == 2 * ENOUGH


def test_one_charge_that_is_asked_about_brings_its_balance_transaction_along(paid, asked):
    paid(1)
    InboxEvent.objects.filter(state=InboxState.RECEIVED).update(api_version="2020-08-27")
    assert calls_to_mirror(asked) == 2  # the charge, the payment
    assert djstripe.BalanceTransaction.objects.count() == 1


def test_what_a_list_does_not_bring_is_asked_for_by_its_id(shop, take_events, asked):
    """Deleted ones, and those that live by a test clock."""
    clock = shop.stripe.v1.test_helpers.test_clocks.create({"frozen_time": int(timezone.now().timestamp())})
    customers = [shop.customer().id for _ in range(ENOUGH)]
    customers += [shop.customer(test_clock=clock.id).id, shop.customer().id]
    shop.stripe.v1.customers.delete(customers[-1])
    take_events()
    InboxEvent.objects.exclude(object_kind="customer").delete()
    InboxEvent.objects.filter(type="customer.deleted").delete()
    InboxEvent.objects.update(api_version="2020-08-27")
    calls_to_mirror(asked)
    assert sorted(asked) == sorted(["/v1/customers", *(f"/v1/customers/{each}" for each in customers[-2:])])
    assert set(djstripe.Customer.objects.values_list("id", flat=True)) == set(customers[:-1])


def test_a_page_that_brings_too_few_is_the_last(shop, asked, monkeypatch):
    monkeypatch.setattr("billing.mirror.fetch.PAGE", 3)
    products = [shop.product(f"Plan {number}") for number in range(12)]
    asked.clear()
    made = {Ref("product", product.id): product.created for product in products}
    assert len(fetch_together(list(made), made, account=primary())) == 3
    assert asked == ["/v1/products"]


@pytest.mark.parametrize("effect", ["rate_limit", "server_error"])
def test_a_list_that_fails_fails_nothing(paid, asked, fault, monkeypatch, effect):
    monkeypatch.setattr("billing.stripe_reading.FIRST_WAIT", 0.001)
    monkeypatch.setattr("billing.stripe_budget.FIRST_REST", 0.01)
    monkeypatch.setattr("billing.stripe_reading.TRIES_WHEN_TOO_MANY", 1)
    paid(ENOUGH)
    fault(effect, method="GET", path="/v1/balance_transactions", count=10)
    calls_to_mirror(asked)
    assert djstripe.BalanceTransaction.objects.count() == ENOUGH
