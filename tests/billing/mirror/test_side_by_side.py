"""Two Stripe accounts, and the live mode of one of them, lived and mirrored at once: none takes anything of another."""

import random
import secrets

import pytest
from django.utils import timezone

from billing.inbox.intake import store_event
from billing.inbox.models import Door, InboxEvent, InboxState
from billing.mirror.apply import mirror_due
from billing.mirror.drift import comparable, look
from billing.mirror.kinds import KINDS, Ref
from billing.mirror.owner import owner_id
from billing.stripe_accounts import configured
from billing.stripe_client import stripe_client
from tests.crashes.company import Company
from tests.crashes.lives import live
from tests.crashes.truth import announced

pytestmark = pytest.mark.django_db

STEPS = 25


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
