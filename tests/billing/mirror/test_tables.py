"""Rows in bulk: what is there is kept, what differs is written, what is another's is left alone."""

import copy
import random
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from djstripe import models as djstripe
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.mirror import tables
from billing.mirror.columns import departed, references, rows_of, without
from billing.mirror.kinds import Ref, kind_for
from billing.mirror.raw import RawObject
from billing.unusual_json import storable
from tests.billing.objects import NOW, card, invoice, item, line, price, product, subscription

pytestmark = pytest.mark.django_db

ALICE, OTHER = "acct_alice", "acct_other"
CUSTOMER = {"id": "cus_1", "object": "customer", "created": 1_770_000_000, "livemode": False, "email": None}


@pytest.fixture(autouse=True)
def accounts() -> None:
    djstripe.Account.objects.create(id=ALICE, stripe_data={})
    djstripe.Account.objects.create(id=OTHER, stripe_data={})


def put(*objects: dict[str, Any], owner_id: str | None = ALICE, now: Any = NOW) -> set[str]:
    rows = [row for data in objects for row in rows_of(kind_for(data["object"]), data, owner_id=owner_id, now=now)]
    with transaction.atomic():
        return tables.write(rows)


def put_shop() -> None:
    put(product(), price(), CUSTOMER, {**card(), "customer": None})


def test_an_object_and_its_children_are_read_as_they_were_written():
    put_shop()
    assert put(subscription(), invoice(lines=[line(), line(id="il_2")])) == set()
    assert tables.read(kind_for("subscription"), ["sub_1", "sub_2"]) == {"sub_1": subscription()}
    assert tables.read(kind_for("customer"), ["cus_1"]) == {"cus_1": CUSTOMER}
    row = djstripe.SubscriptionItem.objects.get(id="si_1")
    assert (row.subscription_id, row.price.id, row.stripe_data["quantity"]) == ("sub_1", "price_business", 1)
    assert djstripe.LineItem.objects.filter(subscription_id="sub_1").count() == 0  # these lines name none
    assert djstripe.Invoice.objects.get(id="in_1").subscription_id == "sub_1"


def test_dj_stripes_own_properties_read_the_rows():
    put_shop()
    put(subscription(), invoice())
    assert djstripe.Customer.objects.get(id="cus_1").deleted is False
    assert djstripe.LineItem.objects.get(id="il_1").period_start == line()["period"]["start"]
    assert djstripe.Subscription.objects.get(id="sub_1").items.get().price.product.name == "Business"


def test_of_what_stands_inside_only_what_changed_is_sent_again():
    before = subscription(items=[item(), item(id="si_2")])
    after = subscription(items=[item(), item(id="si_2", quantity=3), item(id="si_3")])
    rows = rows_of(kind_for("subscription"), after, owner_id=ALICE, now=NOW, before=before)
    assert [row.id for row in rows] == ["sub_1", "si_2", "si_3"]


def test_a_batch_costs_one_statement_for_each_table():
    put_shop()
    many = [subscription(f"sub_{n}", items=[item(id=f"si_{n}")]) for n in range(50)]
    with CaptureQueriesContext(
        connection,
    ) as queries:
        put(*many)
    written = [query["sql"] for query in queries if "INSERT" in query["sql"]]
    assert len(written) == 2
    assert len(queries) == 2 + 1 + 2  # the items' links, and the savepoint's two


def test_the_time_of_creation_is_kept_and_that_of_the_update_moves():
    put(product())
    put(product(name="New"), now=NOW + timedelta(hours=1))
    row = djstripe.Product.objects.get(id="prod_business")
    assert (row.djstripe_created, row.djstripe_updated) == (NOW, NOW + timedelta(hours=1))
    assert row.name == "New"


def test_what_is_there_already_is_not_written_again():
    put(product())
    before = versions("djstripe_product")
    assert put(product(), now=NOW + timedelta(hours=1)) == set()
    assert versions("djstripe_product") == before


