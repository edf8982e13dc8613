"""Resyncs of a few objects: what is counted, what is written, and what is said when it cannot be done."""

import json
import time
from collections import Counter
from io import StringIO
from typing import Any

import httpx
import pytest
from django.core.management import CommandError, call_command
from djstripe import models as djstripe

from billing.inbox.models import InboxEvent, InboxState
from billing.mirror import fetch, resync, resync_lists, resync_parts
from billing.mirror.fetch import list_page
from billing.mirror.history import ResyncNote, ResyncPart, ResyncRun
from billing.mirror.kinds import kind_for
from billing.mirror.models import MirrorGate
from billing.mirror.raw import RawObject
from billing.mirror.resync_counts import outcomes
from billing.mirror.tables import read

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def no_patience(settings):
    settings.DRIFT_PATIENCE_SECONDS = 0.0


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
    for name in ("product", "price", "customer", "payment_method", "subscription", "invoice", "charge"):
        assert done[name] == counts(created=1), name
    assert djstripe.Subscription.objects.get().items.get().price.id == price.id
    assert djstripe.PaymentMethod.objects.get().customer_id == customer.id
    assert djstripe.Customer.objects.get().default_payment_method
    assert djstripe.APIKey.objects.count() == 0


def test_a_second_resync_finds_everything_unchanged_and_asks_for_no_single_object(shop, asked):
    price = shop.price(shop.product().id)
    customer = shop.customer()
    shop.give_card(customer.id)
    subscription = shop.subscription(customer.id, price.id)
    run()
    asked.clear()
    done = run()
    for name, outcome in done.items():
        assert "unavailable" in outcome or outcome == counts(unchanged=outcome["unchanged"]), name
    assert done["subscription"] == counts(unchanged=1)
    assert not any(path.endswith((customer.id, price.id, subscription.id)) for path in asked)


def pay(shop, customer: str, card: str) -> Any:
    method = shop.stripe.v1.payment_methods.attach(card, {"customer": customer})
    given = {"amount": 900, "currency": "usd", "customer": customer, "payment_method": method.id, "confirm": True}
    return shop.stripe.v1.payment_intents.create({**given, "off_session": True})


def test_one_customer_is_brought_with_refunds_and_disputes_which_only_charges_know(shop):
    customer, other = shop.customer(), shop.customer()
    disputed, refunded = (pay(shop, customer.id, card) for card in ("pm_card_createDispute", "pm_card_visa"))
    foreign = pay(shop, other.id, "pm_card_createDispute")
    for payment, amount in ((refunded, 100), (refunded, 200)):
        shop.stripe.v1.refunds.create({"payment_intent": payment.id, "amount": amount})
    done = run("--customer", customer.id)
    assert done["refund"] == counts(created=2)
    assert done["dispute"] == counts(created=1)
    assert djstripe.Dispute.objects.get().stripe_data["payment_intent"] == disputed.id != foreign.id
    assert {refund.stripe_data["amount"] for refund in djstripe.Refund.objects.all()} == {100, 200}
    again = run("--customer", customer.id)
    assert (again["refund"], again["dispute"]) == (counts(unchanged=2), counts(unchanged=1))
    assert djstripe.Customer.objects.count() == 1


@pytest.mark.parametrize("option", ["--check", "--dry-run"])
def test_a_check_says_what_differs_field_by_field_and_changes_nothing(shop, option):
    known = shop.product("Old")
    run("product")
    shop.stripe.v1.products.update(known.id, {"name": "New"})
    shop.product("Another")
    assert run("product", option)["product"] == counts(created=1, updated=1)
    out = StringIO()
    call_command("resync", "product", option, stdout=out)
    assert f'product {known.id} name: "Old" in the mirror, "New" at Stripe' in out.getvalue()
    assert djstripe.Product.objects.get().name == "Old"
    assert run("product")["product"] == counts(created=1, updated=1)
    assert djstripe.Product.objects.get(id=known.id).name == "New"


def test_more_than_a_page_is_read_to_the_end(shop, monkeypatch):
    monkeypatch.setattr("billing.mirror.fetch.PAGE", 3)
    for number in range(7):
        shop.product(f"Plan {number}")
    assert run("product")["product"] == counts(created=7)


def test_many_objects_of_one_second_are_each_looked_at_once(shop, monkeypatch):
    """Pages meet within a second: what the page before has listed is not missing from the next."""
    monkeypatch.setattr("billing.mirror.fetch.PAGE", 3)
    for number in range(8):
        shop.product(f"Plan {number}")
    run("product")
    assert run("product")["product"] == counts(unchanged=8)


