"""What we sign, receivers can verify with the standard's own library, also while the secret is rolled."""

from datetime import timedelta
from datetime import timezone as zone

import pytest
from django.utils import timezone
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from ops.effects.destinations.acts import roll_signing_secret
from ops.effects.destinations.signing import BOTH_VALID, valid_secrets
from ops.effects.outcome import Done, Refused
from ops.models import StaffAct
from tests.ops.destinations.conftest import send
from tests.ops.destinations.server import Received

HOUR = timedelta(hours=1)


def verified(secret: str, got: Received) -> object:
    return Webhook(secret).verify(got.body, got.headers)


def test_a_signed_call_is_verified_with_its_key_as_the_message_s_id(server, make):
    crm = make(signed=True)
    secret = roll_signing_secret(crm, now=timezone.now())
    assert isinstance(send(crm, '{"円": 5000}'), Done)
    (got,) = server.received
    assert verified(secret, got) == {"円": 5000}
    assert got.headers["webhook-id"] == got.headers["idempotency-key"] == "big-invoices:evt_1:crm"


def test_another_body_or_another_secret_is_not_verified(server, make):
    crm = make(signed=True)
    secret = roll_signing_secret(crm, now=timezone.now())
    send(crm)
    (got,) = server.received
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(got.body + " ", got.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + "A" * 32).verify(got.body, got.headers)


def test_the_time_of_another_zone_is_the_same_time(server, make):
    crm = make(signed=True)
    secret = roll_signing_secret(crm, now=timezone.now())
    tokyo = timezone.now().astimezone(zone(9 * HOUR))
    send(crm, now=tokyo)
    (got,) = server.received
    assert verified(secret, got)
    assert got.headers["webhook-timestamp"] == str(int(tokyo.timestamp()))


def test_while_a_secret_is_rolled_both_are_valid_and_then_the_new_one_alone(server, make):
    now = timezone.now()
    crm = make(signed=True)
    old = roll_signing_secret(crm, now=now - HOUR)
    new = roll_signing_secret(crm, now=now)
    send(crm, now=now)
    (got,) = server.received
    assert len(got.headers["webhook-signature"].split(" ")) == 2
    assert verified(old, got) == verified(new, got) == {"amount": 5000}
    assert valid_secrets(crm, now=now + BOTH_VALID) == [new]


def test_two_are_valid_and_never_three(make):
    now = timezone.now()
    crm = make(signed=True)
    secrets = [roll_signing_secret(crm, now=now) for _time in range(3)]
    assert valid_secrets(crm, now=now) == [secrets[2], secrets[1]]


def test_a_destination_that_should_sign_and_cannot_is_not_called(server, make):
    outcome = send(make(signed=True))
    assert isinstance(outcome, Refused)
    assert outcome.error.startswith("SigningSecretMissing")
    assert server.received == []


def test_a_redirect_to_another_host_is_signed_for_what_it_carries(server, other_server, make):
    from ops.effects.destinations.models import ConnectionParameter, Place
    from tests.ops.destinations.server import Reply

    crm = make(signed=True, follow_redirects=True)
    ConnectionParameter.objects.create(connection=crm.connection, place=Place.BODY, name="team", value="billing")
    secret = roll_signing_secret(crm, now=timezone.now())
    server.replies = [Reply(307, "", {"Location": f"{other_server.url}/there"})]
    assert isinstance(send(crm), Done)
    assert verified(secret, server.received[0]) == {"amount": 5000, "team": "billing"}
    assert verified(secret, other_server.received[0]) == {"amount": 5000}


def test_a_roll_by_an_operator_is_written_down_without_the_secret(make, olga):
    crm = make(signed=True)
    secret = roll_signing_secret(crm, now=timezone.now(), actor=olga, reason="It was in a log.")
    act = StaffAct.objects.get()
    assert (act.act, act.subject_id, act.reason) == ("signing-secret:roll", "crm", "It was in a log.")
    assert secret not in str((act.before, act.after))
    assert secret not in crm.sealed_signing_secret
