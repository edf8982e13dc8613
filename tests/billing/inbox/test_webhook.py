import json
import logging
import socket
import threading
import time
from contextlib import suppress
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from billing import nudge
from billing.inbox.models import Door, InboxEvent, InboxState
from tests.billing.events import an_event
from tests.stripe_sandbox import sign

pytestmark = pytest.mark.django_db

EVENT = json.dumps(an_event())


def without(name: str) -> str:
    return json.dumps({key: value for key, value in an_event().items() if key != name})


def test_a_signed_event_is_stored_and_answered_with_200(post_webhook, sent):
    assert post_webhook(an_event(type="customer.created")).status_code == 200
    row = InboxEvent.objects.get()
    assert (row.source, row.external_id, row.type, row.door) == (
        "stripe.com",
        "evt_1",
        "customer.created",
        Door.WEBHOOK,
    )
    assert (row.object_kind, row.object_id, row.customer_id) == ("customer", "cus_1", "cus_1")
    assert (row.state, row.due_at, row.livemode) == (InboxState.RECEIVED, row.received_at, False)
    assert row.occurred_at.isoformat() == "2026-01-01T00:00:00+00:00"
    assert row.payload == an_event(type="customer.created")


@pytest.mark.parametrize(
    ("data", "customer"),
    [
        ({"object": {"id": "pm_1", "object": "payment_method", "customer": "cus_2"}}, "cus_2"),
        # One that was detached is nobody's any more: it is found among the events of whose it was.
        (
            {
                "object": {"id": "pm_1", "object": "payment_method", "customer": None},
                "previous_attributes": {"customer": "cus_2"},
            },
            "cus_2",
        ),
        ({"object": {"id": "pm_1", "object": "payment_method"}, "previous_attributes": ["customer"]}, ""),
    ],
)
def test_an_event_is_its_customers(post_webhook, sent, data, customer):
    assert post_webhook(an_event(type="payment_method.detached", data=data)).status_code == 200
    assert InboxEvent.objects.get().customer_id == customer


REFUSED: list[tuple[str, Any, int]] = [
    (EVENT, lambda: "", 400),  # no signature
    (EVENT, lambda: "t=,v1=", 400),  # a header that says nothing
    (EVENT, lambda: "nonsense", 400),
    (EVENT, lambda: "t=1767225600,v1=é", 400),
    (EVENT, lambda: sign(EVENT, secret="whsec_forged"), 400),  # signed by somebody else
    (EVENT, lambda: sign(EVENT, at=int(time.time()) - 301), 400),  # older than the tolerance: may be a replay
    (EVENT, lambda: sign(EVENT + " "), 400),  # the signature of another body
    (EVENT[:-20], lambda: sign(EVENT), 400),  # truncated on the way
    (EVENT[:-20], None, 400),  # truncated before it was signed
    ("", None, 400),
    ("not json", None, 400),
    ('{"id": NaN}', None, 400),  # JSON in Python's eyes alone
    (EVENT[:-1] + ', "amount": 1e999999}', None, 400),  # a number beyond any
    ("[" * 100_000, None, 400),  # nested deeper than anyone reads
    ("[]", None, 400),  # JSON, and no event
    ("null", None, 400),
    ('"evt_1"', None, 400),
    ("{}", None, 400),
    (without("id"), None, 400),
    (without("type"), None, 400),
    (without("data"), None, 400),
    (without("created"), None, 400),
    (without("object"), None, 400),
    (json.dumps(an_event(id=["evt_1"])), None, 400),
    (json.dumps(an_event(id="")), None, 400),
    (json.dumps(an_event(id="e" * 256)), None, 400),
    (json.dumps(an_event(type=None)), None, 400),
    (json.dumps(an_event(data=[])), None, 400),
    (json.dumps(an_event(data={"object": "cus_1"})), None, 400),
    (json.dumps(an_event(created="yesterday")), None, 400),
    (json.dumps(an_event(created=True)), None, 400),
    (json.dumps(an_event(created=10**20)), None, 400),
    (json.dumps(an_event(object="v3.core.event")), None, 400),  # of a version that nobody knows
    (json.dumps(an_event(object="v2.core.event")), None, 400),  # a thin event tells its time in words
    (json.dumps(an_event(api_version="tomorrow's")), None, 400),
    (json.dumps(an_event(api_version=["2026-08-26.dahlia"])), None, 400),
    (json.dumps(an_event(api_version="２０26-08-26.dahlia")), None, 400),  # digits, though not Stripe's
    (json.dumps(an_event(api_version="20２６-08-26.dahlia")), None, 400),
    (json.dumps(an_event(livemode=True)), None, 400),  # of the other mode
    (json.dumps(an_event(account="acct_1")), None, 400),  # of an account that is not ours
    (json.dumps(an_event(context="acct_1")), None, 400),
    ("\ufeff" + EVENT, None, 400),  # a byte order mark: JSON forbids it
    (json.dumps(an_event(padding="x" * 1_000_000)), None, 413),
]


@pytest.mark.parametrize(("body", "signature", "status"), REFUSED)
def test_what_is_no_signed_event_is_refused_and_leaves_no_row(post_webhook, sent, body, signature, status):
    answer = post_webhook(body, signature=signature and signature())
    assert answer.status_code == status
    assert len(answer.content.decode().splitlines()) == 1
    assert not InboxEvent.objects.exists()
    assert sent == []


