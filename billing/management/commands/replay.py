"""`manage.py replay`: let the mirror look at stored events again: some, all that fit a filter, a stretch of time."""

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from billing.inbox.models import InboxEvent, InboxState
from billing.inbox.replay import examples, replay_all
from billing.inbox.selection import Selection
from billing.inbox.since import moment_of
from billing.stripe_accounts import UnknownAccount, by_name


class Command(BaseCommand):
    help = (
        "Let the mirror look at stored events again, as if they had just come. Safe at any time: the mirror never goes "
        "back, and what follows from an event happens once. Everything given must fit."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("ids", nargs="*", metavar="evt_…", help="the events' own ids")
        parser.add_argument("--type", action="append", default=[], help="invoice.paid, or invoice.*; may be repeated")
        parser.add_argument("--object", default="", metavar="ID", help="events about this object")
        parser.add_argument("--customer", default="", metavar="ID", help="events of this customer")
        parser.add_argument("--state", action="append", default=[], choices=InboxState.values, help="may be repeated")
        parser.add_argument("--source", default="", help="stripe.com, aws.cloudformation, …")
        parser.add_argument("--account", metavar="NAME", help='a configured Stripe account; "" is the primary one')
        parser.add_argument("--since", metavar="WHEN", help="received since: 2026-01-31, 2026-01-31T12:00, 36h, 7d")
        parser.add_argument("--until", metavar="WHEN", help="received before")
        parser.add_argument("--all", action="store_true", help="every event there is")
        parser.add_argument("--dry-run", action="store_true", help="count them and show some; replay nothing")
        parser.add_argument("--json", action="store_true", help="print the outcome as JSON and nothing else")

    def handle(self, *_args: object, **options: Any) -> None:
        selection = selection_of(options)
        if selection.is_everything() and not options["all"]:
            raise CommandError("Which events? Give ids or a filter, or --all. Nothing was replayed.")
        events = selection.events()
        refuse_unknown(selection)
        count = events.count()
        some = examples(events)
        if not options["dry_run"]:
            count = self.replay(events, count, shown=not options["json"] and sys.stderr.isatty())
        self.report(count, some, dry_run=options["dry_run"], as_json=options["json"])

    def replay(self, events: Any, count: int, *, shown: bool) -> int:
        columns = TextColumn("replay"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        with Progress(*columns, console=Console(stderr=True), disable=not shown, transient=True) as progress:
            bar = progress.add_task("replay", total=count)
            return replay_all(events, now=timezone.now(), seen=lambda some: progress.advance(bar, some))

    def report(self, count: int, some: list[InboxEvent], *, dry_run: bool, as_json: bool) -> None:
        if as_json:
            shown = [{"id": event.external_id, "type": event.type, "state": event.state} for event in some]
            self.stdout.write(json.dumps({"events": count, "dry_run": dry_run, "examples": shown}))
            return
        if dry_run:
            for event in some:
                self.stdout.write(f"  {event.external_id}  {event.type}  {event.state}")
            self.stdout.write(f"{count} would be due again; nothing was replayed.")
        else:
            self.stdout.write(f"{count} due again; a worker takes them up within seconds.")


def selection_of(options: dict[str, Any]) -> Selection:
    now = timezone.now()
    try:
        if options["account"] is not None:
            by_name(options["account"])
        return Selection(
            event_ids=tuple(options["ids"]),
            types=tuple(options["type"]),
            object_id=options["object"],
            customer_id=options["customer"],
            states=tuple(options["state"]),
            source=options["source"],
            owner=options["account"],
            since=moment_of(options["since"], now=now) if options["since"] else None,
            until=moment_of(options["until"], now=now) if options["until"] else None,
        )
    except (UnknownAccount, ValueError) as error:
        raise CommandError(f"{error} Nothing was replayed.")


def refuse_unknown(selection: Selection) -> None:
    known = set(InboxEvent.objects.filter(external_id__in=selection.event_ids).values_list("external_id", flat=True))
    unknown = [event_id for event_id in selection.event_ids if event_id not in known]
    if unknown:
        raise CommandError(f"Not in the inbox: {', '.join(unknown)}. Nothing was replayed.")
