"""What goes in silence when a test clock or a long draft is deleted: the mirror finds it, and asks."""

import time

import pytest
import stripe as stripe_library
from django.utils import timezone
from djstripe import models as djstripe

from billing.inbox.claim import LEASE
from billing.inbox.models import InboxEvent, InboxState
from billing.mirror.apply import ONCE_MORE, mirror_due
from billing.mirror.fetch import fetch
from billing.mirror.kinds import Ref, kind_for
from billing.mirror.raw import RawObject
from billing.mirror.tables import read
from billing.mirror.touched import living_by, orphaned
from billing.mirror.write import Snapshot, write_now
from billing.stripe_accounts import primary

pytestmark = pytest.mark.django_db


def mirror() -> None:
    """Twice: what ends a clock is looked at once more, when nobody can be writing any more what it took along."""
    mirror_due(timezone.now, budget_seconds=30)
    mirror_due(lambda: timezone.now() + LEASE, budget_seconds=30)
    assert not InboxEvent.objects.exclude(state__in=[InboxState.MIRRORED, InboxState.STORED]).exists()


def living(kind: str) -> set[str]:
    ids = kind_for(kind).model.objects.values_list("id", flat=True)
    return {object_id for object_id, data in read(kind_for(kind), ids).items() if not data.get("deleted")}


@pytest.fixture
def clocked(shop):
    """A customer in a test clock's time, with a subscription that was paid for and half refunded."""
    frozen = int(time.time()) + 90 * 86_400
    clock = shop.stripe.v1.test_helpers.test_clocks.create({"frozen_time": frozen})
    customer = shop.customer(test_clock=clock.id)
    shop.give_card(customer.id)
    subscription = shop.subscription(customer.id, shop.price(shop.product().id).id)
    [charge] = shop.stripe.v1.charges.list({"customer": customer.id}).data
    shop.stripe.v1.refunds.create({"charge": charge.id, "amount": 10})
    old = shop.stripe.v1.payment_methods.attach("pm_card_mastercard", {"customer": customer.id})
    shop.stripe.v1.payment_methods.detach(old.id)
    return clock, customer, subscription


KINDS = ("customer", "payment_method", "subscription", "invoice", "payment_intent", "charge", "refund")


def test_a_deleted_clock_takes_along_all_that_lived_by_it(shop, clocked, take_events):
    clock, *_ = clocked
    other = shop.customer()
    take_events()
    mirror()
    assert all(living(kind) for kind in KINDS)
    payments = RawObject.objects.filter(kind="invoice_payment").exclude(stripe_data__has_key="deleted")
    assert payments.exists()
    before = set(InboxEvent.objects.values_list("pk", flat=True))
    shop.stripe.v1.test_helpers.test_clocks.delete(clock.id)
    take_events()
    InboxEvent.objects.exclude(pk__in=before).exclude(type="test_helpers.test_clock.deleted").delete()
    mirror()
    assert {kind: living(kind) for kind in KINDS} == {
        kind: {other.id} if kind == "customer" else set() for kind in KINDS
    }
    assert not payments.exists()
    assert living_by(clock.id) == set()
    assert djstripe.BalanceTransaction.objects.exists() and living("balance_transaction")  # the account's, for good


@pytest.mark.parametrize("known", [True, False], ids=["the clock's end is known", "nothing is known"])
def test_what_comes_late_of_a_deleted_clock_is_not_brought_to_life(shop, clocked, take_events, known):
    clock, *_ = clocked
    take_events()
    late = list(InboxEvent.objects.filter(object_kind__in=KINDS[1:]).values())
    shop.stripe.v1.test_helpers.test_clocks.delete(clock.id)
    InboxEvent.objects.all().delete()
    if known:
        take_events()
        InboxEvent.objects.exclude(object_kind__in=["customer", "test_helpers.test_clock"]).delete()
        mirror()
    InboxEvent.objects.bulk_create(InboxEvent(**row) for row in late)
    mirror()
    assert {kind: living(kind) for kind in KINDS} == {kind: set() for kind in KINDS}


def test_a_credit_note_before_payment_leads_to_the_payment_that_asks_for_less(shop, take_events):
    customer = shop.customer(payment_method="pm_card_visa").id
    sent = {"customer": customer, "currency": "jpy", "collection_method": "send_invoice", "days_until_due": 9}
    draft = shop.stripe.v1.invoices.create(sent)
    shop.stripe.v1.invoice_items.create({"customer": customer, "invoice": draft.id, "amount": 5000, "currency": "jpy"})
    shop.stripe.v1.invoices.finalize_invoice(draft.id)
    take_events()
    mirror()
    asked = djstripe.PaymentIntent.objects.get()
    note = shop.stripe.v1.credit_notes.create({"invoice": draft.id, "amount": 2000})
    for amount in (3000, 5000):
        take_events()
        mirror()
        asked.refresh_from_db()
        assert asked.stripe_data["amount"] == fetch(Ref("payment_intent", asked.id)).data["amount"] == amount
        if amount == 3000:
            shop.stripe.v1.credit_notes.void_credit_note(note.id)


