"""What targets do, on an AWS that moto plays; and what their refusals mean."""

import json
import secrets
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import boto3
import pytest
from django.utils import timezone

from billing.activity.models import Activity
from ops.effects import aws as aws_calls
from ops.effects.outcome import Done, Refused, Retry
from ops.effects.registry import EFFECTS, effect
from ops.models import Finding
from ops.rules.resources import ACTIVITY_ARN, DESTINATION, EFFECT, FINDING_ARN, read_arn
from ops.rules.targets import queue as queue_target
from ops.rules.targets.call import TargetCall
from ops.rules.targets.kinds import CALLS
from tests.ops.rows import make_customer, make_destination

ACCOUNT = "arn:aws:{}:us-east-1:123456789012:{}"
EVENT = {
    "version": "0",
    "id": "evt_1",
    "detail-type": "invoice.paid",
    "source": "stripe.com",
    "account": "000000000000",
    "time": "2026-01-01T00:00:00Z",
    "region": "local",
    "resources": ["in_1"],
    "detail": {"id": "evt_1", "amount": 5000},
}


def call_of(arn: str, **changes: Any) -> TargetCall:
    resource = read_arn(arn)
    assert resource
    call = TargetCall(
        rule_name="large-invoice",
        target_name="tell",
        kind=resource.kind,
        arn=arn,
        input=json.dumps(EVENT),
        parameters={},
        key="rule-1:tell:event-7",
        depth=1,
        event_id="evt_1",
        event_type="invoice.paid",
        customer_id="cus_1",
        now=timezone.now(),
    )
    return replace(call, **changes)


def make(call: TargetCall) -> Any:
    return CALLS[call.kind](call)


@pytest.fixture(autouse=True)
def forget_clients() -> Any:
    yield
    aws_calls.made.cache_clear()
    queue_target.url_of.cache_clear()


@pytest.fixture
def queue(aws: str) -> Any:
    def make_queue(name: str = "", **attributes: str) -> tuple[str, Any]:
        sqs = boto3.client("sqs")
        name = f"paid-{secrets.token_hex(4)}{name}"
        url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]

        def received() -> list[dict[str, Any]]:
            answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"])
            return list(answer.get("Messages", []))

        return ACCOUNT.format("sqs", name), received

    return make_queue


def test_a_queue_gets_the_input_and_the_key(queue) -> None:
    arn, received = queue()
    assert isinstance(make(call_of(arn)), Done)
    [message] = received()
    assert json.loads(message["Body"]) == EVENT
    assert message["MessageAttributes"]["kessai-key"]["StringValue"] == "rule-1:tell:event-7"


def test_a_fifo_queue_takes_the_same_call_once(queue) -> None:
    arn, received = queue(".fifo", FifoQueue="true")
    call = call_of(arn, parameters={"SqsParameters": {"MessageGroupId": "billing"}})
    for _ in range(3):
        assert isinstance(make(call), Done)
    assert isinstance(make(replace(call, key="another")), Done)
    assert len(received()) == 2


def test_a_queue_that_is_not_there_is_refused_for_good(aws) -> None:
    outcome = make(call_of(ACCOUNT.format("sqs", "never-made")))
    assert isinstance(outcome, Refused)
    assert "NonExistentQueue" in outcome.error


def test_a_topic_hands_it_on(queue, aws) -> None:
    arn, received = queue()
    sns = boto3.client("sns")
    topic = sns.create_topic(Name=f"paid-{secrets.token_hex(4)}")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
    assert isinstance(make(call_of(topic)), Done)
    [message] = received()
    assert json.loads(message["Body"]) == EVENT
    assert isinstance(make(call_of(ACCOUNT.format("sns", "never-made"))), Refused)


@pytest.fixture
def bus(queue, aws) -> Any:
    """A bus whose every event goes to a queue."""
    arn, received = queue()
    events, name = boto3.client("events"), f"bus-{secrets.token_hex(4)}"
    bus_arn = events.create_event_bus(Name=name)["EventBusArn"]
    events.put_rule(Name="all", EventBusName=name, EventPattern='{"detail-type": [{"exists": true}]}', State="ENABLED")
    events.put_targets(Rule="all", EventBusName=name, Targets=[{"Id": "q", "Arn": arn}])
    return bus_arn, lambda: [json.loads(message["Body"]) for message in received()]


