from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx
import pytest
import stripe as stripe_library
from django.utils import timezone
from djstripe import models as djstripe

from billing.inbox.claim import claim
from billing.inbox.intake import store_event
from billing.inbox.models import Door, InboxEvent, InboxState
from billing.mirror import apply, objects
from billing.mirror.fetch import fetch
from billing.mirror.kinds import Ref
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


def test_many_events_of_one_object_cost_one_question(shop, take_events, asked):
    product = shop.product()
    for number in range(5):
        shop.stripe.v1.products.update(product.id, {"name": f"Pro {number}"})
    take_events()
    asked.clear()
    mirror()
    assert [path for path in asked if path.startswith("/v1/products/")] == [f"/v1/products/{product.id}"]
    assert djstripe.Product.objects.get().name == "Pro 4"
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
    product = shop.product("Old")
    take_events()
    shop.stripe.v1.products.update(product.id, {"name": "New"})
    mirror()
    assert djstripe.Product.objects.get().name == "New"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"type": "some.type.of.tomorrow", "data": {"object": {"id": "x_1", "object": "tomorrow"}}}, ""),
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
    assert asked == []


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
    assert (failed.state, failed.attempts, failed.error) == (InboxState.RECEIVED, 1, "ValueError: no such column")
    assert failed.due_at and failed.due_at > timezone.now()
    assert failed.claimed_until is None
    monkeypatch.undo()


def test_a_failure_is_tried_again_ever_later_and_then_waits_for_a_person(shop, take_events, monkeypatch):
    product = shop.product()
    take_events()
    fail_for(monkeypatch, product.id, ValueError("no such column"))
    waits = []
    now = timezone.now() + timedelta(seconds=1)
    for _ in range(apply.ATTEMPTS):
        assert apply.mirror_due(partial(datetime.fromtimestamp, now.timestamp(), UTC), budget_seconds=30) == 1
        event = InboxEvent.objects.get()
        if event.due_at:
            waits.append(event.due_at - now)
            now = event.due_at
    assert event.state == InboxState.FAILED
    assert event.attempts == apply.ATTEMPTS
    for attempt, wait in enumerate(waits):
        full = min(apply.FIRST_WAIT * 2**attempt, apply.LONGEST_WAIT)
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
    fetches = fail_for(monkeypatch, None, error)
    for hour in range(apply.ATTEMPTS * 2):
        mirror(later=timedelta(hours=hour))
    assert len(fetches) == apply.ATTEMPTS * 2  # one question a run, not one an object
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

    monkeypatch.setattr(objects, "after_mirrored", fail)
    mirror()
    assert not djstripe.Product.objects.exists()
    assert InboxEvent.objects.get().error == "RuntimeError: reaction"


def test_reactions_hear_what_was_before_and_is_now_and_of_the_newest_event(shop, take_events, monkeypatch):
    heard: list[Any] = []
    monkeypatch.setattr(
        objects, "after_mirrored", lambda kind, before, after, *, event, now: heard.append((kind, before, after, event))
    )
    product = shop.product("One")
    take_events()
    mirror()
    shop.stripe.v1.products.update(product.id, {"name": "Two"})
    shop.stripe.v1.products.update(product.id, {"name": "Three"})
    take_events()
    mirror()
    (kind, before, after, event), (_, later_before, later_after, later_event) = heard
    assert (kind, before, after["name"], event.type) == ("product", None, "One", "product.created")
    assert (later_before["name"], later_after["name"]) == ("One", "Three")
    assert later_event == InboxEvent.objects.latest("pk")


def test_when_the_budget_is_used_up_what_was_claimed_is_given_back(shop, take_events):
    shop.product()
    take_events()
    events = claim(limit=9, now=timezone.now())
    assert apply.mirror_batch(events, timezone.now, end=0) is False
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
    fetches: list[Ref] = []

    def failing(ref: Ref) -> Any:
        fetches.append(ref)
        if object_id in (None, ref.id):
            raise error
        return fetch(ref)

    monkeypatch.setattr(objects, "fetch", failing)
    return fetches


def test_a_parent_fetched_for_its_child_is_news_for_the_childs_event(shop, take_events, monkeypatch):
    """The child's event may overtake the parent's own: what it brought must not read as an old story."""
    heard: dict[str, InboxEvent | None] = {}
    monkeypatch.setattr(
        objects, "after_mirrored", lambda kind, before, after, *, event, now: heard.update({kind: event})
    )
    price = shop.price(shop.product().id)
    take_events()
    InboxEvent.objects.exclude(object_id=price.id).delete()
    mirror()
    assert heard == {"product": InboxEvent.objects.get(), "price": InboxEvent.objects.get()}
