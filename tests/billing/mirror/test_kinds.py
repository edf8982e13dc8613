"""Events about objects of many kinds, with a model and without, end as rows that equal Stripe's objects."""

from typing import Any

import pytest
import stripe as stripe_library
from djstripe import models as djstripe

from billing.inbox.models import InboxEvent, InboxState
from billing.mirror.fetch import get
from billing.mirror.kinds import KINDS, RAW, kind_for
from billing.mirror.raw import RawObject
from billing.mirror.tables import read

pytestmark = pytest.mark.django_db


@pytest.fixture
def busy_company(stripe: stripe_library.StripeClient) -> None:
    """What happens in a company within a day, one of each kind."""
    v1: Any = stripe.v1
    v1.test_helpers.test_clocks.create({"frozen_time": 1_790_000_000})
    v1.billing_portal.configurations.create({"features": {"invoice_history": {"enabled": True}}})
    v1.billing.meters.create(
        {"display_name": "Calls", "event_name": "calls", "default_aggregation": {"formula": "sum"}}
    )
    product = v1.products.create({"name": "Pro"})
    feature = v1.entitlements.features.create({"name": "Audit log", "lookup_key": "audit"})
    v1.products.features.create(product.id, {"entitlement_feature": feature.id})
    price = v1.prices.create(
        {"product": product.id, "currency": "jpy", "unit_amount": 5000, "recurring": {"interval": "month"}}
    )
    coupon = v1.coupons.create({"percent_off": 10, "duration": "once"})
    v1.promotion_codes.create({"promotion": {"type": "coupon", "coupon": coupon.id}, "code": "WELCOME"})
    customer = v1.customers.create({"email": "alice@example.com"})
    v1.customers.tax_ids.create(customer.id, {"type": "jp_trn", "value": "T1234567891234"})
    method = v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    v1.customers.update(customer.id, {"invoice_settings": {"default_payment_method": method.id}})
    subscription = v1.subscriptions.create({"customer": customer.id, "items": [{"price": price.id}]})
    line = v1.invoices.retrieve(subscription.latest_invoice).lines.data[0]
    v1.credit_notes.create(
        {
            "invoice": subscription.latest_invoice,
            "lines": [{"type": "invoice_line_item", "invoice_line_item": line.id, "amount": 500}],
            "credit_amount": 500,
        }
    )
    v1.subscription_schedules.create({"from_subscription": subscription.id})
    v1.refunds.create({"charge": v1.charges.list().data[0].id, "amount": 100})
    v1.setup_intents.create({"customer": customer.id})


def test_every_event_of_a_busy_company_is_mirrored_or_kept(busy_company, mirror_events):
    mirror_events()
    troubled = InboxEvent.objects.exclude(state__in=[InboxState.MIRRORED, InboxState.STORED])
    assert list(troubled.values_list("type", "object_id", "error")) == []


def test_what_events_were_about_is_in_the_mirror_as_stripe_has_it(busy_company, mirror_events):
    mirror_events()
    about = set(InboxEvent.objects.values_list("object_kind", "object_id"))
    differing, met = {}, set()
    for name, object_id in sorted(about):
        kind = kind_for(name)
        kept = read(kind, [object_id]).get(object_id)
        assert kept is not None, (name, object_id)
        if kind.fetchable:
            now = get(f"{kind.path}/{object_id}", expand=list(kind.expand))
            differing |= {object_id: (kept, now)} if kept != now else {}
            met.add(name)
    assert differing == {}
    assert {
        "subscription",
        "invoice",
        "refund",
        "tax_id",
        "promotion_code",
        "subscription_schedule",
    } <= met & KINDS.keys()
    assert {"credit_note", "billing.meter", "test_helpers.test_clock", "invoice_payment"} <= met & RAW.keys()


def test_a_credit_note_is_found_by_its_customer(busy_company, mirror_events):
    mirror_events()
    note = RawObject.objects.get(kind="credit_note")
    assert djstripe.Customer.objects.get(id=note.customer_id).email == "alice@example.com"
    assert note.stripe_data["amount"] == 500


def test_a_customers_entitlements_are_rows_while_they_last(busy_company, stripe, mirror_events):
    mirror_events()
    entitlement = djstripe.ActiveEntitlement.objects.get()
    assert entitlement.lookup_key == "audit"
    stripe.v1.subscriptions.cancel(djstripe.Subscription.objects.get().id)
    mirror_events()
    assert not djstripe.ActiveEntitlement.objects.exists()


def test_the_card_that_a_guest_paid_with_is_a_row_that_the_charge_leads_to(stripe, mirror_events):
    v1: Any = stripe.v1
    charge = v1.charges.create({"amount": 900, "currency": "usd", "source": "tok_visa"})
    mirror_events()
    card = djstripe.Charge.objects.get().source.resolve()
    assert (card.id, card.stripe_data["last4"]) == (charge.source.id, "4242")


def test_a_card_that_events_told_of_is_not_taken_back_by_an_older_charge(stripe, mirror_events):
    v1: Any = stripe.v1
    customer = v1.customers.create({"email": "alice@example.com"})
    card = v1.customers.payment_sources.create(customer.id, {"source": "tok_visa"})
    given = {"amount": 900, "currency": "usd", "customer": customer.id}
    v1.charges.create({**given, "source": card.id})
    v1.customers.payment_sources.update(customer.id, card.id, {"name": "Alice"})
    mirror_events()
    assert djstripe.Card.objects.get().stripe_data["name"] == "Alice"
    v1.charges.update(v1.charges.list().data[0].id, {"description": "Tea"})
    mirror_events()
    assert djstripe.Card.objects.get().stripe_data["name"] == "Alice"
