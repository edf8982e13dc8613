"""What changes without an event of its own is asked about when another object's event tells of it."""

import json
from datetime import timedelta
from typing import Any

import httpx
import pytest
import stripe as stripe_library
from django.utils import timezone
from djstripe import models as djstripe

from billing.inbox.intake import store_event
from billing.inbox.models import Door, InboxEvent, InboxState
from billing.mirror.apply import mirror_due
from billing.mirror.echoes import Echo, echoes
from billing.mirror.kinds import Ref
from billing.stripe_reading import Missing, error_of

ITEM = Ref("invoiceitem", "ii_1")


def an_invoice(*items: str, has_more: bool = False) -> dict[str, Any]:
    lines = [{"id": f"il_{item}", "parent": {"invoice_item_details": {"invoice_item": item}}} for item in items]
    return {"id": "in_1", "lines": {"object": "list", "data": lines, "has_more": has_more}}


@pytest.mark.parametrize(
    ("data", "before", "told"),
    [
        (an_invoice("ii_1"), None, [Echo(ITEM, "invoice", "in_1")]),  # it has taken the item up
        (an_invoice(), an_invoice("ii_1"), [Echo(ITEM)]),  # and let it go
        (None, an_invoice("ii_1"), [Echo(ITEM)]),  # with its own end
        (an_invoice(has_more=True), an_invoice("ii_1"), []),  # it may be on the next page
        (an_invoice(), None, []),
    ],
)
def test_an_invoice_tells_of_its_items(data, before, told):
    assert echoes(Ref("invoice", "in_1"), data, before) == told


@pytest.mark.parametrize(
    ("data", "heard"),
    [
        ({"disputed": True}, True),
        ({"disputed": False}, False),
        ({"disputed": False, "deleted": True}, True),  # nothing can be asked about it any more
        (None, False),  # not in the mirror
    ],
)
def test_a_charge_shows_that_it_is_disputed_or_does_not(data, heard):
    assert Echo(Ref("charge", "ch_1"), "disputed", True).heard(data) is heard


def test_what_has_changed_in_some_way_is_asked_about_if_it_is_there():
    assert not Echo(ITEM).heard({"invoice": None})
    assert Echo(ITEM).heard({"deleted": True})
    assert Echo(ITEM).heard(None)


@pytest.mark.parametrize("status", [400, 404])
def test_an_item_that_its_subscription_has_no_more_is_missing(status):
    body = json.dumps({"error": {"message": "Invalid subscription_item id: si_1", "type": "invalid_request_error"}})
    assert isinstance(error_of(body.encode(), status, {}), Missing)


# --- with Stripe and the database ------------------------------------------------------------------


@pytest.fixture
def bring(stripe: stripe_library.StripeClient, db: None):
    """Mirror the account's events of these types, and no others."""

    def bring_types(*types: str) -> None:
        for event in stripe.v1.events.list({"limit": 100, "types": list(types)}).data:
            store_event(json.loads(str(event)), door=Door.WEBHOOK, now=timezone.now())
        mirror_due(timezone.now, budget_seconds=30)

    return bring_types


@pytest.fixture
def disputed_charge(shop, stripe, bring) -> str:
    """A charge that the mirror knows as it was before its dispute."""
    customer = shop.customer()
    given = {"amount": 500, "currency": "jpy", "customer": customer.id, "confirm": True, "off_session": True}
    intent = stripe.v1.payment_intents.create(given | {"payment_method": "pm_card_createDispute"})
    bring("charge.succeeded")
    assert charge_of(intent.latest_charge)["disputed"] is False
    return str(intent.latest_charge)


def charge_of(charge_id: str) -> dict[str, Any]:
    return dict(djstripe.Charge.objects.get(id=charge_id).stripe_data)


def test_a_dispute_marks_its_charge(disputed_charge, bring):
    bring("charge.dispute.created")
    assert charge_of(disputed_charge)["disputed"] is True
    assert set(InboxEvent.objects.values_list("state", flat=True)) == {InboxState.MIRRORED}


def test_a_dispute_waits_until_stripe_has_told_of_its_charge(disputed_charge, bring, sandbox, stripe_key):
    fault = {"effect": "server_error", "key": stripe_key, "path": "/v1/charges/*", "count": 20}
    httpx.post(f"{sandbox}/_sandbox/faults", json=fault, timeout=60).raise_for_status()
    bring("charge.dispute.created")
    waiting = InboxEvent.objects.get(type="charge.dispute.created")
    assert waiting.state == InboxState.RECEIVED
    assert not djstripe.Dispute.objects.exists()
    httpx.delete(f"{sandbox}/_sandbox/faults", timeout=60)
    mirror_due(lambda: timezone.now() + timedelta(hours=1), budget_seconds=30)
    assert charge_of(disputed_charge)["disputed"] is True


def test_an_invoice_takes_its_items_with_it_and_lets_them_go(shop, stripe, bring):
    customer = shop.customer().id
    item = stripe.v1.invoice_items.create({"customer": customer, "currency": "jpy", "amount": 500}).id
    bring("customer.created", "invoiceitem.created")
    given = {"customer": customer, "currency": "jpy", "pending_invoice_items_behavior": "include"}
    invoice = stripe.v1.invoices.create(given)
    bring("invoice.created")
    assert djstripe.InvoiceItem.objects.get(id=item).stripe_data["invoice"] == invoice.id
    line = {"id": invoice.lines.data[0].id, "behavior": "unassign"}
    stripe.v1.invoices.remove_lines(invoice.id, {"lines": [line]})
    bring("invoice.updated")
    assert djstripe.InvoiceItem.objects.get(id=item).stripe_data["invoice"] is None


def test_a_late_invoice_item_does_not_forget_its_invoice(shop, stripe, bring):
    customer = shop.customer().id
    item = stripe.v1.invoice_items.create({"customer": customer, "currency": "jpy", "amount": 500}).id
    given = {"customer": customer, "currency": "jpy", "pending_invoice_items_behavior": "include"}
    invoice = stripe.v1.invoices.create(given)
    bring("invoice.created")
    bring("invoiceitem.created")
    assert djstripe.InvoiceItem.objects.get(id=item).stripe_data["invoice"] == invoice.id


@pytest.mark.parametrize(
    "types", [("invoiceitem.created", "invoice.deleted"), ("invoice.deleted", "invoiceitem.created")]
)
def test_an_invoice_that_is_gone_before_the_mirror_saw_it_leaves_its_items_as_they_are(shop, stripe, bring, types):
    customer = shop.customer().id
    item = stripe.v1.invoice_items.create({"customer": customer, "currency": "jpy", "amount": 500}).id
    given = {"customer": customer, "currency": "jpy", "pending_invoice_items_behavior": "include"}
    stripe.v1.invoices.delete(stripe.v1.invoices.create(given).id)
    for one in types:
        bring(one)
    at_stripe = stripe.v1.invoice_items.retrieve(item)["invoice"]
    assert djstripe.InvoiceItem.objects.get(id=item).stripe_data["invoice"] == at_stripe