def test_a_bus_gets_the_event_as_it_is(bus) -> None:
    arn, received = bus
    assert isinstance(make(call_of(arn)), Done)
    [event] = received()
    assert {key: event[key] for key in ("source", "detail-type", "detail", "resources")} == {
        "source": "stripe.com",
        "detail-type": "invoice.paid",
        "detail": EVENT["detail"],
        "resources": ["in_1"],
    }


@pytest.mark.parametrize(
    ("text", "source", "kind", "detail"),
    [
        ('{"amount": 5}', "kessai", "rule.large-invoice", {"amount": 5}),
        ('"a text"', "kessai", "rule.large-invoice", {"input": "a text"}),
        # only AWS and its partners may say aws.…
        (json.dumps(EVENT | {"source": "aws.partner/stripe.com/ed_1"}), "stripe.com", "invoice.paid", EVENT["detail"]),
        (json.dumps(EVENT | {"source": "aws.ec2"}), "kessai", "invoice.paid", EVENT["detail"]),
    ],
)
def test_a_bus_gets_other_input_as_the_detail_of_an_event_of_our_own(bus, text, source, kind, detail) -> None:
    arn, received = bus
    assert isinstance(make(call_of(arn, input=text)), Done)
    [event] = received()
    assert (event["source"], event["detail-type"], event["detail"]) == (source, kind, detail)


def test_a_state_machine_is_started_once(aws) -> None:
    states = boto3.client("stepfunctions")
    definition = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}})
    arn = states.create_state_machine(
        name=f"m-{secrets.token_hex(4)}", definition=definition, roleArn="arn:aws:iam::123456789012:role/r"
    )["stateMachineArn"]
    call = call_of(arn)
    for _ in range(3):
        assert isinstance(make(call), Done)
    # Its input says another thing under the same name: AWS refuses that, and it was started all the same.
    assert isinstance(make(replace(call, input="{}")), Done)
    [execution] = states.list_executions(stateMachineArn=arn)["executions"]
    described = states.describe_execution(executionArn=execution["executionArn"])
    assert json.loads(described["input"]) == EVENT
    assert isinstance(make(call_of(ACCOUNT.format("states", "stateMachine:never-made"))), Refused)


@pytest.mark.parametrize(
    "arn", [ACCOUNT.format("sqs", "q"), ACCOUNT.format("sns", "t"), ACCOUNT.format("events", "event-bus/b")]
)
def test_an_aws_that_is_away_is_asked_again_later(arn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "secret-of-ours",
    }.items():
        monkeypatch.setenv(name, value)
    outcome = make(call_of(arn))
    assert isinstance(outcome, Retry)
    assert "EndpointConnectionError" in outcome.error
    assert "secret-of-ours" not in outcome.error


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("ThrottlingException", 400, Retry),
        ("InternalError", 500, Retry),
        ("ServiceUnavailable", 503, Retry),
        ("ExpiredToken", 403, Retry),  # keys are being rolled
        ("AccessDenied", 403, Refused),  # as EventBridge: not tried again
        ("ResourceNotFoundException", 400, Refused),
        ("InvalidParameter", 400, Refused),
    ],
)
def test_what_aws_says_is_tried_again_or_not(code: str, status: int, kind: type) -> None:
    from botocore.exceptions import ClientError

    answer: Any = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    assert aws_calls.outcome_of(ClientError(answer, "Send")) == kind(f"{code}: no")


