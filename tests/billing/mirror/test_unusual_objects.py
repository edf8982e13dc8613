"""Objects that say less than others, or another thing than the mirror expects: mirrored as far as they go."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.utils import timezone
from djstripe import models as djstripe

from billing.inbox.intake import store_event
from billing.inbox.models import Door, InboxEvent, InboxState
from billing.mirror.apply import mirror_due
from billing.mirror.facts import invoice_facts, subscription_facts
from billing.mirror.querysets import current_subscription
from billing.mirror.raw import RawObject
from billing.mirror.readrows import invoice_row, subscription_row
from billing.mirror.readtables import InvoiceRow, SubscriptionRow
from billing.mirror.shapes import LONG_AGO
from tests.billing import objects
from tests.billing.events import an_event
from tests.billing.mirrored import put_in_mirror

BEGAN = datetime(2010, 5, 1, tzinfo=UTC)
CUSTOMER = {"id": "cus_1", "object": "customer", "created": objects.ts(objects.START), "livemode": False}


def without(data: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name not in names}


@pytest.fixture
def mirror(answer_with):
    """Mirror these objects from events; Stripe has them, and their customer."""

    def mirror_them(*given: dict[str, Any]) -> None:
        there = {data["id"]: data for data in (*given, CUSTOMER)}
        answer_with(lambda ref: there.get(ref.id))
        for number, data in enumerate(given):
            told = {"id": f"evt_{number}", "type": f"{data['object']}.updated", "data": {"object": data}}
            store_event(an_event(**told), door=Door.WEBHOOK, now=timezone.now())
        mirror_due(timezone.now, budget_seconds=30)
        left = InboxEvent.objects.exclude(state=InboxState.MIRRORED)
        assert list(left.values_list("type", "error")) == []

    return mirror_them


@pytest.mark.django_db
def test_a_subscription_and_an_invoice_that_do_not_say_when_they_were_made_are_mirrored(stripe, mirror):
    """Stripe's oldest ones: made before 2011."""
    old = {**without(objects.subscription(), "created"), "start_date": objects.ts(BEGAN)}
    mirror(old, {**objects.invoice(), "created": None})
    assert djstripe.Subscription.objects.get().created is None
    assert SubscriptionRow.objects.get().created_at == BEGAN
    assert InvoiceRow.objects.get().created_at == objects.START  # when it was finalized


@pytest.mark.django_db
def test_one_that_tells_no_time_at_all_counts_as_the_oldest(stripe, mirror, acme, customer_of):
    customer_of(acme, "cus_1")
    put_in_mirror(objects.subscription("sub_new"))
    mirror(without(objects.subscription("sub_old", items=[]), "created"))
    assert SubscriptionRow.objects.get(pk="sub_old").created_at == LONG_AGO
    assert (found := current_subscription(acme)) and found.id == "sub_new"


@pytest.mark.django_db
@pytest.mark.parametrize(
    "more", [{"api_version": "2020-08-27"}, {"api_version": None}, {}], ids=["old", "none", "a list that goes on"]
)
def test_an_object_that_stripe_cannot_be_asked_about_is_what_its_event_shows_of_it(stripe, more):
    """In another API version, or cut short: nobody could tell more of it."""
    goes_on = {"object": "list", "data": [], "has_more": not more}
    shown = {"id": "ent_1", "object": "treasury.transaction_entry", "livemode": False, "of_tomorrow": goes_on}
    event = an_event(type="treasury.transaction_entry.created", data={"object": shown}, **more)
    store_event(event, door=Door.WEBHOOK, now=timezone.now())
    mirror_due(timezone.now, budget_seconds=30)
    assert list(InboxEvent.objects.values_list("state", "error")) == [(InboxState.STORED, "")]
    assert RawObject.objects.get().stripe_data == shown


LIST = {"object": "list", "data": [None, "si_1", 7, {"price": ["x"]}, {"price": {"recurring": {"interval": []}}}]}
STRANGE: list[Any] = [None, True, 7, -1, 10**30, 1.5, "", "x" * 300, [], ["x"], [{}], {}, {"id": 7}, LIST]


@pytest.mark.parametrize("value", STRANGE, ids=lambda value: repr(value)[:20])
def test_facts_and_rows_are_read_whatever_stands_in_a_place(value):
    for name in {*objects.subscription(), "discount", "start_date"} - {"id"}:
        data = {**objects.subscription(), name: value}
        assert subscription_facts(data).created
        row = subscription_row(data)
        assert len(row["status"]) <= 32 and len(row["currency"]) <= 3 and abs(row["monthly_amount"]) < 2**63
    for name in {*objects.invoice(), "payments"} - {"id"}:
        data = {**objects.invoice(), name: value}
        assert invoice_facts(data).created
        row = invoice_row(data)
        assert len(row["number"]) <= 255 and 0 <= row["attempt_count"] < 2**31


@pytest.mark.parametrize("value", STRANGE, ids=lambda value: repr(value)[:20])
@pytest.mark.parametrize("place", ["price", "recurring", "quantity", "current_period_end", "transform_quantity"])
def test_what_stands_in_an_item_may_be_strange_too(place, value):
    item = objects.item()
    within = {"recurring": item["price"], "transform_quantity": item["price"]}.get(place, item)
    within[place] = value
    assert subscription_row(objects.subscription(items=[item]))["item_count"] == 1


@pytest.mark.django_db
def test_what_does_not_fit_a_column_stays_in_the_object_alone(stripe, mirror):
    """Rupiah have cents: 1.5 billion of them are more than dj-stripe's column of hundredths takes."""
    strange = {"amount_due": 150_000_000_000_000, "currency": "idr", "attempt_count": 10**12, "paid": "perhaps"}
    mirror(objects.invoice(**strange))
    kept = djstripe.Invoice.objects.get()
    assert kept.stripe_data["amount_due"] == 150_000_000_000_000 and kept.stripe_data["paid"] == "perhaps"
    assert InvoiceRow.objects.get().amount_due == 150_000_000_000_000