def versions(table: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(f'SELECT ctid::text, xmin::text FROM "{table}" ORDER BY 1')
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


def test_the_later_of_two_states_in_one_batch_counts():
    put(product(name="old"), product(name="new"))
    assert djstripe.Product.objects.get().name == "new"


def test_a_row_of_another_account_is_refused_and_stays():
    put(product(name="ours"))
    assert put(product(name="theirs"), product(id="prod_2"), owner_id=OTHER) == {"prod_business"}
    assert djstripe.Product.objects.get(id="prod_business").name == "ours"
    assert djstripe.Product.objects.get(id="prod_2").djstripe_owner_account_id == OTHER


def test_what_a_row_of_another_account_is_linked_to_stays():
    put_shop()
    rates = [{"id": f"txr_{n}", "object": "tax_rate", "livemode": False} for n in (1, 2)]
    put(*rates, subscription(items=[item(tax_rates=rates[:1])]))
    theirs = {**item(tax_rates=rates[1:]), "subscription": "sub_1"}
    assert put(theirs, owner_id=OTHER) == {"si_1"}
    assert [rate.id for rate in djstripe.SubscriptionItem.objects.get().tax_rates.all()] == ["txr_1"]


def test_a_row_of_the_other_mode_is_refused_and_stays():
    put(product(name="test"))
    assert put(product(name="live", livemode=True)) == {"prod_business"}
    assert djstripe.Product.objects.get().name == "test"


def test_a_row_without_an_owner_is_adopted_and_never_loses_it_again():
    put(product(), owner_id=None)
    put(product(name="2"))
    assert put(product(name="3"), owner_id=None) == set()
    row = djstripe.Product.objects.get()
    assert (row.name, row.djstripe_owner_account_id) == ("3", ALICE)


def test_a_coupon_of_the_same_id_lives_in_both_modes():
    coupon = {"id": "SUMMER", "object": "coupon", "percent_off": 10, "livemode": False}
    live = {**coupon, "percent_off": 20, "livemode": True}
    assert put(coupon, live) == set()
    assert tables.read(kind_for("coupon"), ["SUMMER"], livemode=False) == {"SUMMER": coupon}
    assert tables.read(kind_for("coupon"), ["SUMMER"], livemode=True) == {"SUMMER": live}


def test_what_a_row_points_to_is_known_before_it_is_written():
    rows = rows_of(kind_for("subscription"), subscription(), owner_id=ALICE, now=NOW)
    known = {(reference.ref, reference.required) for reference in references(rows)}
    assert known == {(Ref("customer", "cus_1"), True), (Ref("price", "price_business"), False)}


def test_an_item_is_linked_to_the_tax_rates_that_it_lists_and_to_no_other():
    put_shop()
    rates = [{"id": f"txr_{n}", "object": "tax_rate", "livemode": False} for n in (1, 2, 3)]
    put(*rates[:2])
    rows = rows_of(kind_for("subscription"), subscription(items=[item(tax_rates=rates)]), owner_id=ALICE, now=NOW)
    assert Ref("tax_rate", "txr_3") in {reference.ref for reference in references(rows)}
    tables.write(without(rows, {Ref("tax_rate", "txr_3")}))
    linked = djstripe.SubscriptionItem.objects.get().tax_rates
    assert {rate.id for rate in linked.all()} == {"txr_1", "txr_2"}
    put(subscription(items=[item(tax_rates=rates[1:])]), rates[2])
    assert {rate.id for rate in linked.all()} == {"txr_2", "txr_3"}
    put(subscription(items=[item()]))
    assert not linked.exists()


def test_a_reference_to_what_is_not_there_can_be_left_empty():
    put(CUSTOMER)
    rows = rows_of(kind_for("invoice"), invoice(default_payment_method="pm_gone"), owner_id=ALICE, now=NOW)
    gone = {Ref("payment_method", "pm_gone"), Ref("subscription", "sub_1")}
    tables.write(without(rows, gone))
    row = djstripe.Invoice.objects.get()
    assert (row.default_payment_method_id, row.subscription_id) == (None, None)
    assert row.stripe_data["default_payment_method"] == "pm_gone"


def test_of_many_objects_those_that_are_there_are_told_in_one_statement(django_assert_num_queries):
    put(product(), CUSTOMER, {"id": "clock_1", "object": "test_helpers.test_clock", "livemode": False})
    there = {Ref("product", "prod_business"), Ref("customer", "cus_1"), Ref("test_helpers.test_clock", "clock_1")}
    with django_assert_num_queries(1):
        assert tables.existing(there | {Ref("product", "prod_2"), Ref("quote", "clock_1")}) == there


def test_characters_that_postgres_cannot_keep_do_not_stop_a_write():
    put(product(name="a\x00b\ud800c"), product(id="prod_2", description="\\u0000 is written like this"))
    assert djstripe.Product.objects.get(id="prod_business").name == "a\ufffdb\ufffd\ufffd\ufffdc"
    assert djstripe.Product.objects.get(id="prod_2").stripe_data["description"] == "\\u0000 is written like this"


def test_a_text_longer_than_its_column_is_cut_there_and_kept_whole_in_the_data():
    long = "n" * 300
    put(product(), price(nickname=long))
    row = djstripe.Price.objects.get()
    assert (row.nickname, row.stripe_data["nickname"]) == (long[:250], long)


def test_an_object_that_is_gone_is_marked_and_keeps_what_it_said():
    put(product(), price(), CUSTOMER)
    put(subscription())
    for name, ids in {"product": ["prod_business"], "customer": ["cus_1"], "subscription": ["sub_1", "sub_2"]}.items():
        marked = tables.mark_gone(kind_for(name), ids, owner_id=ALICE, now=NOW)
        assert marked == set(ids) - {"sub_2"}
        assert tables.mark_gone(kind_for(name), ids, owner_id=ALICE, now=NOW) == set()
    row = djstripe.Product.objects.get()
    assert (row.active, row.name, row.stripe_data["deleted"]) == (False, "Business", True)
    assert djstripe.Customer.objects.get().date_purged == NOW
    assert tables.read(kind_for("customer"), ["cus_1"]) == {"cus_1": {**CUSTOMER, "deleted": True}}
    assert djstripe.Subscription.objects.get().stripe_data["status"] == "canceled"


def test_an_item_that_was_removed_is_read_no_more_but_old_lines_still_point_to_it():
    put_shop()
    both = subscription(items=[item(), item(id="si_2")])
    put(both, invoice(lines=[line(subscription_item="si_2")]))
    one = subscription(items=[item()])
    left = departed(kind_for("subscription"), both, one)
    assert left == [Ref("subscription_item", "si_2")]
    put(one)
    tables.mark_gone(kind_for("subscription_item"), ["si_2"], owner_id=ALICE, now=NOW)
    assert [row.id for row in djstripe.Subscription.objects.get().items.all()] == ["si_1"]
    assert djstripe.LineItem.objects.get().subscription_item.id == "si_2"
    put(both)
    assert djstripe.Subscription.objects.get().items.count() == 2


def test_nothing_has_departed_from_a_list_that_is_cut_short():
    short = subscription(items=[item()])
    short["items"]["has_more"] = True
    assert departed(kind_for("subscription"), subscription(items=[item(), item(id="si_2")]), short) == []


def test_a_key_of_another_account_marks_nothing_as_gone():
    put(product())
    assert tables.mark_gone(kind_for("product"), ["prod_business"], owner_id=OTHER, now=NOW) == set()
    assert djstripe.Product.objects.get().active is True


def test_what_was_gone_before_the_mirror_saw_it_gets_a_tombstone():
    refs = [Ref("customer", "cus_gone"), Ref("payment_method", "pm_gone"), Ref("price", "price_gone")]
    buried = tables.bury(refs, owner_id=ALICE, livemode=False, now=NOW)
    assert buried == set(refs[:2])  # a price needs its product, which nobody can tell any more
    assert djstripe.Customer.objects.get(id="cus_gone").date_purged == NOW
    assert tables.read(kind_for("payment_method"), ["pm_gone"])["pm_gone"]["deleted"] is True


@pytest.mark.parametrize("known", [True, False])
def test_a_tombstone_overwrites_nothing(monkeypatch, known):
    put(CUSTOMER)
    if not known:  # another worker writes the customer between the look and the burial
        monkeypatch.setattr(tables, "existing", lambda refs: set())
    tables.bury([Ref("customer", "cus_1")], owner_id=ALICE, livemode=False, now=NOW)
    row = djstripe.Customer.objects.get()
    assert (row.date_purged, row.stripe_data["deleted"]) == (None, False)


def test_objects_of_kinds_without_a_model_are_kept_whole():
    meter = {"id": "mtr_1", "object": "billing.meter", "created": 1_770_000_000, "livemode": False}
    odd = {"id": "mtr_1", "object": "never.heard_of", "created": "2026-02-10T09:00:00.000Z", "customer": "cus_1"}
    assert put(meter, odd) == set()
    assert put({**meter, "status": "inactive"}) == set()
    assert tables.read(kind_for("billing.meter"), ["mtr_1"]) == {"mtr_1": {**meter, "status": "inactive"}}
    assert tables.read(kind_for("never.heard_of"), ["mtr_1"]) == {"mtr_1": odd}
    row = RawObject.objects.get(kind="never.heard_of")
    assert (row.created, row.customer_id, row.djstripe_owner_account_id) == (NOW, "cus_1", ALICE)
    assert tables.mark_gone(kind_for("billing.meter"), ["mtr_1"], owner_id=ALICE, now=NOW) == {"mtr_1"}
    assert "deleted" not in RawObject.objects.get(kind="never.heard_of").stripe_data


def test_payouts_that_reverse_each_other_are_linked_though_they_come_together():
    payout = {"object": "payout", "currency": "jpy", "livemode": False}
    put({**payout, "id": "po_1", "reversed_by": "po_2"}, {**payout, "id": "po_2", "original_payout": "po_1"})
    first, second = djstripe.Payout.objects.order_by("id")
    assert (first.reversed_by, second.original_payout) == (second, first)


def test_a_parent_does_not_take_back_what_events_told_of_its_children():
    discount = {"id": "di_1", "object": "discount", "end": None, "source": {"coupon": "SUMMER"}}
    put({**CUSTOMER, "discount": discount})
    put({**discount, "end": 1_780_000_000})
    put({**CUSTOMER, "name": "Alice", "discount": discount})
    assert djstripe.Discount.objects.get().stripe_data["end"] == 1_780_000_000


def test_a_signing_secret_is_not_kept_and_what_dj_stripe_made_up_for_an_endpoint_stays():
    endpoint = {
        "id": "we_1",
        "object": "webhook_endpoint",
        "livemode": False,
        "enabled_events": ["*"],
        "url": "https://x",
    }
    put({**endpoint, "secret": "whsec_told_once", "metadata": {}})
    row = djstripe.WebhookEndpoint.objects.get()
    assert (row.secret, "secret" in row.stripe_data, row.djstripe_tolerance) == ("", False, 300)
    djstripe.WebhookEndpoint.objects.update(secret="whsec_of_djstripes_own", djstripe_tolerance=60)
    put({**endpoint, "url": "https://y"})
    again = djstripe.WebhookEndpoint.objects.get()
    assert (again.url, again.secret, again.djstripe_tolerance) == ("https://y", "whsec_of_djstripes_own", 60)
    assert again.djstripe_uuid == row.djstripe_uuid


def test_an_object_that_lacks_what_its_table_requires_is_kept_whole_until_it_has_it():
    refund = {"id": "re_1", "object": "refund", "amount": 500, "currency": "jpy", "charge": None, "status": "pending"}
    put(refund)
    assert not djstripe.Refund.objects.exists()
    assert tables.read(kind_for("refund"), ["re_1"]) == {"re_1": refund}
    put({**refund, "status": "succeeded"})
    assert RawObject.objects.get().stripe_data["status"] == "succeeded"
    charge = {"id": "ch_1", "object": "charge", "amount": 500, "currency": "jpy", "livemode": False}
    later = {**refund, "charge": "ch_1"}
    put(charge, later)
    assert djstripe.Refund.objects.get().charge.id == "ch_1"
    assert tables.read(kind_for("refund"), ["re_1"]) == {"re_1": later}
    assert tables.mark_gone(kind_for("refund"), ["re_1"], owner_id=ALICE, now=NOW) == {"re_1"}


def test_what_only_an_older_api_version_said_stays_in_its_column():
    put_shop()
    put(
        subscription(),
        invoice(),
        {"id": "ch_1", "object": "charge", "amount": 500, "currency": "jpy", "livemode": False},
    )
    djstripe.Invoice.objects.update(charge=djstripe.Charge.objects.get())
    put(invoice(number="ACME-2"))
    row = djstripe.Invoice.objects.get()
    assert (row.number, row.charge.id) == ("ACME-2", "ch_1")


def test_nothing_points_to_an_object_that_is_kept_whole():
    put_shop()
    waiting = {"id": "ii_1", "object": "invoiceitem", "customer": "cus_1", "invoice": "in_1", "livemode": False}
    assert put(invoice(customer=None), waiting) == set()
    assert tables.read(kind_for("invoice"), ["in_1"])["in_1"]["customer"] is None
    row = djstripe.InvoiceItem.objects.get()
    assert (row.invoice_id, row.stripe_data["invoice"]) == (None, "in_1")


def test_writing_leaves_the_callers_objects_as_they_were():
    customer, copied = {**CUSTOMER, "discount": {"id": "di_1", "object": "discount"}}, None
    copied = copy.deepcopy(customer)
    put(customer)
    assert customer == copied
    assert djstripe.Discount.objects.get().id == "di_1"


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(-1e9, 1e9, width=32) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=15,
)


