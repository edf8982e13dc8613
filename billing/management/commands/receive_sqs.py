"""`manage.py receive_sqs`: take events out of a queue behind EventBridge, until told to stop."""

import json
import signal
import threading
import time
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from billing.inbox.aside import Message
from billing.inbox.refusals import Refused
from billing.inbox.sqs import LONG_POLL_SECONDS, VISIBILITY_SECONDS, AwsTrouble, Receiver, Tally, open_queue
from billing.stripe_accounts import UnknownAccount, by_name

GRACE_SECONDS = 25.0  # to finish what is in hand, once told to stop


class Command(BaseCommand):
    help = (
        "Take events out of an SQS queue into the inbox: Stripe's (partner source of EventBridge, or the quick start's "
        "bus), AWS's own and the product's. Messages that are no events are kept aside and shown in the console. "
        "Runs until it is told to stop (SIGTERM, Ctrl-C)."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--queue-url", default=settings.EVENTS_QUEUE_URL, help="default: EVENTS_QUEUE_URL")
        parser.add_argument(
            "--account", default="", metavar="NAME", help="whose Stripe events the queue brings; default: the primary's"
        )
        parser.add_argument("--threads", type=int, default=1, help="receive so many batches at once")
        parser.add_argument("--once", action="store_true", help="take what is there now, then end")
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="say what some of the waiting messages would become, store nothing, and give them back",
        )
        parser.add_argument("--json", action="store_true", help="print the numbers as JSON and nothing else")
        parser.add_argument(
            "--visibility",
            type=int,
            default=VISIBILITY_SECONDS,
            help="seconds for which a message is ours; one that was killed with us comes again after them",
        )
        parser.add_argument("--wait", type=int, default=LONG_POLL_SECONDS, help="seconds of a long poll, 0 to 20")

    def handle(self, *_args: object, **options: Any) -> None:
        receivers, stop = self.prepare(options)
        try:
            if options["dry_run"]:
                self.try_out(receivers[0], as_json=options["json"])
                return
            if options["once"]:
                while receivers[0].receive().received:
                    pass
            else:
                run_until_stopped(receivers, stop)
        except AwsTrouble as error:
            raise CommandError(f"The queue {options['queue_url']} cannot be read: {error}")
        self.report(receivers, as_json=options["json"])

    def prepare(self, options: dict[str, Any]) -> tuple[list[Receiver], threading.Event]:
        if not options["queue_url"]:
            raise CommandError("Which queue? Give --queue-url, or set EVENTS_QUEUE_URL.")
        try:
            account = by_name(options["account"])
        except UnknownAccount as error:
            raise CommandError(str(error))
        stop = threading.Event()
        self.queue = open_queue(options["queue_url"], visibility_seconds=options["visibility"])
        wait = 1 if options["once"] or options["dry_run"] else min(max(options["wait"], 0), LONG_POLL_SECONDS)
        receivers = [
            Receiver(self.queue, account, clock=timezone.now, stop=stop, wait_seconds=wait)
            for _ in range(max(1, options["threads"]))
        ]
        return receivers, stop

    def try_out(self, receiver: Receiver, *, as_json: bool) -> None:
        messages = self.queue.receive(wait_seconds=1)
        batch = receiver.read(messages)
        self.queue.hold(messages, seconds=0)
        rows = [
            {"message_id": message.id, "source": arrival.source, "type": arrival.event.type, "id": arrival.event.id}
            for message, arrival in batch.events
        ]
        rows += [refused_row(message, refusal) for message, refusal in batch.refused]
        if as_json:
            self.stdout.write(json.dumps(rows))
            return
        for row in rows:
            self.stdout.write("  ".join(row.values()))
        self.stdout.write(f"{len(rows)} messages looked at and given back; nothing was stored.")

    def report(self, receivers: list[Receiver], *, as_json: bool) -> None:
        total = Tally()
        for receiver in receivers:
            total.add(receiver.tally)
        if as_json:
            self.stdout.write(json.dumps(asdict(total)))
            return
        self.stdout.write(
            f"{total.received} messages: {total.stored} stored, {total.before} stored before, {total.aside} kept aside."
        )


def refused_row(message: Message, refusal: Refused) -> dict[str, str]:
    return {"message_id": message.id, "aside": refusal.reason.value, "said": str(refusal)}


def run_until_stopped(receivers: list[Receiver], stop: threading.Event) -> None:
    """Receive in threads; once told to stop, wait for those that have messages in hand. A thread that only waits for
    messages is left: what SQS may still hand to it comes again."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    threads = [threading.Thread(target=receiver.run, daemon=True) for receiver in receivers]
    for thread in threads:
        thread.start()
    while not stop.wait(1.0):
        if not any(thread.is_alive() for thread in threads):
            raise CommandError("Receiving has ended; the log says why.")
    deadline = time.monotonic() + GRACE_SECONDS
    while any(receiver.holds for receiver in receivers) and time.monotonic() < deadline:
        time.sleep(0.05)
