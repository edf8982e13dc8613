"""Several Stripe accounts, live and test side by side: each event is of one of them."""

import json
import os

import environ
import pytest
from django.core.exceptions import ImproperlyConfigured

from billing.inbox.models import InboxEvent
from billing.stripe_accounts import UnknownAccount, by_name, configured
from config.stripe_accounts import read_accounts
from tests.billing.events import an_event
from tests.stripe_sandbox import sign

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def accounts(settings):
    settings.STRIPE_ACCOUNT_ID = "acct_main"
    settings.STRIPE_ACCOUNTS = {
        "live": {"secret_key": "sk_live_1", "webhook_secrets": ["whsec_live"], "account_id": "acct_main"},
        "osaka": {"secret_key": "rk_test_2", "webhook_secrets": ["whsec_osaka", "whsec_org"], "account_id": "acct_2"},
        "kobe": {"secret_key": "sk_test_3", "webhook_secrets": ["whsec_org"], "account_id": "acct_3"},
    }


@pytest.mark.parametrize(
    ("secret", "event", "owner"),
    [
        ("whsec_tests", {}, ""),
        ("whsec_tests", {"account": "acct_main"}, ""),  # its own, said aloud
        ("whsec_live", {"livemode": True}, "live"),
        ("whsec_osaka", {}, "osaka"),
        ("whsec_osaka", {"context": "acct_2"}, "osaka"),
        ("whsec_org", {"context": "acct_3"}, "kobe"),  # one secret of an organization: the event says whose it is
        ("whsec_org", {"context": "org_1/acct_2"}, "osaka"),
    ],
)
def test_an_event_is_bound_to_the_account_whose_secret_verified_it(post_webhook, sent, secret, event, owner):
    body = json.dumps(an_event(**event))
    assert post_webhook(body, signature=sign(body, secret=secret)).status_code == 200
    assert InboxEvent.objects.get().owner == owner


@pytest.mark.parametrize(
    ("secret", "event"),
    [
        ("whsec_tests", {"livemode": True}),  # a live event under the secret of the test mode
        ("whsec_live", {"livemode": False}),
        ("whsec_tests", {"account": "acct_2"}),  # another account of ours: its own secret must say so
        ("whsec_osaka", {"account": "acct_main"}),
        ("whsec_osaka", {"account": "acct_stranger"}),
        ("whsec_org", {"context": "acct_main"}),
    ],
)
def test_an_event_of_another_account_or_mode_is_refused(post_webhook, sent, secret, event):
    body = json.dumps(an_event(**event))
    assert post_webhook(body, signature=sign(body, secret=secret)).status_code == 400
    assert not InboxEvent.objects.exists()


@pytest.mark.parametrize(
    ("path", "secret", "status"),
    [
        ("/webhooks/stripe/osaka", "whsec_osaka", 200),
        ("/webhooks/stripe/osaka/", "whsec_osaka", 200),
        ("/webhooks/stripe/osaka", "whsec_tests", 400),  # another account's secret does not hold there
        ("/webhooks/stripe/nobody", "whsec_tests", 404),
        ("/webhooks/stripe", "whsec_osaka", 200),  # all secrets hold at the common address
    ],
)
def test_at_an_accounts_own_address_only_its_secrets_hold(client, sent, path, secret, status):
    body = json.dumps(an_event())
    headers = {"Stripe-Signature": sign(body, secret=secret)}
    answer = client.post(path, body, content_type="application/json", headers=headers)
    assert answer.status_code == status


def test_accounts_are_found_by_name_and_modes_by_key():
    assert [(account.name, account.livemode) for account in configured()] == [
        ("", False),
        ("live", True),
        ("osaka", False),
        ("kobe", False),
    ]
    assert by_name("osaka").account_id == "acct_2"
    with pytest.raises(UnknownAccount):
        by_name("nobody")


def test_neither_keys_nor_signing_secrets_are_shown():
    shown = repr(configured())
    assert "sk_" not in shown
    assert "whsec" not in shown


def test_accounts_are_read_from_the_environment(monkeypatch):
    names = {
        "STRIPE_ACCOUNTS": "live,osaka-2",
        "STRIPE_ACCOUNT_LIVE_SECRET_KEY": "sk_live_1",
        "STRIPE_ACCOUNT_OSAKA_2_SECRET_KEY": "sk_test_2",
        "STRIPE_ACCOUNT_OSAKA_2_WEBHOOK_SECRET": "whsec_1,whsec_2",
        "STRIPE_ACCOUNT_OSAKA_2_ID": "acct_2",
    }
    for name, value in names.items():
        monkeypatch.setitem(os.environ, name, value)
    assert read_accounts(environ.Env()) == {
        "live": {"secret_key": "sk_live_1", "webhook_secrets": [], "account_id": ""},
        "osaka-2": {"secret_key": "sk_test_2", "webhook_secrets": ["whsec_1", "whsec_2"], "account_id": "acct_2"},
    }


@pytest.mark.parametrize("name", ["Live", "a b", "a/b", "x" * 33, "-"])
def test_a_name_that_cannot_stand_in_an_address_is_said_at_the_start(monkeypatch, name):
    monkeypatch.setenv("STRIPE_ACCOUNTS", name)
    with pytest.raises(ImproperlyConfigured):
        read_accounts(environ.Env())
