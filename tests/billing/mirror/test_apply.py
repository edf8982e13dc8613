from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx
import pytest
import stripe as stripe_library
from django.utils import timezone
from djstripe import models as djstripe

from billing.inbox import claim
from billing.inbox.intake import store_event, store_events
from billing.inbox.models import Door, InboxEvent, InboxState
from billing.mirror import apply, failing, inquiry, tables, write
from billing.mirror.fetch import fetch
from billing.mirror.kinds import KINDS, Ref
from billing.mirror.words import stories
from tests.billing.events import an_event

pytestmark = pytest.mark.django_db


def states() -> set[str]:
    return set(InboxEvent.objects.values_list("state", flat=True))


def store(**changes: Any) -> InboxEvent:
    store_event(an_event(**changes), door=Door.WEBHOOK, now=timezone.now())
    return InboxEvent.objects.latest("pk")


def mirror(*, later: timedelta = timedelta()) -> int:
    return apply.mirror_due(lambda: timezone.now() + later, budget_seconds=30)


def test_an_event_brings_its_object_and_the_objects_it_refers_to_into_the_mirror(shop, mirror_events):
    price = shop.price(shop.product("Pro").id)
    customer = shop.customer()
    shop.give_card(customer.id)
    subscription = shop.subscription(customer.id, price.id)
    mirror_events()
    mirrored = djstripe.Subscription.objects.get(id=subscription.id)
    assert mirrored.stripe_data["status"] == "active"
    assert mirrored.customer_id == customer.id
    assert mirrored.items.get().price.product.name == "Pro"
    assert djstripe.Invoice.objects.get().stripe_data["amount_paid"] == 5000
    assert states() <= {InboxState.MIRRORED, InboxState.STORED}


def test_the_last_event_alone_is_enough_whatever_came_before_it_was_lost(shop, take_events):
    price = shop.price(shop.product("Pro").id)
    customer = shop.customer()
    shop.give_card(customer.id)
    subscription = shop.subscription(customer.id, price.id)
    take_events()
    InboxEvent.objects.exclude(object_id=subscription.id).delete()
    mirror()
    mirrored = djstripe.Subscription.objects.get(id=subscription.id)
    assert mirrored.customer.email == "alice@example.com"
    assert mirrored.items.get().price.product.name == "Pro"


def test_a_customer_and_its_default_payment_method_refer_to_each_other_and_both_are_mirrored(shop, take_events):
    customer = shop.customer()
    shop.give_card(customer.id)
    take_events()
    InboxEvent.objects.exclude(object_id=customer.id).delete()
    mirror()
    mirrored = djstripe.Customer.objects.get(id=customer.id)
    assert mirrored.default_payment_method.customer == mirrored


def test_no_api_key_is_ever_written_and_everything_has_its_owner(shop, mirror_events):
    shop.product()
    mirror_events()
    assert djstripe.APIKey.objects.count() == 0
    assert djstripe.Product.objects.get().djstripe_owner_account == djstripe.Account.objects.get()


def test_an_event_that_holds_the_newest_state_costs_no_question(shop, take_events, asked):
    customer = shop.customer(name="Alice")
    take_events()
    asked.clear()
    mirror()
    assert [path for path in asked if path.startswith("/v1/customers")] == []
    there = fetch(Ref("customer", customer.id)).data
    assert there == tables.read(KINDS["customer"], [customer.id])[customer.id]


def test_many_events_of_one_second_cost_one_question(shop, take_events, asked):
    customer = shop.customer()
    for number in range(5):
        shop.stripe.v1.customers.update(customer.id, {"name": f"Alice {number}"})
    take_events()
    InboxEvent.objects.update(occurred_at=InboxEvent.objects.latest("pk").occurred_at)
    asked.clear()
    mirror()
    assert [path for path in asked if path.startswith("/v1/customers")] == [f"/v1/customers/{customer.id}"]
    assert djstripe.Customer.objects.get().stripe_data["name"] == "Alice 4"
    assert InboxEvent.objects.filter(state=InboxState.MIRRORED).count() == 6


