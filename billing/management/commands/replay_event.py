"""`manage.py replay_event evt_…`: let the mirror look at stored events again."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from billing.inbox.models import InboxEvent
from billing.inbox.replay import replay


class Command(BaseCommand):
    help = "Let the mirror look at stored events again, as if they had just come."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("ids", nargs="+", metavar="evt_…", help="the events' own ids")

    def handle(self, *_args: object, **options: Any) -> None:
        found = dict(InboxEvent.objects.filter(external_id__in=options["ids"]).values_list("external_id", "pk"))
        unknown = [event_id for event_id in options["ids"] if event_id not in found]
        if unknown:
            raise CommandError(f"Not in the inbox: {', '.join(unknown)}. Nothing was replayed.")
        count = replay(found.values(), now=timezone.now())
        self.stdout.write(f"{count} due again; a worker takes them up within seconds.")
