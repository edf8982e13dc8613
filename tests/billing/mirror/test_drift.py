"""Drift: what counts as a difference, what explains one, and what is healed and written down."""

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from djstripe import models as djstripe
from hypothesis import given
from hypothesis import strategies as st

from billing.inbox.models import InboxEvent
from billing.mirror import asking, drift
from billing.mirror.compare import differences
from billing.mirror.drift import changed_lately, check_drift, comparable, sampled
from billing.mirror.history import DriftCheck, DriftDifference
from billing.mirror.kinds import Ref, kind_for
from billing.mirror.readtables import InvoiceRow, SubscriptionRow
from billing.stripe_accounts import primary

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_patience(settings):
    settings.DRIFT_PATIENCE_SECONDS = 0.0


def check(*kinds: str, sample: int = 20, heal: bool = True) -> DriftCheck:
    chosen = [kind_for(name) for name in kinds] or comparable()
    return check_drift(chosen, account=primary(), clock=timezone.now, sample=sample, heal=heal)


def falsify(product_id: str, **values: Any) -> None:
    """Change the mirror's row behind everybody's back."""
    row = djstripe.Product.objects.get(id=product_id)
    djstripe.Product.objects.filter(id=product_id).update(stripe_data={**row.stripe_data, **values})


def test_a_mirror_that_says_what_stripe_says_has_no_drift(shop, mirror_events):
    price = shop.price(shop.product().id)
    customer = shop.customer()
    shop.give_card(customer.id)
    shop.subscription(customer.id, price.id)
    mirror_events()
    done = check()
    assert (done.differing, done.error) == (0, "")
    assert done.looked_at >= 8
    assert done.per_kind["invoice"] == {"looked_at": 1, "differing": 0, "healed": 0}
    assert done.finished_at


def test_each_difference_is_written_down_field_by_field_and_healed(shop, mirror_events):
    product, right = shop.product("Right"), shop.product("Also right")
    mirror_events()
    falsify(product.id, name="Wrong", metadata={"plan": "none"})
    done = check("product")
    assert (done.looked_at, done.differing, done.healed) == (2, 1, 1)
    found = {difference.path: difference for difference in done.differences.all()}
    assert (found["name"].ours, found["name"].theirs) == ("Wrong", "Right")
    assert (found["metadata.plan"].ours, found["metadata.plan"].theirs) == ("none", None)
    assert all(difference.healed_at and difference.object_id == product.id for difference in found.values())
    assert djstripe.Product.objects.get(id=product.id).name == "Right"
    assert check("product").differing == 0
    assert djstripe.Product.objects.get(id=right.id).name == "Also right"


def test_what_was_found_is_an_event_of_our_own_and_nothing_is_none(shop, mirror_events):
    product = shop.product("Right")
    mirror_events()
    falsify(product.id, name="Wrong", metadata={"plan": "none"})
    done = check("product")
    check("product")
    event = InboxEvent.objects.get(source="kessai")
    assert (event.external_id, event.type) == (f"drift.found:{done.pk}", "drift.found")
    assert event.payload["detail"] == {
        "check": done.pk,
        "account": "",
        "looked_at": 1,
        "differing": 1,
        "healed": 1,
        "per_kind": {"product": {"looked_at": 1, "differing": 1, "healed": 1}},
        "examples": [{"kind": "product", "id": product.id}],
    }


def test_it_may_be_left_as_it_is(shop, mirror_events):
    product = shop.product("Right")
    mirror_events()
    falsify(product.id, name="Wrong")
    done = check("product", heal=False)
    assert (done.differing, done.healed) == (1, 0)
    assert DriftDifference.objects.get().healed_at is None
    assert djstripe.Product.objects.get().stripe_data["name"] == "Wrong"


def falsify_columns(subscription_id: str) -> None:
    """What pages and lists filter on, while the objects stay right."""
    djstripe.Subscription.objects.filter(id=subscription_id).update(created=None)
    SubscriptionRow.objects.filter(pk=subscription_id).update(status="canceled", monthly_amount=1)
    djstripe.SubscriptionItem.objects.filter(subscription_id=subscription_id).update(metadata={"seats": "99"})