@pytest.mark.parametrize("depth", range(600, 1001, 25))
def test_an_event_nested_ever_deeper_is_stored_or_refused(post_webhook, sent, depth):
    deep = '{"a":' * depth + "1" + "}" * depth
    assert post_webhook(EVENT[:-1] + f', "deep": {deep}}}').status_code in (200, 400)


def test_a_body_that_is_not_utf8_is_refused(sent):
    answer = Client().post(
        "/webhooks/stripe/", b"\xff\xfe", content_type="application/json", headers={"Stripe-Signature": sign("x")}
    )
    assert answer.status_code == 400
    assert not InboxEvent.objects.exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "some.type.of.tomorrow"},
        {"data": {"object": {"object": "balance"}}},  # objects without an id
        {"data": {"object": {}}},
        {"data": {"object": {"id": 7, "object": ["x"], "customer": {"id": "cus_2"}}}},
        {"api_version": None},
        {"api_version": "2020-08-27"},  # the mirror asks Stripe
        {"api_version": "2027-01-27.fuchsia; some_beta=v1"},
        {"created": 0},
        {"note": "a\u0000b \ud800 c"},  # characters that PostgreSQL cannot keep
        {"data": {"object": {"id": "in_\ud800", "object": "invoice\u0000", "customer": "cus_\udfff"}}},
        {"id": "e" * 255, "type": "t" * 255},
    ],
)
def test_every_event_is_stored_whatever_it_is_about(post_webhook, sent, changes):
    assert post_webhook(an_event(**changes)).status_code == 200
    assert InboxEvent.objects.count() == 1


def test_the_same_event_again_is_answered_with_200_and_makes_no_second_row(post_webhook, sent):
    assert [post_webhook(an_event()).status_code for _ in range(3)] == [200, 200, 200]
    assert InboxEvent.objects.count() == 1
    assert sent == ["billing.tasks.mirror_due"]


def test_a_repetition_does_not_bring_back_what_was_mirrored(post_webhook, sent):
    post_webhook(an_event())
    InboxEvent.objects.update(state=InboxState.MIRRORED, due_at=None)
    post_webhook(an_event())
    assert InboxEvent.objects.get().state == InboxState.MIRRORED


@pytest.mark.django_db(transaction=True)
def test_the_same_event_many_times_at_once_is_one_row(sent):
    together = threading.Barrier(8)
    answers = []

    def deliver() -> None:
        together.wait()
        headers = {"Stripe-Signature": sign(EVENT)}
        answers.append(Client().post("/webhooks/stripe/", EVENT, content_type="application/json", headers=headers))
        connection.close()

    threads = [threading.Thread(target=deliver) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [answer.status_code for answer in answers] == [200] * 8
    assert sorted(answer.content for answer in answers) == [b"Stored before.\n"] * 7 + [b"Stored.\n"]
    assert InboxEvent.objects.count() == 1


@pytest.mark.parametrize("secret", ["whsec_old", "whsec_new"])
def test_each_of_several_secrets_is_accepted_while_one_is_rolled(post_webhook, sent, settings, secret):
    settings.STRIPE_WEBHOOK_SECRETS = ["whsec_old", "whsec_new"]
    body = json.dumps(an_event())
    assert post_webhook(body, signature=sign(body, secret=secret)).status_code == 200


def test_without_any_secret_every_event_is_refused(post_webhook, settings):
    settings.STRIPE_WEBHOOK_SECRETS = []
    assert post_webhook(an_event()).status_code == 400


def test_only_posts_are_answered(client):
    assert client.get(reverse("billing:stripe_webhook")).status_code == 405


def test_other_sites_forms_need_no_token_because_the_signature_is_one(sent):
    headers = {"Stripe-Signature": sign(EVENT)}
    strict = Client(enforce_csrf_checks=True)
    assert strict.post("/webhooks/stripe/", EVENT, content_type="application/json", headers=headers).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_storing_an_event_takes_one_query(post_webhook, sent, django_assert_num_queries):
    with django_assert_num_queries(1):
        post_webhook(an_event())


def test_an_unreachable_redis_does_not_fail_the_answer(post_webhook, point_redis_to):
    point_redis_to(1)
    assert [post_webhook(an_event(id=f"evt_{n}")).status_code for n in range(3)] == [200] * 3
    assert InboxEvent.objects.filter(state=InboxState.RECEIVED, due_at__isnull=False).count() == 3


def test_a_redis_that_hangs_is_waited_for_once_and_not_at_every_event(post_webhook, point_redis_to, monkeypatch):
    monkeypatch.setattr(nudge, "REST_SECONDS", 600.0)
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(8)
        point_redis_to(deaf.getsockname()[1])
        assert [post_webhook(an_event(id=f"evt_{n}")).status_code for n in range(10)] == [200] * 10
        assert connections_made_to(deaf) == 1


def connections_made_to(deaf: socket.socket) -> int:
    deaf.setblocking(False)
    made = 0
    with suppress(BlockingIOError):
        while True:
            deaf.accept()[0].close()
            made += 1
    return made


def test_bodies_and_secrets_are_never_logged(post_webhook, sent, caplog):
    with caplog.at_level(logging.DEBUG):
        post_webhook(an_event(note="personal"), signature="t=1,v1=forged")
        post_webhook("personal, and no JSON")
    assert caplog.records
    assert "personal" not in caplog.text
    assert "forged" not in caplog.text
    assert "whsec" not in caplog.text
