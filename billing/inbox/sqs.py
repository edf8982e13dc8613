"""The SQS door: events of EventBridge out of a queue. A message is deleted only after what was in it is committed."""

import random
import re
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Any

import boto3
import structlog
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.db import InterfaceError, OperationalError, connection, transaction

from billing import metrics
from billing.inbox.aside import Message, keep_aside
from billing.inbox.bus import read_bus_envelope, read_message, stripe_event
from billing.inbox.envelope import check_belongs
from billing.inbox.intake import Arrival, Stored, arrival_of, storable_json, store
from billing.inbox.models import Door
from billing.inbox.nudge import mirror_soon
from billing.inbox.refusals import Reason, Refused
from billing.stripe_accounts import PRIMARY, StripeAccount

log = structlog.get_logger(__name__)

AT_ONCE = 10  # SQS's largest batch
LONG_POLL_SECONDS = 20  # SQS's longest
VISIBILITY_SECONDS = 60  # while we hold a message nobody else gets it; extended as long as it takes
LONGEST_WAIT_SECONDS = 30.0
REGION = re.compile(r"https://sqs\.([a-z0-9-]+)\.amazonaws\.com")
AwsTrouble = (BotoCoreError, ClientError)


@dataclass(slots=True)
class Tally:
    """How many messages became what."""

    received: int = 0
    stored: int = 0
    before: int = 0  # stored before, by this or another door
    aside: int = 0

    def add(self, other: "Tally") -> None:
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))


@dataclass
class Batch:
    """What one receive brought: events to store, and messages that are none."""

    events: list[tuple[Message, Arrival]] = field(default_factory=list)
    refused: list[tuple[Message, Refused]] = field(default_factory=list)

    @property
    def messages(self) -> list[Message]:
        return [message for message, _ in (*self.events, *self.refused)]


class Queue:
    """One SQS queue: what we ask of it. Raises what boto3 raises (AwsTrouble)."""

    def __init__(self, url: str, client: Any, *, visibility_seconds: int = VISIBILITY_SECONDS) -> None:
        self.url = url
        self.visibility_seconds = visibility_seconds
        self.name = url.rstrip("/").rpartition("/")[2]
        self._client = client

    def receive(self, *, wait_seconds: int) -> list[Message]:
        answer = self._client.receive_message(
            QueueUrl=self.url,
            MaxNumberOfMessages=AT_ONCE,
            WaitTimeSeconds=wait_seconds,
            VisibilityTimeout=self.visibility_seconds,
            MessageSystemAttributeNames=["ApproximateReceiveCount", "SentTimestamp"],
        )
        return [message_of(given) for given in answer.get("Messages", [])]

    def delete(self, messages: Iterable[Message]) -> None:
        """Let go of what is stored. What cannot be deleted comes again, and is known then."""
        entries = [{"Id": str(n), "ReceiptHandle": each.receipt} for n, each in enumerate(messages)]
        if entries:
            self._client.delete_message_batch(QueueUrl=self.url, Entries=entries)

    def hold(self, messages: Iterable[Message], *, seconds: int) -> None:
        """Keep these from others for so long from now; 0 gives them back."""
        entries = [
            {"Id": str(n), "ReceiptHandle": each.receipt, "VisibilityTimeout": seconds}
            for n, each in enumerate(messages)
        ]
        if entries:
            self._client.change_message_visibility_batch(QueueUrl=self.url, Entries=entries)


def open_queue(url: str, *, visibility_seconds: int = VISIBILITY_SECONDS) -> Queue:
    """The queue behind a URL; the region stands in AWS's URLs, otherwise it is boto3's own to know."""
    region = REGION.match(url)
    config = Config(
        connect_timeout=5, read_timeout=LONG_POLL_SECONDS + 10, retries={"mode": "standard", "max_attempts": 3}
    )
    client = boto3.client("sqs", config=config, **({"region_name": region[1]} if region else {}))
    return Queue(url, client, visibility_seconds=visibility_seconds)


def message_of(given: dict[str, Any]) -> Message:
    attributes = given.get("Attributes", {})
    sent = attributes.get("SentTimestamp")
    return Message(
        id=given["MessageId"],
        receipt=given["ReceiptHandle"],
        body=given["Body"],
        receive_count=int(attributes.get("ApproximateReceiveCount", 1)),
        sent_at=datetime.fromtimestamp(int(sent) / 1000, tz=UTC) if sent else None,
    )