def test_one_object_alone_is_resynced_by_its_id(shop):
    product, other = shop.product(), shop.product()
    assert run("--object", product.id) == {"product": counts(created=1)}
    assert run("--object", product.id) == {"product": counts(unchanged=1)}
    assert not djstripe.Product.objects.filter(id=other.id).exists()


def test_one_object_that_stripe_has_no_more_is_marked(shop):
    product = shop.product()
    run("product")
    shop.stripe.v1.products.delete(product.id)
    assert run("--object", product.id, "--check") == {"product": counts(deleted=1)}
    assert run("--object", product.id) == {"product": counts(deleted=1)}
    assert run("--object", product.id) == {"product": counts(unchanged=1)}
    assert djstripe.Product.objects.get().active is False


def test_the_ways_to_pay_that_a_customer_has_given_up_are_noticed(shop):
    customer = shop.customer()
    method = shop.give_card(customer.id)
    run("customer", "payment_method")
    shop.stripe.v1.payment_methods.detach(method.id)
    assert run("payment_method")["payment_method"] == counts(updated=1)
    assert djstripe.PaymentMethod.objects.get().customer_id is None


def test_customers_that_are_known_are_asked_about_from_the_beginning_and_new_ones_once(shop, asked):
    known = sorted(shop.customer().id for _ in range(3))
    run("customer")
    shop.stripe.v1.customers.delete(known.pop())
    new = shop.customer().id
    asked.clear()
    run("customer", "payment_method")
    parents = Counter[tuple[bool, str]]()
    for part in ResyncPart.objects.filter(kind="payment_method"):
        parents.update((part.stage > 0, parent) for parent in part.params["parents"])
    assert parents[True, new] == 1 and all(parents[False, customer] == 1 for customer in known)
    for customer in (*known, new):
        assert asked.count(f"/v1/customers/{customer}/payment_methods") == 1


def test_a_part_that_was_broken_off_goes_on_after_its_last_parent():
    part = ResyncPart(kind="payment_method", params={"parents": ["cus_b", "cus_a", "cus_c"]}, cursor="cus_a")
    assert resync_parts.parents_of(part) == ["cus_c"]


def test_tax_ids_come_with_their_customers(shop, asked):
    customer = shop.customer()
    shop.stripe.v1.customers.tax_ids.create(customer.id, {"type": "eu_vat", "value": "DE123456789"})
    asked.clear()
    done = run("customer", "tax_id")
    assert djstripe.TaxId.objects.get().customer_id == customer.id
    assert "tax_ids" not in read(kind_for("customer"), [customer.id])[customer.id]
    assert not any(path.endswith("/tax_ids") for path in asked)
    assert run("tax_id")["tax_id"] == counts(unchanged=1)
    assert done["customer"] == counts(created=1)


def test_what_lives_by_a_test_clock_is_there_too(shop):
    clock = shop.stripe.v1.test_helpers.test_clocks.create({"frozen_time": 1_790_000_000})
    price = shop.price(shop.product().id)
    customer = shop.customer(test_clock=clock.id)
    shop.give_card(customer.id)
    subscription = shop.subscription(customer.id, price.id)
    done = run()
    assert djstripe.Customer.objects.get().id == customer.id
    assert djstripe.Subscription.objects.get().id == subscription.id
    assert djstripe.Invoice.objects.get().customer_id == customer.id
    assert done["test_helpers.test_clock"] == counts(created=1)
    again = run()
    assert again["customer"] == again["invoice"] == again["charge"] == counts(unchanged=1)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--object", "SUMMER"], "Which kind of object is SUMMER"),
        (["--object", "prod_unknown"], "Neither Stripe nor the mirror knows"),
        (["--object", "prod_unknown", "--check"], "Neither Stripe nor the mirror knows"),
        (["--customer", "cus_unknown"], "Neither Stripe nor the mirror knows"),
        (["prodcut"], "There is no kind prodcut"),
        (["product", "--since", "yesterday"], "yesterday is no time"),
        (["product", "--account", "elsewhere"], "No Stripe account is configured under the name 'elsewhere'"),
    ],
)
def test_what_it_cannot_do_it_says_in_a_sentence(stripe, arguments, sentence):
    with pytest.raises(CommandError, match=sentence):
        run(*arguments)


def test_an_unreachable_stripe_is_said_in_a_sentence(stripe, settings, monkeypatch):
    monkeypatch.setattr("billing.stripe_reading.FIRST_WAIT", 0.001)
    settings.STRIPE_API_BASE = "http://127.0.0.1:1"
    with pytest.raises(CommandError, match="Stripe cannot be reached"):
        run("product")


