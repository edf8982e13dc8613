"""What becomes news, and what does not."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import Organization
from billing.activity import verbs
from billing.activity.models import Activity
from billing.mirror.facts import SubscriptionStatus, subscription_facts
from billing.reactions import TELLING, Changed, Step, news_of_ending, news_of_plan, news_of_status, tells_nothing
from billing.reactions import react as react_to
from tests.billing.mirrored import put_in_mirror
from tests.billing.objects import END, NOW, card, declined_intent, invoice, item, open_invoice, subscription, ts

pytestmark = pytest.mark.django_db

TRIAL = {"status": "trialing", "trial_end": ts(END)}


@pytest.fixture
def customer(acme: Organization, customer_of: Callable[..., None]) -> Organization:
    customer_of(acme, "cus_1")
    return acme


def react(
    before: dict[str, Any] | None,
    after: dict[str, Any],
    *,
    event: bool = True,
    through: tuple[dict[str, Any], ...] = (),
) -> list[str]:
    """Mirror one change, which may have gone `through` states; return the verbs of all news, oldest first."""
    steps = tuple(Step(state, NOW) for state in through)
    react_to([Changed(after["object"], before, after, steps, at=NOW if event else None)], now=NOW)
    return list(Activity.objects.order_by("id").values_list("verb", flat=True))


STATES = {
    "status": st.sampled_from(list(SubscriptionStatus)).map(str),
    "items": st.lists(st.builds(item, price=st.fixed_dictionaries({"product": st.sampled_from("ab")})), max_size=2),
    "metadata": st.just({"seats": "4"}),
    **dict.fromkeys(("cancel_at", "canceled_at", "ended_at", "trial_end"), st.sampled_from([None, ts(NOW), ts(END)])),
    **dict.fromkeys(("cancel_at_period_end", "livemode"), st.booleans()),
    **dict.fromkeys(("default_payment_method", "latest_invoice", "schedule"), st.sampled_from([None, "a", "b"])),
}


OTHERS = {name: values for name, values in STATES.items() if name not in TELLING}


@given(before=st.fixed_dictionaries(STATES), change=st.fixed_dictionaries(OTHERS))
def test_what_is_passed_over_unread_had_no_news(before: dict[str, Any], change: dict[str, Any]) -> None:
    before, after = subscription(**before), subscription(**before | change)
    assert tells_nothing(before, after)
    old, new = subscription_facts(before), subscription_facts(after)
    assert [*news_of_status(old, new), *news_of_ending(old, new), *news_of_plan(old, new)] == []
    assert old.default_payment_method_id == new.default_payment_method_id


@pytest.mark.parametrize(
    ("before", "after", "news"),
    [
        # the first payment succeeded
        ({"status": "incomplete"}, {}, [verbs.SUBSCRIPTION_ACTIVATED]),
        ({"status": "incomplete"}, TRIAL, [verbs.SUBSCRIPTION_ACTIVATED]),
        (TRIAL, {}, [verbs.SUBSCRIPTION_ACTIVATED]),
        # a renewal failed, and was paid after all
        ({}, {"status": "past_due"}, [verbs.SUBSCRIPTION_PAST_DUE]),
        ({"status": "past_due"}, {"status": "unpaid"}, [verbs.SUBSCRIPTION_UNPAID]),
        ({"status": "past_due"}, {}, [verbs.SUBSCRIPTION_ACTIVATED]),
        # leaving, and changing one's mind
        ({}, {"cancel_at_period_end": True}, [verbs.SUBSCRIPTION_CANCELLATION_SCHEDULED]),
        ({"cancel_at": ts(END)}, {}, [verbs.SUBSCRIPTION_RESUMED]),
        ({}, {"status": "canceled", "ended_at": ts(NOW)}, [verbs.SUBSCRIPTION_CANCELED]),
        ({"cancel_at": ts(END)}, {"status": "canceled"}, [verbs.SUBSCRIPTION_CANCELED]),
        ({"status": "incomplete"}, {"status": "incomplete_expired"}, [verbs.SUBSCRIPTION_CANCELED]),
        ({"status": "trialing"}, {"status": "paused"}, [verbs.SUBSCRIPTION_PAUSED]),
        # another plan
        ({}, {"items": [item(price={"product": "prod_team", "id": "price_team"})]}, [verbs.SUBSCRIPTION_CHANGED]),
        # nothing that concerns a customer
        ({}, {}, []),
        ({}, {"metadata": {"note": "x"}}, []),
        ({}, {"latest_invoice": "in_9"}, []),
    ],
)
def test_a_change_is_told(
    customer: Organization, before: dict[str, Any], after: dict[str, Any], news: list[str]
) -> None:
    assert react(subscription(**before), subscription(**after)) == news


def test_the_same_change_seen_twice_is_told_once(customer: Organization) -> None:
    for _ in range(2):
        told = react(subscription(status="incomplete"), subscription())
    assert told == [verbs.SUBSCRIPTION_ACTIVATED]


def test_leaving_returning_and_leaving_again_is_told_each_time(customer: Organization) -> None:
    stays = subscription()
    first = subscription(cancel_at_period_end=True, canceled_at=ts(NOW))
    second = subscription(cancel_at_period_end=True, canceled_at=ts(NOW + timedelta(hours=1)))
    react(stays, first)
    react(first, stays)
    assert react(stays, second) == [
        verbs.SUBSCRIPTION_CANCELLATION_SCHEDULED,
        verbs.SUBSCRIPTION_RESUMED,
        verbs.SUBSCRIPTION_CANCELLATION_SCHEDULED,
    ]


def test_a_first_resync_tells_no_stories(customer: Organization) -> None:
    assert react(None, subscription(), event=False) == []
    assert react(None, invoice(), event=False) == []


def test_an_old_object_seen_for_the_first_time_is_no_news(customer: Organization) -> None:
    assert react(None, subscription(created=ts(NOW - timedelta(days=300)))) == []


def test_a_new_object_brought_by_its_event_is_news(customer: Organization) -> None:
    assert react(None, subscription(created=ts(NOW))) == [verbs.SUBSCRIPTION_ACTIVATED]


def test_a_strangers_subscription_is_nobodys_news(customer: Organization) -> None:
    assert react(subscription(status="incomplete", customer="cus_x"), subscription(customer="cus_x")) == []


def test_a_paid_invoice_is_told_with_its_sum(customer: Organization) -> None:
    assert react(open_invoice("in_1"), invoice()) == [verbs.INVOICE_PAID]
    assert Activity.objects.get().data == {"amount": 5000, "currency": "jpy", "number": "ACME-0001"}


def test_an_invoice_over_nothing_is_no_news(customer: Organization) -> None:
    free = invoice(total=0, amount_due=0, amount_paid=0)
    assert react(invoice(status="draft", status_transitions={}), free) == []


def test_each_failed_attempt_is_told_with_the_banks_reason(customer: Organization) -> None:
    put_in_mirror(declined_intent())
    react(open_invoice(attempt_count=0, attempted=False), open_invoice(attempt_count=1))
    assert react(open_invoice(attempt_count=1), open_invoice(attempt_count=2)) == [verbs.INVOICE_PAYMENT_FAILED] * 2
    assert {news.data["decline_code"] for news in Activity.objects.all()} == {"insufficient_funds"}


def test_a_new_payment_method_is_told_once_though_stripe_says_it_twice(customer: Organization) -> None:
    put_in_mirror(card("pm_new", last4="1881"))
    react(subscription(), subscription(default_payment_method="pm_new"))
    before = {"id": "cus_1", "object": "customer", "invoice_settings": {"default_payment_method": "pm_1"}}
    after = {**before, "invoice_settings": {"default_payment_method": "pm_new"}}
    assert react(before, after) == [verbs.PAYMENT_METHOD_CHANGED]
    assert Activity.objects.get().data["last4"] == "1881"


def test_what_customers_are_not_told_of_changes_nothing(customer: Organization) -> None:
    assert react(None, {"id": "txr_1", "object": "tax_rate", "created": ts(NOW)}) == []


def test_what_an_object_went_through_in_one_batch_is_told_too(customer: Organization) -> None:
    """Under a backlog the mirror writes only the last state: that a payment failed before is news still."""
    put_in_mirror(declined_intent())
    failed, paid = open_invoice("in_1", attempt_count=1), invoice()
    assert react(open_invoice("in_1", attempt_count=0, attempted=False), paid, through=(failed,)) == [
        verbs.INVOICE_PAYMENT_FAILED,
        verbs.INVOICE_PAID,
    ]


def test_many_objects_cost_no_more_statements_than_few(
    customer: Organization, django_assert_num_queries: Callable[..., Any]
) -> None:
    changes = [
        Changed("subscription", subscription(status="incomplete"), subscription(id=f"sub_{number}"), at=NOW)
        for number in range(20)
    ]
    with django_assert_num_queries(6):  # orders, links, and the news: savepoint, locks, rows
        react_to(changes, now=NOW)
    assert Activity.objects.count() == 20