def test_columns_and_read_model_that_say_another_thing_than_the_object_are_drift(shop, mirror_events):
    customer = shop.customer()
    shop.give_card(customer.id)
    subscription = shop.subscription(customer.id, shop.price(shop.product().id).id)
    mirror_events()
    stamp = djstripe.Subscription.objects.get().created.isoformat()
    falsify_columns(subscription.id)
    done = check("subscription")
    assert (done.looked_at, done.differing, done.healed) == (1, 1, 1)
    item = djstripe.SubscriptionItem.objects.get()
    assert {difference.path: (difference.ours, difference.theirs) for difference in done.differences.all()} == {
        f"djstripe_subscription[{subscription.id}].created": (None, stamp),
        f"djstripe_subscriptionitem[{item.id}].metadata": ({"seats": "99"}, {}),
        f"billing_subscriptionrow[{subscription.id}].monthly_amount": (1, 5000),
        f"billing_subscriptionrow[{subscription.id}].status": ("canceled", "active"),
    }
    assert SubscriptionRow.objects.get().status == "active"
    assert item.metadata == {}
    assert check("subscription").differing == 0


def test_columns_too_may_be_left_as_they_are(shop, mirror_events):
    product = shop.product("Right")
    mirror_events()
    djstripe.Product.objects.update(name="Wrong")
    done = check("product", heal=False)
    assert (done.differing, done.healed) == (1, 0)
    assert done.differences.get().path == f"djstripe_product[{product.id}].name"
    assert djstripe.Product.objects.get().name == "Wrong"


def test_a_row_that_was_lost_from_the_read_model_comes_back(shop, mirror_events):
    customer = shop.customer()
    shop.give_card(customer.id)
    shop.subscription(customer.id, shop.price(shop.product().id).id)
    mirror_events()
    InvoiceRow.objects.all().delete()
    assert check("invoice").healed == 1
    assert InvoiceRow.objects.get().status == "paid"


def test_an_object_that_stripe_has_no_more_is_drift(shop, mirror_events):
    product = shop.product()
    mirror_events()
    shop.stripe.v1.products.delete(product.id)
    done = check("product")
    assert (done.differing, done.healed) == (1, 1)
    difference = DriftDifference.objects.get()
    assert (difference.path, difference.ours["id"], difference.theirs) == ("", product.id, None)
    assert check("product").looked_at == 0  # what is known to be gone is not asked about


def test_an_object_whose_event_waits_is_late_and_no_drift(shop, mirror_events, take_events):
    product = shop.product("Old")
    mirror_events()
    shop.stripe.v1.products.update(product.id, {"name": "New"})
    take_events()
    done = check("product")
    assert (done.looked_at, done.differing) == (0, 0)
    assert djstripe.Product.objects.get().name == "Old"


def test_an_event_that_comes_while_it_is_looked_at_explains_the_difference(shop, mirror_events, monkeypatch):
    product = shop.product("Old")
    mirror_events()
    shop.stripe.v1.products.update(product.id, {"name": "New"})
    fetch_many, looks = drift.fetch_many, []

    def slow(refs: list[Ref], **more: Any) -> Any:
        answers = fetch_many(refs, **more)
        looks.append(len(refs))
        if len(looks) == 1:
            mirror_events()
        return answers

    monkeypatch.setattr(drift, "fetch_many", slow)
    done = check("product")
    assert (done.looked_at, done.differing) == (1, 0)
    assert len(looks) == 2


def test_an_object_that_changes_all_the_time_is_not_settled(shop, mirror_events, monkeypatch):
    product = shop.product("Old")
    mirror_events()
    fetch_many = drift.fetch_many

    def restless(refs: list[Ref], **more: Any) -> Any:
        falsify(product.id, name="Other")
        asking.refresh(refs, account=primary(), clock=timezone.now)
        return fetch_many(refs, **more)

    monkeypatch.setattr(drift, "fetch_many", restless)
    assert check("product").differing == 0


def test_one_object_that_cannot_be_asked_about_leaves_the_others(shop, mirror_events, fault):
    products = [shop.product() for _ in range(4)]
    mirror_events()
    falsify(products[1].id, name="Wrong")
    fault("server_error", path=f"/v1/products/{products[0].id}")
    done = check("product")
    assert (done.looked_at, done.differing) == (3, 1)
    assert "unknown error" in done.error