@given(st.dictionaries(st.text(), anything, max_size=5), st.dictionaries(st.text(), anything, max_size=5))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_json_an_object_holds_is_read_as_it_was_last_written(first: dict[str, Any], last: dict[str, Any]):
    named = {"id": "odd_1", "object": "odd", "created": 1_770_000_000, "customer": None}
    for data in (first, last, last):
        assert put({**data, **named}) == set()
    assert tables.read(kind_for("odd"), ["odd_1"]) == {"odd_1": storable({**last, **named})}


def test_a_number_of_more_than_64_bits_does_not_stop_a_write():
    put({"id": "odd_1", "object": "odd", "number": 2**70})
    assert RawObject.objects.get().stripe_data["number"] == 2**70


@pytest.mark.django_db(transaction=True)
def test_writers_of_the_same_rows_in_any_order_do_not_wait_for_each_other_for_ever():
    put_shop()

    def write_often(seed: int) -> None:
        order = random.Random(seed)
        try:
            for state in range(15):
                many = [subscription(f"sub_{n}", items=[item(id=f"si_{n}", quantity=state)]) for n in range(20)]
                many += [product(description=f"{seed} {state}"), {**CUSTOMER, "name": f"{seed} {state}"}]
                put(*order.sample(many, len(many)))
        finally:
            connection.close()

    with ThreadPoolExecutor(3) as threads:
        list(threads.map(write_often, range(3)))
    assert djstripe.Subscription.objects.count() == 20
