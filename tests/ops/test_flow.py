"""The first page: what flows and what is stuck."""

from datetime import UTC, datetime, timedelta

import pytest
from django.urls import reverse
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from billing.models import Activity, CheckoutOrder, InboxState, OrderState
from ops.console.flow import read_flow
from tests.cast import sign_in
from tests.ops.rows import make_customer, make_event, make_plan, make_subscription

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


def test_it_counts_what_arrived_hour_by_hour(db):
    make_event(NOW - timedelta(minutes=5))
    make_event(NOW - timedelta(minutes=10), state=InboxState.STORED)
    make_event(NOW - timedelta(minutes=20), state=InboxState.FAILED)
    make_event(NOW - timedelta(hours=3), state=InboxState.RECEIVED)
    make_event(NOW - timedelta(hours=25))
    flow = read_flow(NOW)
    assert (flow.last_hour.received, flow.last_hour.done) == (3, 2)
    assert (flow.last_day.received, flow.last_day.done) == (4, 2)
    assert len(flow.hours) == 24
    assert (flow.hours[-1].done, flow.hours[-1].failed, flow.hours[-4].waiting) == (2, 1, 1)


def test_an_event_received_at_this_very_moment_is_in_the_last_hour(db):
    make_event(NOW, received_at=NOW)
    assert read_flow(NOW).hours[-1].total == 1


def test_it_measures_from_happened_to_mirrored(db):
    for seconds in (1, 2, 3, 4, 100):
        happened = NOW - timedelta(minutes=30)
        make_event(NOW, occurred_at=happened, received_at=happened, mirrored_at=happened + timedelta(seconds=seconds))
    lag = read_flow(NOW).lag
    assert lag.median == timedelta(seconds=3)
    assert lag.slowest
    assert timedelta(seconds=4) < lag.slowest < timedelta(seconds=100)


# due since, overdue as counted: the sweep looks every 15 seconds, a minute is too long
@pytest.mark.parametrize(("age", "overdue"), [(timedelta(seconds=30), 0), (timedelta(minutes=2), 1)])
def test_an_event_is_overdue_when_nobody_looked_for_a_minute(db, age, overdue):
    make_event(NOW, state=InboxState.RECEIVED, due_at=NOW - age)
    waiting = read_flow(NOW).waiting
    assert (waiting.due, waiting.overdue, waiting.oldest) == (1, overdue, age)


def test_an_event_that_will_be_tried_later_is_not_due(db):
    make_event(NOW, state=InboxState.RECEIVED, due_at=NOW + timedelta(minutes=5))
    flow = read_flow(NOW)
    assert (flow.waiting.due, flow.stuck) == (0, False)


def test_it_shows_the_first_failed_events_and_counts_the_rest(db):
    for minute in range(7):
        make_event(NOW - timedelta(minutes=minute), state=InboxState.FAILED)
    failed = read_flow(NOW).failed
    assert (len(failed.rows), failed.count, failed.more) == (5, 7, 2)
    assert failed.rows[0].received_at > failed.rows[1].received_at


def make_order(organization, state, created_at):
    key = f"{organization.pk}-{state}-{created_at}"
    return CheckoutOrder.objects.create(
        organization=organization, price_id="price_1", state=state, idempotency_key=key, created_at=created_at
    )


# an order that was begun, and whether it counts as stuck
@pytest.mark.parametrize(
    ("state", "minutes", "stuck"),
    [
        (OrderState.OPEN, 10, 0),  # they may be typing their card number
        (OrderState.OPEN, 45, 1),
        (OrderState.OPENING, 45, 1),  # Stripe's answer was lost
        (OrderState.PAID, 45, 0),
        (OrderState.EXPIRED, 45, 0),
    ],
)
def test_an_unfinished_order_is_stuck_after_half_an_hour(acme, state, minutes, stuck):
    make_order(acme, state, NOW - timedelta(minutes=minutes))
    assert read_flow(NOW).stale_orders.count == stuck


def test_it_counts_subscriptions_by_status(acme):
    customer, price = make_customer(acme, now=NOW), make_plan("Team", now=NOW)
    for status in ("active", "active", "past_due"):
        make_subscription(customer, price, now=NOW, status=status)
    assert read_flow(NOW).statuses == (("active", 2), ("past_due", 1))


# when the sweep last ran, and whether beat counts as silent
@pytest.mark.parametrize(
    ("last_run", "silent"),
    [
        (None, False),  # it has not started yet: nothing to alarm about
        (timedelta(minutes=2), False),  # beat writes this down every three minutes or so
        (timedelta(minutes=20), True),
    ],
)
def test_it_notices_a_silent_beat(db, last_run, silent):
    every = IntervalSchedule.objects.create(every=15, period="seconds")
    last_run_at = NOW - last_run if last_run else None
    PeriodicTask.objects.create(name="sweep-inbox", task="t", interval=every, last_run_at=last_run_at)
    flow = read_flow(NOW)
    assert (flow.beat_silent, flow.stuck) == (silent, silent)


def fill(organization, *, rows: int) -> None:
    now = timezone.now()
    customer, price = make_customer(organization, now=now), make_plan("Team", now=now)
    for number in range(rows):
        make_event(now, state=InboxState.FAILED, error="StripeError: no answer")
        make_event(now)
        make_subscription(customer, price, now=now)
        Activity.objects.create(organization=organization, verb="invoice:paid", dedup_key=f"a{number}", at=now)
    make_order(organization, OrderState.OPEN, now - timedelta(hours=2))


def test_the_page_needs_as_many_queries_for_many_rows_as_for_few(acme, olga, django_assert_max_num_queries):
    fill(acme, rows=30)
    client = sign_in(olga)
    # session, user, two badges in the navigation, and the ten of the flow (two of them counts beyond the first rows)
    with django_assert_max_num_queries(18):
        page = client.get(reverse("admin:index"))
    text = page.content.decode()
    assert "Nothing is stuck" not in text
    assert "25 more failed events" in text
    assert "Checkout of Acme" in text


def test_the_empty_page_says_how_to_begin(db, olga):
    text = sign_in(olga).get(reverse("admin:index")).content.decode()
    assert "Nothing has arrived yet" in text
    assert reverse("billing:stripe_webhook") in text
    assert "Nothing is stuck" in text