def test_when_stripe_is_away_it_says_so_and_stops(shop, mirror_events, settings, monkeypatch):
    monkeypatch.setattr("billing.stripe_reading.FIRST_WAIT", 0.001)
    shop.product()
    mirror_events()
    settings.STRIPE_API_BASE = "http://127.0.0.1:1"
    done = check("product")
    assert (done.looked_at, done.differing) == (0, 0)
    assert done.error and done.finished_at


def test_what_changed_lately_is_looked_at_whatever_the_sample(shop, mirror_events):
    check("product")
    products = [shop.product().id for _ in range(5)]
    mirror_events()
    done = check("product", sample=0)
    assert done.looked_at == 5
    lately = changed_lately(DriftCheck.objects.create(started_at=timezone.now()), account=primary())
    assert {ref.id for ref in lately} <= set(products)


def test_a_sample_is_of_living_rows_of_this_account(shop, mirror_events, use_key):
    gone, *others = [shop.product().id for _ in range(6)]
    shop.stripe.v1.products.delete(gone)
    mirror_events()
    seen = {ref.id for _ in range(20) for ref in sampled(kind_for("product"), 3, account=primary())}
    assert seen == set(others)
    assert len(sampled(kind_for("product"), 2, account=primary())) <= 2
    use_key("sk_test_51" + "K" * 15 + "0" * 16)
    assert sampled(kind_for("product"), 3, account=primary()) == []


def test_old_checks_are_forgotten(shop):
    old = DriftCheck.objects.create(started_at=timezone.now() - drift.KEPT * 2)
    check("product")
    assert not DriftCheck.objects.filter(pk=old.pk).exists()


def test_the_command_tells_people_and_programs(shop, mirror_events):
    product = shop.product("Right")
    mirror_events()
    falsify(product.id, name="Wrong")
    out = StringIO()
    call_command("drift", "product", "--json", "--no-heal", "--sample", "5", stdout=out)
    [told] = json.loads(out.getvalue())
    assert (told["looked_at"], told["differing"], told["healed"]) == (1, 1, 0)
    assert {"kind": "product", "object": product.id, "path": "name", "ours": "Wrong", "theirs": "Right"} in told[
        "differences"
    ]
    out = StringIO()
    call_command("drift", "product", stdout=out)
    assert f'product {product.id} name: "Wrong" in the mirror, "Right" at Stripe' in out.getvalue()
    with pytest.raises(CommandError, match="There is no kind prodcut"):
        call_command("drift", "prodcut")


@pytest.mark.parametrize(
    ("ours", "theirs", "paths"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, ["a"]),
        ({"a": 1}, {"a": True}, ["a"]),  # Python holds them equal, JSON does not
        ({"a": None}, {}, []),  # nothing is nothing
        ({"a": {"b": [1, {"c": 2}]}}, {"a": {"b": [1, {"c": 3}]}}, ["a.b[1].c"]),
        ({"a": [1, 2]}, {"a": [1]}, ["a"]),  # a list of another length differs as a whole
        ({"id": "x"}, None, [""]),
        (None, {"id": "x"}, [""]),
        (None, None, []),
    ],
)
def test_differences_are_told_by_their_paths(ours, theirs, paths):
    assert [difference.path for difference in differences("product", ours, theirs)] == paths


def test_what_stripe_writes_anew_into_each_answer_is_no_difference():
    ours = {"id": "in_1", "invoice_pdf": "https://pay.example/1?s=ap", "total": 1}
    assert differences("invoice", ours, {**ours, "invoice_pdf": "https://pay.example/1?s=il"}) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from("abc"), JSON), st.dictionaries(st.sampled_from("abc"), JSON))
def test_there_is_a_difference_exactly_when_the_objects_differ(ours, theirs):
    def known(data: Any) -> Any:
        if isinstance(data, dict):
            return {name: known(value) for name, value in data.items() if value is not None}
        return [known(value) for value in data] if isinstance(data, list) else (type(data), data)

    assert bool(differences("product", ours, theirs)) == (known(ours) != known(theirs))


def test_a_sample_of_less_than_nothing_is_refused():
    with pytest.raises(CommandError, match="write 0 or more"):
        call_command("drift", "--sample", "-1")