class Receiver:
    """Takes messages out of one queue into the inbox, as events of one Stripe account or as events of others."""

    def __init__(
        self,
        queue: Queue,
        account: StripeAccount,
        *,
        clock: Callable[[], datetime],
        stop: threading.Event | None = None,
        wait_seconds: int = LONG_POLL_SECONDS,
    ) -> None:
        self.tally = Tally()
        self.holds = False  # whether messages are in hand that are neither stored nor given back
        self._queue = queue
        self._account = account
        self._clock = clock
        self._stop = stop or threading.Event()
        self._wait_seconds = wait_seconds

    def run(self) -> None:
        """Receive until told to stop; an AWS that does not answer is waited for."""
        failures = 0
        while not self._stop.is_set():
            try:
                self.receive()
                failures = 0
            except AwsTrouble as error:
                failures += 1
                log.warning("sqs:unreachable", queue=self._queue.name, error=str(error), failures=failures)
                self._pause(failures)
        connection.close()

    def receive(self) -> Tally:
        """Receive once, store, and delete what is stored; return what it was. Raises AwsTrouble."""
        messages = self._queue.receive(wait_seconds=self._wait_seconds)
        self.holds = bool(messages)
        try:
            tally = self._keep(self.read(messages)) if messages else Tally()
        finally:
            self.holds = False
        self.tally.add(tally)
        return tally

    def read(self, messages: Iterable[Message]) -> Batch:
        batch = Batch()
        for message in messages:
            try:
                batch.events.append((message, self._read_one(message)))
            except Refused as refusal:
                batch.refused.append((message, refusal))
            except Exception as error:  # ours to mend; the queue must not stand still over it
                log.exception("sqs:unreadable", message_id=message.id)
                said = f"The message could not be read: {type(error).__name__}."
                batch.refused.append((message, Refused(said, reason=Reason.UNSTORABLE)))
        return batch

    def _read_one(self, message: Message) -> Arrival:
        return arrival_in(message.body, self._account, now=self._clock())

    def _keep(self, batch: Batch) -> Tally:
        """Store a batch, then delete its messages. While the database is away they are held, not counted up."""
        visibility = self._queue.visibility_seconds
        held_until = time.monotonic() + visibility / 2
        failures = 0
        while True:
            try:
                tally = self._commit_each(batch)
                break
            except (OperationalError, InterfaceError) as error:
                connection.close()
                failures += 1
                log.error("sqs:database", queue=self._queue.name, error=type(error).__name__, failures=failures)
            if self._stop.is_set():
                self._queue.hold(batch.messages, seconds=0)
                return Tally()
            if time.monotonic() >= held_until:
                self._queue.hold(batch.messages, seconds=visibility)
                held_until = time.monotonic() + visibility / 2
            self._pause(failures, longest=visibility / 4)
        self._queue.delete(batch.messages)
        return tally

    def _commit_each(self, batch: Batch) -> Tally:
        """Commit a batch; one message that cannot be kept does not hold up the others. Raises what says that the
        database is away."""
        try:
            return self._commit(batch)
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:
            log.exception("sqs:unstorable", messages=[message.id for message in batch.messages])
            if len(batch.events) <= 1:
                refusal = Refused(f"The event could not be stored: {type(error).__name__}.", reason=Reason.UNSTORABLE)
                return self._commit(Batch([], [*batch.refused, *((message, refusal) for message, _ in batch.events)]))
        tally = self._commit(Batch([], batch.refused))
        for pair in batch.events:
            tally.add(self._commit_each(Batch([pair])))
        return tally

    def _commit(self, batch: Batch) -> Tally:
        with transaction.atomic():
            outcomes = store([arrival for _, arrival in batch.events])
            refused = [*batch.refused, *unstorable(batch, outcomes)]
            keep_aside(refused, queue=self._queue.url, now=self._clock())
        self._tell(refused)
        new = outcomes.count(Stored.NEW)
        if new:
            mirror_soon()
        return Tally(len(batch.messages), new, outcomes.count(Stored.BEFORE), len(refused))

    def _tell(self, refused: Sequence[tuple[Message, Refused]]) -> None:
        for message, refusal in refused:
            metrics.aside.labels(queue=self._queue.name).inc()
            metrics.refused.labels(door=Door.SQS.value, reason=refusal.reason.value).inc()
            log.warning("sqs:aside", queue=self._queue.name, message_id=message.id, reason=refusal.reason.value)

    def _pause(self, failures: int, *, longest: float = LONGEST_WAIT_SECONDS) -> None:
        wait = min(2.0 ** min(failures, 10), longest)
        self._stop.wait(wait * random.uniform(0.5, 1.0))  # noqa: S311 - not a secret


def arrival_in(body: str, account: StripeAccount, *, now: datetime) -> Arrival:
    """Read the event in a message: Stripe's, which must be of this account, or another's. Raises Refused."""
    message = read_message(body)
    event = stripe_event(message)
    if event is not None:
        arrival = arrival_of(event, door=Door.SQS, owner=account.name, now=now)
        check_belongs(arrival.event, account)
        return replace(arrival, around=around_of(message))
    message, text = storable_json(message)
    source, envelope = read_bus_envelope(message)
    return Arrival(envelope, text, source, Door.SQS, PRIMARY, now)


def around_of(message: dict[str, Any]) -> str | None:
    """What the bus said around Stripe's event, for rules that ask for it; None where the message was the bare event."""
    around = {name: value for name, value in message.items() if name != "detail"}
    return storable_json(around)[1] if "detail" in message else None


def unstorable(batch: Batch, outcomes: Sequence[Stored]) -> list[tuple[Message, Refused]]:
    refusal = Refused("PostgreSQL cannot keep what the event holds.", reason=Reason.UNSTORABLE)
    pairs = zip(batch.events, outcomes, strict=True)
    return [(message, refusal) for (message, _), outcome in pairs if outcome is Stored.UNSTORABLE]
