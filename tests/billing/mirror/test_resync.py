import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from djstripe import models as djstripe

from billing.inbox.models import InboxEvent, InboxState
from billing.mirror import resync
from billing.mirror.fetch import fetch_all
from billing.mirror.kinds import KINDS

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> dict[str, Any]:
    out = StringIO()
    call_command("resync", *arguments, "--json", stdout=out)
    counts: dict[str, Any] = json.loads(out.getvalue())
    return counts


def counts(*, created: int = 0, updated: int = 0, unchanged: int = 0, deleted: int = 0) -> dict[str, int]:
    return {"created": created, "updated": updated, "unchanged": unchanged, "deleted": deleted, "refused": 0}


def test_an_empty_mirror_is_filled_with_everything(shop):
    price = shop.price(shop.product().id)
    customer = shop.customer()
    shop.give_card(customer.id)
    shop.subscription(customer.id, price.id)
    done = run()
    for name in ("product", "price", "customer", "subscription", "invoice"):
        assert done[name]["created"] + done[name]["unchanged"] == 1, name
    assert djstripe.Subscription.objects.get().items.get().price.id == price.id
    assert djstripe.PaymentMethod.objects.get().customer_id == customer.id
    assert djstripe.Customer.objects.get().default_payment_method
    assert djstripe.APIKey.objects.count() == 0


def test_a_second_resync_finds_everything_unchanged_and_asks_for_no_single_object(shop, asked):
    price = shop.price(shop.product().id)
    customer = shop.customer()
    shop.give_card(customer.id)
    shop.subscription(customer.id, price.id)
    run()
    asked.clear()
    done = run()
    for name, outcome in done.items():
        assert "unavailable" in outcome or outcome == counts(unchanged=outcome["unchanged"]), name
    assert len(asked) == len(done)  # one page of each kind
    assert done["subscription"] == counts(unchanged=1)


def test_a_dry_run_says_what_would_change_and_changes_nothing(shop):
    known = shop.product("Old")
    run("product")
    shop.stripe.v1.products.update(known.id, {"name": "New"})
    shop.product("Another")
    assert run("product", "--dry-run")["product"] == counts(created=1, updated=1)
    assert djstripe.Product.objects.get().name == "Old"
    assert run("product")["product"] == counts(created=1, updated=1)
    assert djstripe.Product.objects.get(id=known.id).name == "New"


def test_more_than_a_page_is_read_to_the_end(shop, monkeypatch):
    monkeypatch.setattr("billing.mirror.fetch.PAGE", 3)
    for number in range(7):
        shop.product(f"Plan {number}")
    assert run("product")["product"] == counts(created=7)


def test_one_object_alone_is_resynced_by_its_id(shop):
    product, other = shop.product(), shop.product()
    assert run("--object", product.id) == {"product": counts(created=1)}
    assert run("--object", product.id) == {"product": counts(unchanged=1)}
    assert not djstripe.Product.objects.filter(id=other.id).exists()


def test_one_object_that_stripe_has_no_more_is_marked(shop):
    product = shop.product()
    run("product")
    shop.stripe.v1.products.delete(product.id)
    assert run("--object", product.id, "--dry-run") == {"product": counts(deleted=1)}
    assert run("--object", product.id) == {"product": counts(deleted=1)}
    assert run("--object", product.id) == {"product": counts(unchanged=1)}
    assert djstripe.Product.objects.get().active is False


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--object", "SUMMER"], "Which kind of object is SUMMER"),
        (["--object", "prod_unknown"], "Neither Stripe nor the mirror knows"),
        (["prodcut"], "There is no kind prodcut"),
    ],
)
def test_what_it_cannot_do_it_says_in_a_sentence(stripe, arguments, sentence):
    with pytest.raises(CommandError, match=sentence):
        run(*arguments)


def test_an_unreachable_stripe_is_said_in_a_sentence(stripe, settings):
    from billing import stripe_client

    settings.STRIPE_API_BASE = "http://127.0.0.1:1"
    stripe_client.stripe_client.cache_clear()
    with pytest.raises(CommandError, match="Stripe cannot be reached"):
        run("product")


def test_a_wrong_key_is_said_in_a_sentence_without_the_key(stripe, settings):
    from billing import stripe_client

    settings.STRIPE_SECRET_KEY = "nonsense_key_0123456789"
    stripe_client.stripe_client.cache_clear()
    with pytest.raises(CommandError, match="Stripe refused the key") as refused:
        run("product")
    assert "nonsense_key_0123456789" not in str(refused.value)


def test_the_table_for_people_names_every_kind_and_what_was_left_out(shop):
    shop.product()
    out = StringIO()
    call_command("resync", "product", "payout", stdout=out)
    assert "product" in out.getvalue()
    assert "Left out, because Stripe does not offer this kind here: payout." in out.getvalue()


def test_an_object_that_the_tables_cannot_hold_does_not_stop_the_others(shop, monkeypatch):
    for number in range(3):
        shop.price(shop.product().id, amount=number)
    pages = list(resync.fetch_all(KINDS["price"]))  # type: ignore[attr-defined]
    pages[0][1]["product"] = None
    monkeypatch.setattr(resync, "fetch_all", lambda kind, **_: iter(pages))
    with pytest.raises(CommandError, match="no place for: 1"):
        run("price")
    assert djstripe.Price.objects.count() == 2


def test_a_list_that_is_older_than_the_mirror_does_not_overwrite_it(shop, mirror_events, monkeypatch):
    """Between the list and the write an event is mirrored: the newer state stays."""
    product = shop.product("Old")
    mirror_events()
    stale = next(fetch_all(KINDS["product"]))
    shop.stripe.v1.products.update(product.id, {"name": "New"})
    mirror_events()
    monkeypatch.setattr(resync, "fetch_all", lambda kind, **_: iter([stale]))
    run("product")
    assert djstripe.Product.objects.get().name == "New"


def test_waiting_events_of_a_resynced_object_are_done_with_it(shop, take_events):
    product = shop.product()
    run("--object", product.id)
    take_events()
    run("--object", product.id)
    assert InboxEvent.objects.get().state == InboxState.MIRRORED


@pytest.mark.parametrize("prefix", list(resync.PREFIXES))
def test_every_prefix_names_a_kind_of_the_mirror(prefix):
    assert resync.kind_of(f"{prefix}1") in KINDS