def test_a_wrong_key_is_said_in_a_sentence_without_the_key(stripe, use_key):
    use_key("nonsense_key_0123456789")
    with pytest.raises(CommandError, match="Stripe refused the key") as refused:
        run("product")
    assert "nonsense_key_0123456789" not in str(refused.value)


def test_the_table_for_people_names_every_kind_and_what_was_left_out(shop):
    shop.product()
    out = StringIO()
    call_command("resync", "product", "payout", stdout=out)
    assert "product" in out.getvalue()
    assert "Left out: payout. Stripe does not offer it here." in out.getvalue()


def test_an_object_that_its_table_cannot_hold_is_kept_whole_and_found_again(shop, monkeypatch):
    for number in range(3):
        shop.price(shop.product().id, amount=number)
    run("product")
    listed = list_page("/v1/prices", {"expand": ["data.currency_options", "data.tiers"]})
    listed.objects[1]["product"] = None
    monkeypatch.setattr(resync_lists, "list_page", lambda *_args, **_more: listed)
    assert run("price")["price"] == counts(created=3)
    assert djstripe.Price.objects.count() == 2
    assert RawObject.objects.get().id == listed.objects[1]["id"]
    assert run("price")["price"] == counts(unchanged=3)


def test_a_list_that_is_older_than_the_mirror_does_not_overwrite_it(shop, mirror_events, monkeypatch):
    """Between the list and the write an event is mirrored: the newer state stays."""
    product = shop.product("Old")
    mirror_events()
    stale = list_page("/v1/products", {})
    shop.stripe.v1.products.update(product.id, {"name": "New"})
    mirror_events()
    monkeypatch.setattr(resync_lists, "list_page", lambda *_args, **_more: stale)
    run("product")
    assert djstripe.Product.objects.get().name == "New"


def test_events_of_what_was_resynced_need_not_be_asked_about(shop, take_events, mirror_events, asked):
    shop.product()
    take_events()
    run("product")
    asked.clear()
    mirror_events()
    assert InboxEvent.objects.get().state == InboxState.MIRRORED
    assert djstripe.Product.objects.count() == 1


def test_a_run_is_kept_with_its_counts(shop):
    shop.product()
    run("product", "coupon")
    kept = ResyncRun.objects.get()
    assert kept.state == "done"
    assert outcomes(kept)["", "product"].counts == {"created": 1}