@pytest.mark.django_db
def test_an_activity_reaches_the_organization_once(acme) -> None:
    customer = make_customer(acme, now=timezone.now())
    text = json.dumps({"text": {"en": "Thank you!", "ja": "ありがとうございます。"}, "subject": "in_1"})
    call = call_of(ACTIVITY_ARN, input=text, customer_id=customer.id)
    for _ in range(2):
        assert isinstance(make(call), Done)
    activity = Activity.objects.get(organization=acme)
    assert (activity.verb, activity.subject_id, activity.data["text"]["ja"]) == (
        "notice:published",
        "in_1",
        "ありがとうございます。",
    )
    nobody = make(call_of(ACTIVITY_ARN, input=text, customer_id="cus_nobody"))
    assert isinstance(nobody, Refused)
    assert nobody.error.startswith("NoOrganization: ")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("arn", "text", "words"),
    [
        (ACTIVITY_ARN, json.dumps(EVENT), "unknown field"),
        (ACTIVITY_ARN, "{}", "missing required field"),
        (ACTIVITY_ARN, '{"text": ""}', "length"),
        (FINDING_ARN, '{"title": 5}', "`$.title`"),
        (FINDING_ARN, '{"title": "x", "severity": "dire"}', "dire"),
        (FINDING_ARN, "no json", "malformed"),
        (f"{EFFECT}never-made", "{}", "NoSuchEffect"),
    ],
)
def test_an_effect_refuses_what_it_does_not_take_before_anything_is_called(arn: str, text: str, words: str) -> None:
    outcome = make(call_of(arn, input=text))
    assert isinstance(outcome, Refused)
    assert words in outcome.error
    assert not Activity.objects.exists()
    assert not Finding.objects.exists()


@pytest.mark.django_db
def test_a_finding_is_opened_once_for_a_subject_and_closed_by_a_rule() -> None:
    first = call_of(FINDING_ARN, input='{"title": "Unpaid", "subject": "in_1", "severity": "urgent"}')
    assert make(first) == make(first)
    assert isinstance(make(replace(first, key="of-another-event")), Done)
    finding = Finding.objects.get()
    assert (finding.kind, finding.subject, finding.severity, finding.evidence["events"]) == (
        "rule",
        "in_1",
        "urgent",
        2,
    )
    close = call_of(f"{EFFECT}close-finding", input='{"rule": "large-invoice", "subject": "in_1"}', key="paid")
    assert make(close) == Done({"closed": 1})
    assert make(close) == Done({"closed": 0})
    make(replace(first, key="of-another-event"))  # made again after a crash: it opens nothing anew
    assert Finding.objects.filter(closed_at=None).count() == 0
    make(replace(first, key="of-a-third-event"))
    assert Finding.objects.filter(closed_at=None).count() == 1


def test_effects_have_names_of_their_own_and_say_what_they_do() -> None:
    for name, one in EFFECTS.items():
        assert one.meaning, name
        assert one.schema["$defs"], name
    with pytest.raises(ValueError, match="two effects"):
        effect("open-finding", takes=EFFECTS["open-finding"].takes)(lambda _given, _call: Done())


class Receiving(BaseHTTPRequestHandler):
    """An HTTP API that keeps what it was sent."""

    got: ClassVar[list[tuple[str, str, str | None, str | None]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.got.append((self.path, body, self.headers["Idempotency-Key"], self.headers["X-Kind"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def api(settings) -> Any:
    settings.DESTINATIONS_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    Receiving.got.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiving)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/customers/*/notes"
    server.shutdown()
    thread.join(60)
    server.server_close()


@pytest.mark.django_db
def test_a_destination_is_called_by_its_name_with_the_rules_values_and_the_key(api: str) -> None:
    make_destination("crm", endpoint=api)
    values = {"HttpParameters": {"PathParameterValues": ["cus_1"], "HeaderParameters": {"X-Kind": "paid"}}}
    call = call_of(f"{DESTINATION}crm", input='{"amount": 5000}', parameters=values)
    assert isinstance(make(call), Done)
    [(path, body, key, kind)] = Receiving.got
    assert (path, json.loads(body), key, kind) == ("/customers/cus_1/notes", {"amount": 5000}, call.key, "paid")
    unknown = make(call_of(f"{DESTINATION}never-made"))
    assert isinstance(unknown, Refused)
