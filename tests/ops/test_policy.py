"""What browsers are told they may run: more in the console than anywhere else, and only there."""

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests.cast import sign_in
from tests.ops.rows import make_event


def directives(page) -> dict[str, set[str]]:
    parts = (part.split() for part in page["Content-Security-Policy"].split(";"))
    return {name: set(values) for name, *values in parts}


@pytest.mark.parametrize("name", ["admin:index", "admin:billing_inboxevent_changelist", "admin:jsi18n"])
def test_console_pages_may_evaluate_what_alpine_needs(olga, name):
    policy = directives(sign_in(olga).get(reverse(name)))
    assert "'unsafe-eval'" in policy["script-src"]
    assert "'unsafe-inline'" not in policy["script-src"]
    assert policy["default-src"] == {"'self'"}
    assert policy["frame-ancestors"] == {"'none'"}


def test_actions_of_the_console_have_its_policy_too(olga):
    event = make_event(timezone.now())
    policy = directives(sign_in(olga).get(reverse("admin:billing_inboxevent_replay_one", args=[event.pk])))
    assert "'unsafe-eval'" in policy["script-src"]


@pytest.mark.parametrize("name", ["account_login", "billing:landing"])
def test_pages_of_customers_keep_the_strict_policy(acme, alice, name):
    for viewer in (sign_in(alice), Client()):
        policy = directives(viewer.get(reverse(name), follow=True))
        assert not {"'unsafe-eval'", "'unsafe-inline'"} & (policy["script-src"] | policy["style-src"])
