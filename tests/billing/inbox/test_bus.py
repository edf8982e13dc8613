"""What is in a message: every wrapping in which an event may come out of a queue."""

import json

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from billing.inbox.refusals import Reason, Refused
from billing.inbox.sqs import arrival_in
from billing.stripe_accounts import StripeAccount
from tests.billing.events import an_event
from tests.billing.inbox.test_intake import JSON
from tests.billing.inbox.test_thin import a_thin_event

NOW = timezone.now()
ACCOUNT = StripeAccount(name="osaka", secret_key="sk_test_1", livemode=False, account_id="acct_2")


def an_envelope(**changes):
    return {
        "version": "0",
        "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718",
        "detail-type": "customer.updated",
        "source": "aws.partner/stripe.com/ed_test_61abc",
        "account": "123456789012",
        "time": "2026-01-01T00:00:00Z",
        "region": "us-east-1",
        "resources": ["arn:aws:events:us-east-1::event-source/aws.partner/stripe.com/ed_test_61abc"],
        "detail": an_event(),
        **changes,
    }


def in_sns(message):
    """As an SNS topic hands it to a queue without raw message delivery."""
    return {
        "Type": "Notification",
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": "arn:aws:sns:us-east-1:123456789012:stripe",
        "Message": json.dumps(message),
        "Timestamp": "2026-01-01T00:00:00.000Z",
        "SignatureVersion": "1",
    }


STACK = an_envelope(
    **{
        "source": "aws.cloudformation",
        "detail-type": "CloudFormation Stack Status Change",
        "resources": ["arn:aws:cloudformation:us-east-1:123456789012:stack/acme/1"],
        "detail": {"status-details": {"status": "CREATE_COMPLETE"}},
    }
)


@pytest.mark.parametrize(
    "message",
    [
        an_envelope(),  # the partner source
        an_envelope(source="stripe.com"),  # the quick start's bus
        in_sns(an_envelope()),
        in_sns(an_event()),  # a rule that hands on the detail alone, to a topic
        an_event(),
    ],
)
def test_stripes_event_is_the_same_in_every_wrapping(message):
    arrival = arrival_in(json.dumps(message), ACCOUNT, now=NOW)
    assert (arrival.source, arrival.event.id, arrival.owner) == ("stripe.com", "evt_1", "osaka")
    assert json.loads(arrival.body) == an_event()


def test_a_thin_event_may_come_this_way_too():
    arrival = arrival_in(json.dumps(an_envelope(detail=a_thin_event())), ACCOUNT, now=NOW)
    assert (arrival.source, arrival.event.object_id) == ("stripe.com", "mtr_1")


@pytest.mark.parametrize("message", [STACK, in_sns(STACK)])
def test_an_event_that_is_not_stripes_keeps_its_source_and_its_whole_envelope(message):
    arrival = arrival_in(json.dumps(message), ACCOUNT, now=NOW)
    assert (arrival.source, arrival.event.id, arrival.owner) == ("aws.cloudformation", STACK["id"], "")
    assert arrival.event.type == "CloudFormation Stack Status Change"
    assert arrival.event.object_id.endswith("stack/acme/1")
    assert arrival.event.occurred_at.isoformat() == "2026-01-01T00:00:00+00:00"
    assert json.loads(arrival.body) == STACK


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("", Reason.NOT_JSON),
        ("hello", Reason.NOT_JSON),
        ('{"a": NaN}', Reason.NOT_JSON),
        ("\x00{}", Reason.NOT_JSON),
        ("[" * 100_000, Reason.NOT_JSON),
        ("null", Reason.NOT_AN_EVENT),
        ("[]", Reason.NOT_AN_EVENT),
        ("{}", Reason.NOT_AN_EVENT),
        (json.dumps({"Type": "Notification", "Message": "hello"}), Reason.NOT_JSON),  # a topic for people
        (json.dumps({"Type": "SubscriptionConfirmation", "Message": "…"}), Reason.NOT_AN_EVENT),
        (json.dumps(an_envelope(detail=None)), Reason.NOT_AN_EVENT),  # from Stripe's source, and no event
        (json.dumps(an_envelope(detail={"id": "evt_1"})), Reason.NOT_AN_EVENT),
        (json.dumps(STACK | {"id": None}), Reason.NOT_AN_EVENT),
        (json.dumps(STACK | {"id": "i" * 256}), Reason.NOT_AN_EVENT),
        (json.dumps(STACK | {"source": "s" * 257}), Reason.NOT_AN_EVENT),
        (json.dumps(STACK | {"source": ""}), Reason.NOT_AN_EVENT),
        (json.dumps(STACK | {"time": "noon"}), Reason.NOT_AN_EVENT),
        (json.dumps({name: value for name, value in STACK.items() if name != "detail"}), Reason.NOT_AN_EVENT),
        (json.dumps(an_envelope(detail=an_event(livemode=True))), Reason.MODE),
        (json.dumps(an_envelope(detail=an_event(account="acct_1"))), Reason.ACCOUNT),
        (json.dumps(an_envelope(detail=an_event(object="v9.core.event"))), Reason.VERSION),
        ('"' + "x" * 1_048_576 + '"', Reason.TOO_LONG),
    ],
)
def test_what_is_no_event_of_ours_says_why(body, reason):
    with pytest.raises(Refused) as refused:
        arrival_in(body, ACCOUNT, now=NOW)
    assert refused.value.reason is reason


@given(st.sampled_from([*STACK, "Type", "Message", "object"]), JSON)
def test_an_envelope_with_any_part_replaced_is_read_or_refused(name, value):
    try:
        arrival_in(json.dumps(STACK | {name: value}), ACCOUNT, now=NOW)
    except Refused as refusal:
        assert refusal.reason in Reason


def test_half_a_surrogate_pair_keeps_no_event_out_as_it_does_not_at_the_webhook():
    arrival = arrival_in(
        json.dumps(an_envelope(detail=an_event(account="acct_2", note="a \ud800 b"))), ACCOUNT, now=NOW
    )
    assert json.loads(arrival.body)["note"].startswith("a \ufffd")
