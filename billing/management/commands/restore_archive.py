"""`manage.py restore_archive`: bring archived events back with their payloads, so that they can be replayed."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from billing.retention.pack import HOUR, Damaged
from billing.retention.restore import KEPT, Restored, restore
from billing.retention.store import AWAY, NoArchive


class Command(BaseCommand):
    help = (
        "Bring events back from the archive, by the hour of their arrival (UTC). Rows that were pruned come back, "
        f"payloads that were dropped are filled in; they stay for {KEPT.days} days. Then replay what you need."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        when = "in UTC, such as 2026-03-05T14 or 2026-03-05"
        parser.add_argument("--hour", type=moment, metavar="HOUR", help=f"one hour, {when}")
        parser.add_argument("--since", type=moment, metavar="HOUR", help=f"from this hour on, {when}")
        parser.add_argument(
            "--until", type=moment, metavar="HOUR", help="up to the beginning of this hour; now if left out"
        )
        parser.add_argument("--json", action="store_true", help="print the counts as JSON and nothing else")

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        since, until = window(options["hour"], options["since"], options["until"], now=now)
        files = []
        try:
            for restored in restore(since=since, until=until, now=now):
                files.append(restored)
                if not options["json"]:
                    self.stdout.write(f"{restored.key}: {restored.restored:,} of {restored.events:,} brought back")
        except (NoArchive, Damaged) as error:
            raise CommandError(str(error)) from error
        except AWAY as error:
            raise CommandError(f"The archive does not answer: {error}") from error
        self.report(files, as_json=options["json"])

    def report(self, files: list[Restored], *, as_json: bool) -> None:
        count = sum(restored.restored for restored in files)
        if as_json:
            self.stdout.write(json.dumps({"files": [asdict(restored) for restored in files], "restored": count}))
        elif not files:
            self.stdout.write("The archive holds nothing of that time.")
        else:
            self.stdout.write(f"{count:,} events are here again. Replay them with `manage.py replay`.")


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def window(
    hour: datetime | None, since: datetime | None, until: datetime | None, *, now: datetime
) -> tuple[datetime, datetime]:
    """Return the time that was asked for. Raises CommandError when it was not said, or said twice."""
    if hour and not since and not until:
        return hour, hour + HOUR
    if since and not hour:
        return since, until or now
    raise CommandError("Say which time: either --hour, or --since (and --until).")