def test_the_account_is_asked_for_once_and_not_for_every_object(shop, take_events, asked):
    for number in range(4):
        shop.product(f"Plan {number}")
    take_events()
    asked.clear()
    mirror()
    assert asked.count("/v1/account") == 1


def test_stripe_is_never_called_inside_a_transaction(shop, take_events, monkeypatch):
    """`no_calls` would raise; this counts that nothing was even tried, the swallowed tries included."""
    from billing.stripe_client import CallInsideTransaction

    tried = []
    monkeypatch.setattr(CallInsideTransaction, "__init__", lambda *args: tried.append(args))
    price = shop.price(shop.product().id)
    customer = shop.customer()
    shop.give_card(customer.id)
    shop.subscription(customer.id, price.id)
    take_events()
    mirror()
    assert djstripe.Invoice.objects.exists()
    assert tried == []


def test_an_old_event_does_not_bring_back_an_old_state(shop, take_events):
    customer = shop.customer(name="Old")
    take_events()
    late = InboxEvent.objects.get()
    InboxEvent.objects.update(occurred_at=late.occurred_at - timedelta(seconds=9), due_at=None)
    shop.stripe.v1.customers.update(customer.id, {"name": "New"})
    take_events()
    mirror()
    InboxEvent.objects.filter(pk=late.pk).update(due_at=timezone.now())
    mirror()
    assert djstripe.Customer.objects.get().stripe_data["name"] == "New"
    assert states() == {InboxState.MIRRORED}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"type": "balance.available", "data": {"object": {"object": "balance"}}}, ""),  # nothing to ask for
        ({"type": "invoice.upcoming", "data": {"object": {"id": "upcoming_in_1", "object": "invoice"}}}, ""),
        ({"livemode": True}, "This is a live event; the configured key is a test key."),
        (
            {"account": "acct_1"},
            "This event is about the connected account acct_1; only our own account is mirrored.",
        ),
    ],
)
def test_what_the_mirror_has_no_place_for_is_kept_and_counted_and_stripe_is_not_asked(stripe, asked, changes, reason):
    event = store(**changes)
    mirror()
    event.refresh_from_db()
    assert (event.state, event.error, event.due_at) == (InboxState.STORED, reason, None)
    assert set(asked) <= {"/v1/account"}


def test_an_event_of_another_source_is_kept(stripe):
    store_event(an_event(), source="aws.cloudformation", door=Door.SQS, now=timezone.now())
    mirror()
    assert InboxEvent.objects.get().state == InboxState.STORED


def test_one_objects_failure_stays_with_its_own_events_and_the_others_go_on(shop, take_events, monkeypatch):
    broken, sound = shop.product("Broken"), shop.product("Sound")
    take_events()
    fail_for(monkeypatch, broken.id, ValueError("no such column"))
    mirror()
    failed, done = InboxEvent.objects.get(object_id=broken.id), InboxEvent.objects.get(object_id=sound.id)
    assert done.state == InboxState.MIRRORED
    assert (failed.state, failed.attempts, failed.error) == (
        InboxState.RECEIVED,
        1,
        failing.describe(ValueError("no such column")),
    )
    assert failed.due_at and failed.due_at > timezone.now()
    assert failed.claimed_until is None
    monkeypatch.undo()


def test_a_failure_is_tried_again_ever_later_and_then_waits_for_a_person(shop, take_events, monkeypatch):
    product = shop.product()
    take_events()
    fail_for(monkeypatch, product.id, ValueError("no such column"))
    waits = []
    now = timezone.now() + timedelta(seconds=1)
    for _ in range(failing.ATTEMPTS):
        assert apply.mirror_due(partial(datetime.fromtimestamp, now.timestamp(), UTC), budget_seconds=30) == 1
        event = InboxEvent.objects.get()
        if event.due_at:
            waits.append(event.due_at - now)
            now = event.due_at
    assert event.state == InboxState.FAILED
    assert event.attempts == failing.ATTEMPTS
    for attempt, wait in enumerate(waits):
        full = min(failing.FIRST_WAIT * 2**attempt, failing.LONGEST_WAIT)
        assert full / 2 <= wait <= full


