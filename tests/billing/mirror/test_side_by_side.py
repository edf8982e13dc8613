"""Two Stripe accounts, and the live mode of one of them, lived and mirrored at once: none takes anything of another."""

import random
import secrets
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from accounts.customers import organization_of, write_intent
from billing.inbox.intake import store_event
from billing.inbox.models import Door, InboxEvent, InboxState
from billing.mirror.apply import mirror_due
from billing.mirror.drift import check_drift, comparable, look
from billing.mirror.kinds import KINDS, Ref
from billing.mirror.owner import owner_id
from billing.mirror.querysets import catalog
from billing.stripe_accounts import configured
from billing.stripe_client import stripe_client
from tests.crashes.company import Company
from tests.crashes.lives import live
from tests.crashes.truth import announced

pytestmark = pytest.mark.django_db(transaction=True)

STEPS = 25


@pytest.fixture
def both_modes(stripe, stripe_key, settings) -> dict[bool, Any]:
    """The clients of one account, by whether it is in live mode."""
    settings.DRIFT_PATIENCE_SECONDS = 0.01
    settings.STRIPE_ACCOUNTS = {"live": {"secret_key": stripe_key.replace("_test_", "_live_")}}
    return {account.livemode: stripe_client(account) for account in configured()}


def take_all(clients: dict[bool, Any]) -> None:
    """Mirror what the account has announced in both modes."""
    for livemode, client in clients.items():
        for event in reversed(announced(client)):
            store_event(event, door=Door.WEBHOOK, owner="live" if livemode else "", now=timezone.now())
    mirror_due(timezone.now, budget_seconds=60)


def pay_and_refund(client: Any) -> str:
    """Make objects that do not say of which mode they are: a refund, and what it is in the balance."""
    given = {"amount": 500, "currency": "jpy", "payment_method": "pm_card_visa", "confirm": True, "off_session": True}
    intent = client.v1.payment_intents.create(given)
    refund: str = client.v1.refunds.create({"payment_intent": intent.id, "amount": 100}).id
    return refund


def living_rows(kind: str) -> dict[str, bool | None]:
    rows: Any = KINDS[kind].model.objects.exclude(stripe_data__contains={"deleted": True})
    return dict(rows.values_list("id", "livemode"))


def test_a_resync_of_one_mode_leaves_the_other_mode_s_objects_as_they_are(both_modes):
    refunds = {pay_and_refund(client): livemode for livemode, client in both_modes.items()}
    take_all(both_modes)
    before = {kind: living_rows(kind) for kind in ("refund", "balance_transaction", "charge")}
    assert before["refund"] == refunds
    call_command("resync", "--account", "live", stdout=StringIO())
    assert {kind: living_rows(kind) for kind in before} == before


def test_drift_of_one_mode_looks_at_its_own_objects_alone(both_modes):
    for client in both_modes.values():
        pay_and_refund(client)
        client.v1.coupons.create({"id": "SPRING", "percent_off": 10, "name": str(client)[-30:], "duration": "once"})
    take_all(both_modes)
    for account in configured():
        check = check_drift(comparable(), account=account, clock=timezone.now, sample=20)
        assert list(check.differences.values_list("kind", "path", "ours", "theirs")) == []


def test_a_coupon_that_is_deleted_in_one_mode_stays_in_the_other(both_modes):
    for client in both_modes.values():
        client.v1.coupons.create({"id": "SPRING", "percent_off": 10, "duration": "once"})
    take_all(both_modes)
    both_modes[False].v1.coupons.delete("SPRING")
    take_all(both_modes)
    assert living_rows("coupon") == {"SPRING": True}


@pytest.fixture
def two_accounts(stripe, settings) -> dict[str, Any]:
    """The clients of two accounts in test mode, by their names."""
    settings.STRIPE_ACCOUNTS = {"jp": {"secret_key": f"sk_test_51{secrets.token_hex(8)[:15]}{'0' * 16}"}}
    return {account.name: stripe_client(account) for account in configured()}


def take_each(clients: dict[str, Any]) -> None:
    for name, client in clients.items():
        for event in reversed(announced(client)):
            store_event(event, door=Door.WEBHOOK, owner=name, now=timezone.now())
    mirror_due(timezone.now, budget_seconds=60)


def test_another_account_s_plans_are_not_sold_here(two_accounts):
    for name, client in two_accounts.items():
        product = client.v1.products.create({"name": f"Plan of {name or 'ours'}", "metadata": {"kessai_plan": "pro"}})
        client.v1.prices.create(
            {"product": product.id, "currency": "jpy", "unit_amount": 900, "recurring": {"interval": "month"}}
        )
    take_each(two_accounts)
    assert KINDS["price"].model.objects.count() == 2
    assert [plan.name for plan in catalog().plans] == ["Plan of ours"]


def test_another_account_s_customer_is_nobody_s_here_whatever_its_metadata_say(two_accounts, acme):
    write_intent(acme, livemode=False, now=timezone.now())
    named = {"metadata": {"kessai_organization": acme.public_id}}
    theirs = two_accounts["jp"].v1.customers.create(named).id
    take_each(two_accounts)
    assert organization_of(theirs) is None
    our_own = two_accounts[""].v1.customers.create(named).id
    take_each(two_accounts)
    assert organization_of(our_own) == acme


def test_each_account_and_mode_ends_equal_to_its_own_stripe(stripe, sandbox, stripe_key, settings):
    settings.DRIFT_PATIENCE_SECONDS = 0.01
    settings.STRIPE_ACCOUNTS = {
        "jp": {"secret_key": f"sk_test_51{secrets.token_hex(8)[:15]}{'0' * 16}"},
        "live": {"secret_key": stripe_key.replace("_test_", "_live_")},
    }
    chance = random.Random(5)
    news = []
    for account in configured():
        client = stripe_client(account)
        live(Company(client, sandbox, random.Random(5)), steps=STEPS)  # the very same life, as far as Stripe lets it
        news += [(account.name, event) for event in announced(client)]
    assert {name for name, _ in news} == {"", "jp", "live"}
    news += chance.sample(news, k=len(news) // 3)
    chance.shuffle(news)
    for name, event in news:
        store_event(event, door=Door.WEBHOOK, owner=name, now=timezone.now())
    mirror_due(timezone.now, budget_seconds=60)
    left = InboxEvent.objects.exclude(state__in=[InboxState.MIRRORED, InboxState.STORED])
    assert list(left.values_list("owner", "type", "error")) == []
    askable = {kind.name for kind in comparable()}
    for account in configured():
        events = InboxEvent.objects.filter(owner=account.name, object_kind__in=askable).exclude(object_id="")
        refs = {Ref(kind, object_id) for kind, object_id in events.values_list("object_kind", "object_id")}
        found = look(sorted(refs, key=str), account=account)
        assert (found.differing, found.errors, found.unsettled) == ({}, {}, set())
        products = KINDS["product"].model.objects.filter(id__in=[ref.id for ref in refs if ref.kind == "product"])
        whose = set(products.values_list("djstripe_owner_account__id", "livemode"))
        assert whose == {(owner_id(account), account.livemode)}
