"""`manage.py rebuild_read_model`: make the read model's rows again from what the mirror holds."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from billing.mirror.readmodel import TABLES, rebuild


class Command(BaseCommand):
    help = (
        "Make the rows that pages and console filter on again from the mirror. Safe beside live events; "
        "writes only what differs, so it can be stopped and started at any time."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("kinds", nargs="*", metavar="kind", help=f"{' or '.join(TABLES)}; both when none is named")

    def handle(self, *args: Any, kinds: list[str], **options: Any) -> None:
        unknown = sorted(set(kinds) - set(TABLES))
        if unknown:
            self.stderr.write(f"There is no read model of {', '.join(unknown)}. There is one of {', '.join(TABLES)}.")
            raise SystemExit(2)
        for kind in kinds or TABLES:
            looked_at, written = show_rebuilding(kind, quiet=options["verbosity"] == 0)
            self.stdout.write(f"{kind}: {looked_at:,} looked at, {written:,} written.")


def show_rebuilding(kind: str, *, quiet: bool) -> tuple[int, int]:
    """Rebuild one kind behind a progress bar on standard error; return how many were looked at and written."""
    looked_at = written = 0
    with progress(quiet=quiet) as bar:
        task = bar.add_task(kind, total=TABLES[kind].mirrored._default_manager.count())
        for seen, changed in rebuild(kind, now=timezone.now()):
            looked_at, written = looked_at + seen, written + changed
            bar.advance(task, seen)
    return looked_at, written


def progress(*, quiet: bool) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TaskProgressColumn())
    return Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True, quiet=quiet), transient=True)