def test_a_later_event_of_the_same_object_heals_one_that_had_failed(shop, take_events):
    product = shop.product()
    take_events()
    InboxEvent.objects.update(state=InboxState.FAILED, due_at=None, error="ValueError: x", attempts=8)
    shop.stripe.v1.products.update(product.id, {"name": "Pro 2"})
    take_events()
    mirror()
    assert states() == {InboxState.MIRRORED}
    assert set(InboxEvent.objects.values_list("error", flat=True)) == {""}


@pytest.mark.parametrize(
    "error",
    [
        stripe_library.APIConnectionError("no route"),
        stripe_library.RateLimitError("slow down", http_status=429),
        stripe_library.APIError("oops", http_status=500),
        stripe_library.AuthenticationError("Invalid API Key provided: sk_test_****0000", http_status=401),
    ],
)
def test_while_stripe_is_away_everything_stays_due_for_as_long_as_it_lasts(shop, take_events, monkeypatch, error):
    for number in range(3):
        shop.product(f"Plan {number}")
    take_events()
    fail_for(monkeypatch, None, error)
    for hour in range(failing.ATTEMPTS * 2):
        mirror(later=timedelta(hours=hour))
    assert states() == {InboxState.RECEIVED}
    monkeypatch.undo()
    mirror(later=timedelta(days=2))
    assert djstripe.Product.objects.count() == 3
    assert states() == {InboxState.MIRRORED}


def test_an_unreachable_stripe_is_such_an_outage(shop, take_events, settings):
    from billing import stripe_client

    shop.product()
    take_events()
    settings.STRIPE_API_BASE = "http://127.0.0.1:1"
    stripe_client.stripe_client.cache_clear()
    mirror()
    event = InboxEvent.objects.get()
    assert event.state == InboxState.RECEIVED
    assert event.error.startswith("APIConnectionError")


def test_a_key_that_may_not_read_one_kind_still_mirrors_the_others(shop, take_events, settings, sandbox, stripe_key):
    from billing import stripe_client

    shop.product()
    shop.customer()
    take_events()
    InboxEvent.objects.update(api_version="2020-08-27")
    restricted = stripe_key.replace("sk_", "rk_")
    permissions = {"key": restricted, "permissions": {"products": "none", "*": "write"}}
    httpx.post(f"{sandbox}/_sandbox/keys", json=permissions).raise_for_status()
    settings.STRIPE_SECRET_KEY = restricted
    stripe_client.stripe_client.cache_clear()
    mirror()
    assert djstripe.Customer.objects.count() == 1
    refused = InboxEvent.objects.get(object_kind="product")
    assert refused.state == InboxState.RECEIVED  # until somebody widens the key
    assert refused.error.startswith("PermissionError")


def test_a_reaction_that_fails_takes_the_write_back(shop, take_events, monkeypatch):
    shop.product()
    take_events()

    def fail(*_args: object, **_more: object) -> None:
        raise RuntimeError("reaction")

    monkeypatch.setattr(write, "react", fail)
    mirror()
    assert not djstripe.Product.objects.exists()
    assert InboxEvent.objects.get().error == "RuntimeError: reaction"


@pytest.fixture
def heard(monkeypatch):
    """What the reactions were told, transaction by transaction."""
    changes: list[Any] = []
    monkeypatch.setattr(write, "react", lambda told, *, now: changes.extend(told))
    return changes


def test_reactions_hear_what_was_before_went_between_and_is_now(shop, take_events, heard):
    customer = shop.customer(name="One")
    take_events()
    mirror()
    shop.stripe.v1.customers.update(customer.id, {"name": "Two"})
    shop.stripe.v1.customers.update(customer.id, {"name": "Three"})
    take_events()
    for second, event in enumerate(InboxEvent.objects.order_by("pk")):
        InboxEvent.objects.filter(pk=event.pk).update(occurred_at=event.occurred_at + timedelta(seconds=second))
    mirror()
    first, second = heard
    assert (first.kind, first.before, first.after["name"]) == ("customer", None, "One")
    assert (second.before["name"], [step.data["name"] for step in second.steps], second.after["name"]) == (
        "One", ["Two"], "Three"
    )  # fmt: skip
    assert second.at == InboxEvent.objects.latest("pk").occurred_at