@pytest.fixture
def only_events(take_events):
    """Put events of these types alone into the inbox, of those that are new, and mirror them."""

    def only(*types: str) -> None:
        before = set(InboxEvent.objects.values_list("pk", flat=True))
        take_events()
        InboxEvent.objects.exclude(pk__in=before).exclude(type__in=types).delete()
        mirror()

    return only


DETACHED, CLOCK_DELETED = "payment_method.detached", "test_helpers.test_clock.deleted"


def test_a_method_whose_detachment_is_told_late_is_not_brought_to_life(shop, clocked, only_events):
    """It is nobody's any more: nothing that it refers to says that it went with a clock."""
    clock, *_ = clocked
    shop.stripe.v1.test_helpers.test_clocks.delete(clock.id)
    only_events("customer.created", CLOCK_DELETED)
    only_events(DETACHED)
    assert living("payment_method") == set()


@pytest.mark.parametrize("end", [CLOCK_DELETED, "customer.deleted"])
def test_a_method_of_which_only_the_detachment_was_told_goes_with_the_clock(shop, clocked, only_events, end):
    clock, *_ = clocked
    only_events("customer.created", DETACHED)
    assert len(living("payment_method")) == 1
    shop.stripe.v1.test_helpers.test_clocks.delete(clock.id)
    only_events(end)
    assert living("payment_method") == set()


@pytest.mark.parametrize("end", [CLOCK_DELETED, "customer.deleted"])
def test_a_method_that_was_used_once_and_never_attached_goes_with_the_clock(shop, only_events, end):
    """It has no event, and refers to nobody: what was paid with it brought it into the mirror."""
    clock = shop.stripe.v1.test_helpers.test_clocks.create({"frozen_time": int(time.time()) + 86_400})
    customer = shop.customer(test_clock=clock.id)
    given = {"amount": 500, "currency": "jpy", "payment_method": "pm_card_visa", "confirm": True, "off_session": True}
    shop.stripe.v1.payment_intents.create({**given, "customer": customer.id})
    only_events("customer.created", "payment_intent.succeeded", "charge.succeeded")
    assert len(living("payment_method")) == 1
    assert not InboxEvent.objects.filter(object_kind="payment_method").exists()
    shop.stripe.v1.test_helpers.test_clocks.delete(clock.id)
    only_events(end)
    assert living("payment_method") == living("charge") == set()


def test_a_method_of_a_customer_that_was_gone_before_it_was_seen_goes_with_the_clock(shop, clocked, only_events):
    """The customer never had a row; its method, detached, has one until the clock ends."""
    clock, customer, _ = clocked
    shop.stripe.v1.customers.delete(customer.id)
    only_events("customer.deleted", DETACHED)
    assert not living("customer") and living("payment_method")
    shop.stripe.v1.test_helpers.test_clocks.delete(clock.id)
    only_events(CLOCK_DELETED)
    assert living("payment_method") == set()


def test_what_is_told_together_with_its_customers_end_is_not_brought_to_life(shop, clocked, only_events):
    clock, *_ = clocked
    only_events("customer.created")
    shop.stripe.v1.test_helpers.test_clocks.delete(clock.id)
    only_events("customer.deleted", "charge.succeeded")
    assert living("customer") == living("charge") == set()


def test_a_customer_that_is_told_of_after_its_clock_has_ended_is_asked_about(shop, clocked, only_events):
    clock, *_ = clocked
    shop.stripe.v1.test_helpers.test_clocks.delete(clock.id)
    only_events(CLOCK_DELETED)
    only_events("customer.created")
    only_events("charge.succeeded")
    assert living("customer") == living("charge") == set()


def test_only_what_a_clock_takes_along_casts_doubt():
    """A product that is gone leaves its prices."""
    needs = {Ref("invoice", "in_1"): {Ref("customer", "cus_1")}, Ref("invoice", "in_2"): {Ref("customer", "cus_2")}}
    assert orphaned(needs, [Ref("customer", "cus_1")], owner="") == {Ref("invoice", "in_1")}
    assert (
        orphaned({Ref("price", "price_1"): {Ref("product", "prod_1")}}, [Ref("product", "prod_1")], owner="") == set()
    )


