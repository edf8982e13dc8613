"""Any history, delivered in any order, in parts, more than once: the mirror ends at what Stripe says."""

import json
from typing import Any

import pytest
from django.utils import timezone
from djstripe import models as djstripe
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.inbox.intake import store_event
from billing.inbox.models import Door, InboxEvent, InboxState
from billing.inbox.replay import replay
from billing.mirror.apply import mirror_due
from billing.mirror.columns import as_stripe_has_it
from billing.mirror.fetch import fetch
from billing.mirror.kinds import KINDS, Ref

STEPS = st.lists(st.sampled_from(["rename", "another", "delete", "price", "reprice"]), min_size=1, max_size=6)


@pytest.mark.django_db
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=STEPS, data=st.data())
def test_any_history_in_any_order_ends_at_what_stripe_says(stripe, sent, steps, data):
    InboxEvent.objects.all().delete()
    known = {event.id for event in stripe.v1.events.list({"limit": 100}).auto_paging_iter()}
    refs = live(stripe, steps)
    events = [event for event in stripe.v1.events.list({"limit": 100}).auto_paging_iter() if event.id not in known]
    deliveries = data.draw(st.permutations(events + events[: len(events) // 2]))
    for event in deliveries:
        store_event(json.loads(str(event)), door=Door.WEBHOOK, now=timezone.now())
        if data.draw(st.booleans()):
            mirror_due(timezone.now, budget_seconds=30)
    mirror_due(timezone.now, budget_seconds=30)
    check(refs)
    replay(InboxEvent.objects.values_list("pk", flat=True), now=timezone.now())
    mirror_due(timezone.now, budget_seconds=30)
    check(refs)


def live(stripe: Any, steps: list[str]) -> set[Ref]:
    """Do the steps at Stripe; return the objects they touched."""
    products = [stripe.v1.products.create({"name": "One"}).id]
    prices: list[str] = []
    for number, step in enumerate(steps):
        if step == "another":
            products.append(stripe.v1.products.create({"name": f"Product {number}"}).id)
        if step == "rename" and products:
            stripe.v1.products.update(products[-1], {"name": f"Name {number}"})
        if step == "price" and products:
            prices.append(
                stripe.v1.prices.create({"product": products[-1], "currency": "jpy", "unit_amount": number}).id
            )
        if step == "reprice" and prices:
            stripe.v1.prices.update(prices[-1], {"nickname": f"Price {number}"})
        if step == "delete" and not prices:
            stripe.v1.products.delete(products[-1])
            return refs_of(products, prices)
    return refs_of(products, prices)


def refs_of(products: list[str], prices: list[str]) -> set[Ref]:
    return {Ref("product", product) for product in products} | {Ref("price", price) for price in prices}


def check(refs: set[Ref]) -> None:
    assert set(InboxEvent.objects.values_list("state", flat=True)) == {InboxState.MIRRORED}
    for ref in refs:
        there = fetch(ref).data
        here = KINDS[ref.kind].model.objects.filter(id=ref.id).values_list("stripe_data", flat=True).first()
        if there is None:
            assert here is None or here["deleted"] is True
        else:
            assert as_stripe_has_it(KINDS[ref.kind], here) == there
    assert djstripe.APIKey.objects.count() == 0