def test_a_batch_is_halved_until_the_object_that_spoils_it_stands_alone(shop, take_events, monkeypatch):
    customers = [shop.customer(name=f"Customer {number}") for number in range(9)]
    take_events()
    rows_of = write.rows_of

    def spoil(kind: Any, data: Any, **more: Any) -> Any:
        rows = rows_of(kind, data, **more)
        if data["id"] == customers[4].id:
            rows[0].values["livemode"] = "neither"
        return rows

    monkeypatch.setattr(write, "rows_of", spoil)
    mirror()
    left = InboxEvent.objects.get(state=InboxState.RECEIVED)
    assert left.object_id == customers[4].id
    assert left.error.startswith("DataError: The mirror cannot read this object")
    assert djstripe.Customer.objects.count() == 8


def test_when_the_budget_is_used_up_what_was_leased_is_given_back(shop, take_events):
    shop.product()
    take_events()
    InboxEvent.objects.update(api_version="2020-08-27")
    look = apply.first_look(partial(claim.take, limit=9, now=timezone.now()), timezone.now)
    assert InboxEvent.objects.get().claimed_until
    assert apply.second_look(look.asks, timezone.now, end=0) is False
    event = InboxEvent.objects.get()
    assert (event.state, event.claimed_until) == (InboxState.RECEIVED, None)


def test_an_event_of_a_known_object_costs_few_queries(shop, mirror_events, take_events, django_assert_max_num_queries):
    """Claim, lock, look, write, mark: no account look-up, no key look-up, whatever dj-stripe would do itself."""
    product = shop.product()
    mirror_events()
    shop.stripe.v1.products.update(product.id, {"name": "Two"})
    take_events()
    with django_assert_max_num_queries(30):
        mirror()
    assert djstripe.Product.objects.get().name == "Two"


def fail_for(monkeypatch: pytest.MonkeyPatch, object_id: str | None, error: Exception) -> list[Ref]:
    """Make Stripe's answers about one object, or all, an error; return the list of what was asked meanwhile."""
    asked: list[Ref] = []

    def failing_fetch(refs: Any, *, account: Any) -> Any:
        asked.extend(refs)
        return {ref: error if object_id in (None, ref.id) else fetch(ref, account=account) for ref in refs}

    monkeypatch.setattr(inquiry, "fetch_many", failing_fetch)
    monkeypatch.setattr(apply, "stories", lambda events, *, api_version: stories(events, api_version="another"))
    return asked


def test_a_parent_fetched_for_its_child_is_news_for_the_childs_event(shop, take_events, heard):
    """The child's event may overtake the parent's own: what it brought must not read as an old story."""
    price = shop.price(shop.product().id)
    take_events()
    InboxEvent.objects.exclude(object_id=price.id).delete()
    mirror()
    at = InboxEvent.objects.get().occurred_at
    assert {change.kind: change.at for change in heard} == {"product": at, "price": at}


def test_an_account_whose_key_is_refused_does_not_hold_up_the_others(shop, take_events, settings):
    shop.customer()
    take_events()
    settings.STRIPE_ACCOUNTS = {"other": {"secret_key": "revoked"}}
    event = an_event(id="evt_other")
    store_events([event], source="stripe.com", door=Door.WEBHOOK, owner="other", now=timezone.now())
    mirror()
    other = InboxEvent.objects.get(owner="other")
    assert (other.state, other.attempts) == (InboxState.RECEIVED, 1)
    assert other.error.startswith("AuthenticationError")
    assert InboxEvent.objects.get(owner="").state == InboxState.MIRRORED


def test_an_event_of_an_account_that_is_configured_no_more_is_kept_and_says_so(stripe):
    store_events([an_event()], source="stripe.com", door=Door.WEBHOOK, owner="gone", now=timezone.now())
    mirror()
    event = InboxEvent.objects.get()
    assert event.state == InboxState.STORED
    assert "configured no more" in event.error
