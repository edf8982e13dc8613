"""`manage.py archive_inbox`: put old payloads into the archive, drop them here, prune rows that are older still."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from billing.retention import rows
from billing.retention.keep import keep, plan, rows_until
from billing.retention.pack import Damaged
from billing.retention.store import AWAY, NoArchive

WHOLE_DAY = 86_400.0


class Command(BaseCommand):
    help = (
        "Put the payloads of events older than INBOX_PAYLOAD_DAYS into the archive (INBOX_ARCHIVE_BUCKET), verify "
        "them there, drop them here, and delete rows older than INBOX_ROW_DAYS. Events that failed or still wait stay."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="say what would be archived, and change nothing")
        parser.add_argument("--json", action="store_true", help="print the counts as JSON and nothing else")

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        if options["dry_run"]:
            self.tell_plan(now, as_json=options["json"])
            return
        try:
            kept = keep(now=now, budget_seconds=WHOLE_DAY)
        except (NoArchive, Damaged) as error:
            raise CommandError(str(error)) from error
        except AWAY as error:
            raise CommandError(f"The archive does not answer, nothing more was dropped: {error}") from error
        if options["json"]:
            self.stdout.write(json.dumps(asdict(kept)))
        else:
            self.stdout.write(
                f"{kept.events:,} events archived in {kept.files:,} files, {kept.dropped:,} payloads dropped, "
                f"{kept.pruned:,} rows pruned."
            )

    def tell_plan(self, now: datetime, *, as_json: bool) -> None:
        planned = list(plan(now=now))
        events = sum(entry.group.events for entry in planned)
        length = sum(entry.group.length for entry in planned)
        prunable = rows.prunable(rows_until(now))
        if as_json:
            told = {"files": len(planned), "events": events, "bytes": length, "prunable": prunable}
            self.stdout.write(json.dumps(told))
            return
        for entry in planned[:20]:
            group = entry.group
            account = f" ({group.owner})" if group.owner else ""
            self.stdout.write(f"{entry.hour:%Y-%m-%d %H}:00  {group.source}{account}  {group.events:,} events")
        self.stdout.write(
            f"Would archive {events:,} events ({length / 1e6:,.1f} MB here) in {len(planned):,} files, older than "
            f"{settings.INBOX_PAYLOAD_DAYS} days, and prune {prunable:,} rows. Nothing was changed."
        )