def test_what_it_wrote_before_it_was_stopped_is_counted_though_nobody_kept_its_place(shop, monkeypatch):
    for number in range(3):
        shop.product(f"Plan {number}")

    def killed(*_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(resync, "keep_place", killed)
        with pytest.raises(SystemExit):
            run("product")
    assert djstripe.Product.objects.count() == 3
    shop.product("Later")
    assert run("product")["product"] == counts(created=4)
    assert not ResyncNote.objects.exists()


def test_a_review_whose_end_was_never_told_is_closed_though_stripe_lists_open_ones_alone(shop, mirror_events, sandbox):
    payment = pay(shop, shop.customer().id, "pm_card_visa")
    opened = httpx.post(f"{sandbox}/_sandbox/reviews", json={"charge": payment.latest_charge}).json()
    mirror_events()
    shop.stripe.v1.reviews.approve(opened["id"])
    assert run("--check", "review")["review"] == counts(updated=1)
    assert run("review")["review"] == counts(updated=1)
    assert djstripe.Review.objects.get().stripe_data["open"] is False
    assert run("review")["review"] == counts()  # it is not asked about again


def test_a_tax_id_whose_end_was_never_told_is_marked_though_it_comes_with_its_customer(shop, mirror_events):
    customer = shop.customer()
    taxes = shop.stripe.v1.customers.tax_ids
    kept, given_up = (taxes.create(customer.id, {"type": "jp_trn", "value": f"T123456789123{n}"}) for n in (4, 5))
    mirror_events()
    taxes.delete(customer.id, given_up.id)
    check, done, again = run("--check", "customer", "tax_id"), run("customer", "tax_id"), run("customer", "tax_id")
    assert (check["customer"], check["tax_id"]) == (counts(unchanged=1), counts(deleted=1))
    assert (done["customer"], done["tax_id"]) == (counts(unchanged=1), counts(deleted=1))
    assert "tax_id" not in again
    assert djstripe.TaxId.objects.get().id == kept.id


def test_features_that_products_get_and_lose_are_found_in_their_list_alone(shop, later):
    """Stripe has no event that tells of them, and answers none by its id."""
    v1: Any = shop.stripe.v1
    product = shop.product()
    feature = v1.entitlements.features.create({"name": "Audit log", "lookup_key": "audit"})
    given = v1.products.features.create(product.id, {"entitlement_feature": feature.id})
    names = ("product", "entitlements.feature", "product_feature")
    run("product", "entitlements.feature")
    assert run("--check", *names)["product_feature"] == counts(created=1)
    assert run(*names)["product_feature"] == counts(created=1)
    assert run("--check", *names)["product_feature"] == counts(unchanged=1)
    v1.products.features.delete(product.id, given.id)
    later()
    assert run("--check", *names)["product_feature"] == counts(deleted=1)
    assert run(*names)["product_feature"] == counts(deleted=1)
    assert not djstripe.ProductFeature.objects.exists()
    assert run(*names)["product_feature"] == counts()


@pytest.fixture
def later():
    """Wait until Stripe's clock surely shows more than it did when its answers were written last."""

    def wait() -> None:
        highest = max(MirrorGate.objects.values_list("high", flat=True))
        while fetch.list_page("/v1/products", {}).low <= highest:
            time.sleep(0.1)

    return wait


@pytest.mark.parametrize("end", ["the subscription's", "the customer's"])
@pytest.mark.parametrize("first", ["an event", "a resync"])
def test_an_entitlement_whose_end_was_never_told_is_marked(shop, mirror_events, first, end):
    v1: Any = shop.stripe.v1
    product, customer = shop.product(), shop.customer()
    feature = v1.entitlements.features.create({"name": "Audit log", "lookup_key": "audit"})
    v1.products.features.create(product.id, {"entitlement_feature": feature.id})
    shop.give_card(customer.id)
    subscription = shop.subscription(customer.id, shop.price(product.id).id)
    mirror_events() if first == "an event" else run()
    assert djstripe.ActiveEntitlement.objects.get().lookup_key == "audit"
    if end == "the customer's":
        v1.customers.delete(customer.id)
    else:
        v1.subscriptions.cancel(subscription.id)
    assert run("--check")["entitlements.active_entitlement"] == counts(deleted=1)
    assert run()["entitlements.active_entitlement"] == counts(deleted=1)
    assert not djstripe.ActiveEntitlement.objects.exists()


def test_characters_that_postgresql_does_not_keep_are_no_difference_for_ever(shop):
    shop.product(name="a\x00b")
    assert run("product")["product"] == counts(created=1)
    assert run("--check", "product")["product"] == counts(unchanged=1)
    assert run("product")["product"] == counts(unchanged=1)


@pytest.mark.parametrize("check", [(), ("--check",)])
@pytest.mark.parametrize(
    "arguments",
    [("discount", "--object", "di_1"), ("card", "--object", "card_1"), ("nothing", "--object", "x_1"),
     ("coupon", "--object", ""), ("product", "--since", "9999999999h")],
)  # fmt: skip
def test_what_cannot_be_asked_for_is_said_in_a_sentence(stripe, arguments, check):
    with pytest.raises(CommandError, match=r"no single|before all time"):
        run(*arguments, *check)


def test_the_stub_of_a_deleted_draft_that_an_item_brings_along_takes_nothing_from_its_row(shop, mirror_events):
    """Where a list expands a reference to what was deleted, Stripe puts `{"id": …, "deleted": true}` there."""
    v1: Any = shop.stripe.v1
    customer = shop.customer()
    draft = v1.invoices.create({"customer": customer.id})
    v1.invoice_items.create({"customer": customer.id, "invoice": draft.id, "amount": 900, "currency": "usd"})
    mirror_events()
    v1.invoices.delete(draft.id)
    mirror_events()
    run()
    row = djstripe.Invoice.objects.get()
    assert (row.stripe_data["deleted"], row.stripe_data["customer"]) == (True, customer.id)
    assert not RawObject.objects.filter(kind="invoice").exists()
    assert run()["invoice"] == counts()


def test_the_stub_of_a_draft_that_the_mirror_never_saw_is_no_object(shop):
    v1: Any = shop.stripe.v1
    customer = shop.customer()
    draft = v1.invoices.create({"customer": customer.id})
    v1.invoice_items.create({"customer": customer.id, "invoice": draft.id, "amount": 900, "currency": "usd"})
    v1.invoices.delete(draft.id)
    run()
    assert not djstripe.Invoice.objects.exists()
    assert not RawObject.objects.filter(kind="invoice").exists()