def test_the_items_of_a_deleted_draft_beyond_those_that_its_event_shows_are_asked_about(shop, take_events):
    customer = shop.customer()
    other = shop.customer()
    items = [
        shop.stripe.v1.invoice_items.create({"customer": customer.id, "currency": "jpy", "amount": 100 + number}).id
        for number in range(13)
    ]
    free = shop.stripe.v1.invoice_items.create({"customer": other.id, "currency": "jpy", "amount": 5}).id
    take_events()
    mirror()
    assert living("invoiceitem") == {*items, free}
    draft = shop.stripe.v1.invoices.create(
        {"customer": customer.id, "currency": "jpy", "pending_invoice_items_behavior": "include"}
    )
    assert draft.lines.has_more
    after = shop.stripe.v1.invoice_items.create({"customer": customer.id, "currency": "jpy", "amount": 7}).id
    shop.stripe.v1.invoices.delete(draft.id)
    take_events()
    InboxEvent.objects.filter(object_id=draft.id).exclude(type="invoice.deleted").delete()  # it was never mirrored
    mirror()
    for item in (*items, free, after):
        assert read(kind_for("invoiceitem"), [item])[item] == fetch(Ref("invoiceitem", item)).data


def test_what_another_worker_writes_while_a_clock_ends_is_found_at_the_second_look(shop, clocked, take_events):
    clock, _, subscription = clocked
    take_events()
    late = list(InboxEvent.objects.filter(object_kind="charge").values())
    InboxEvent.objects.filter(object_kind__in=["charge", "refund"]).delete()
    mirror()
    before = set(InboxEvent.objects.values_list("pk", flat=True))
    shop.stripe.v1.test_helpers.test_clocks.delete(clock.id)
    take_events()
    InboxEvent.objects.exclude(pk__in=before).exclude(type="test_helpers.test_clock.deleted").delete()
    mirror_due(timezone.now, budget_seconds=30)
    [waiting] = InboxEvent.objects.filter(state=InboxState.RECEIVED)
    assert waiting.type == "test_helpers.test_clock.deleted"
    assert (waiting.error, waiting.attempts) == (ONCE_MORE, 0)  # an operator sees why it waits
    charge = late[0]["payload"]["data"]["object"]  # another worker had begun before that was known
    snapshot = Snapshot(Ref("charge", charge["id"]), charge | {"balance_transaction": None}, 1, 1, told=True)
    write_now([snapshot], account=primary(), owner_id=None, now=timezone.now())
    assert living("charge")
    mirror()
    assert living("charge") == living("subscription_item") == set()
    assert subscription.id not in living("subscription")


def test_the_second_look_comes_too_where_the_first_had_to_be_tried_again(shop, clocked, take_events, answer_with):
    clock, *_ = clocked
    take_events()
    mirror()
    shop.stripe.v1.test_helpers.test_clocks.delete(clock.id)
    before = set(InboxEvent.objects.values_list("pk", flat=True))
    take_events()
    InboxEvent.objects.exclude(pk__in=before).exclude(type=CLOCK_DELETED).delete()

    def away(_ref: Ref) -> None:
        raise stripe_library.APIConnectionError("no route")

    answer_with(away)
    mirror_due(timezone.now, budget_seconds=30)
    event = InboxEvent.objects.get(type=CLOCK_DELETED)
    assert (event.state, event.attempts) == (InboxState.RECEIVED, 1)
    answer_with(fetch)
    mirror_due(lambda: timezone.now() + LEASE, budget_seconds=30)
    event.refresh_from_db()
    assert (event.state, event.error) == (InboxState.RECEIVED, ONCE_MORE)
    mirror_due(lambda: timezone.now() + 3 * LEASE, budget_seconds=30)
    event.refresh_from_db()
    assert (event.state, event.error) == (InboxState.STORED, "")


def test_an_item_whose_line_on_a_draft_is_changed_is_asked_about(shop, take_events):
    """The draft has an event, the item has none."""
    customer = shop.customer()
    item = shop.stripe.v1.invoice_items.create({"customer": customer.id, "currency": "jpy", "amount": 100})
    given = {"customer": customer.id, "currency": "jpy", "pending_invoice_items_behavior": "include"}
    draft = shop.stripe.v1.invoices.create(given)
    take_events()
    mirror()
    line = shop.stripe.v1.invoices.line_items.list(draft.id).data[0]
    shop.stripe.v1.invoices.line_items.update(draft.id, line.id, {"description": "Changed"})
    take_events()
    mirror()
    assert read(kind_for("invoiceitem"), [item.id])[item.id]["description"] == "Changed"
