"""`manage.py resync`: bring the mirror to what Stripe has now."""

import json
from argparse import ArgumentParser
from collections import Counter
from functools import partial
from typing import Any

import stripe
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from billing.mirror.djstripe import Unwritable, first_line
from billing.mirror.kinds import KINDS, Kind, Ref
from billing.mirror.objects import Change, OtherAccount
from billing.mirror.resync import Unavailable, kind_of, listable, resync_kind, resync_object

Outcome = Counter[Change] | Unavailable
COLUMNS = (Change.CREATED, Change.UPDATED, Change.UNCHANGED, Change.DELETED, Change.REFUSED)


class Command(BaseCommand):
    help = "Bring the mirror to what Stripe has now: all kinds of objects, some kinds, or one object."

    def add_arguments(self, parser: ArgumentParser) -> None:
        names = ", ".join(kind.name for kind in listable())
        parser.add_argument("kinds", nargs="*", metavar="kind", help=f"{names}; all of them when none is given")
        parser.add_argument(
            "--object", metavar="ID", help="one object, cus_… for instance; a coupon needs its kind too"
        )
        parser.add_argument("--dry-run", action="store_true", help="say what would change, and change nothing")
        parser.add_argument("--json", action="store_true", help="print the counts as JSON and nothing else")

    def handle(self, *_args: object, **options: Any) -> None:
        try:
            if options["object"]:
                outcomes = self.resync_one(options)
            else:
                outcomes = self.resync_kinds(chosen_kinds(options["kinds"]), options)
        except (stripe.StripeError, OtherAccount, Unwritable) as error:
            raise CommandError(explain(error)) from error
        self.report(outcomes, as_json=options["json"], dry_run=options["dry_run"])
        refused = sum(outcome[Change.REFUSED] for outcome in outcomes.values() if isinstance(outcome, Counter))
        if refused:
            raise CommandError(
                f"Objects that the mirror's tables have no place for: {refused}. The log names each and says why."
            )
        forbidden = [name for name, outcome in outcomes.items() if outcome is Unavailable.NOT_ALLOWED]
        if forbidden:
            raise CommandError(f"The Stripe key may not read: {', '.join(forbidden)}. Allow it in Stripe's dashboard.")

    def resync_one(self, options: dict[str, Any]) -> dict[str, Outcome]:
        name = options["kinds"][0] if options["kinds"] else kind_of(options["object"])
        if name not in KINDS:
            raise CommandError(f"Which kind of object is {options['object']}? Say it: `resync coupon --object …`.")
        change = resync_object(Ref(name, options["object"]), timezone.now, dry_run=options["dry_run"])
        if change is Change.ABSENT:
            raise CommandError(f"Neither Stripe nor the mirror knows the {name} {options['object']}.")
        return {name: Counter([change])}

    def resync_kinds(self, kinds: list[Kind], options: dict[str, Any]) -> dict[str, Outcome]:
        outcomes: dict[str, Outcome] = {}
        # Stripe does not say how many objects there are: the bar moves from kind to kind, the count within a kind.
        with progress_bar(shown=not options["json"]) as progress:
            overall = progress.add_task("all kinds", total=len(kinds))
            for kind in kinds:
                bar = progress.add_task(kind.name, total=None)
                outcomes[kind.name] = resync_kind(
                    kind, timezone.now, dry_run=options["dry_run"], seen=partial(progress.advance, bar)
                )
                progress.remove_task(bar)
                progress.advance(overall)
        return outcomes

    def report(self, outcomes: dict[str, Outcome], *, as_json: bool, dry_run: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps({name: plain(outcome) for name, outcome in outcomes.items()}))
            return
        out: Any = self.stdout
        Console(file=out).print(table_of(outcomes, dry_run=dry_run))
        for reason in Unavailable:
            names = [name for name, outcome in outcomes.items() if outcome is reason]
            if names:
                self.stdout.write(f"Left out, because {reason.value}: {', '.join(names)}.")


def chosen_kinds(names: list[str]) -> list[Kind]:
    """The kinds to resync, parents first whatever the order they were named in."""
    known = {kind.name for kind in listable()}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise CommandError(f"There is no kind {', '.join(unknown)}. The kinds are: {', '.join(sorted(known))}.")
    return [kind for kind in listable() if not names or kind.name in names]


def progress_bar(*, shown: bool) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        disable=not shown,
        transient=True,
    )


def plain(outcome: Outcome) -> dict[str, int | str]:
    if isinstance(outcome, Unavailable):
        return {"unavailable": outcome.value}
    return {change.value: outcome[change] for change in COLUMNS}


def table_of(outcomes: dict[str, Outcome], *, dry_run: bool) -> Table:
    table = Table(title="Nothing was written: this would change" if dry_run else None)
    table.add_column("kind")
    for change in COLUMNS:
        table.add_column(change.value, justify="right")
    for name, outcome in outcomes.items():
        if isinstance(outcome, Counter):
            table.add_row(name, *(str(outcome[change] or "·") for change in COLUMNS))
    return table


def explain(error: Exception) -> str:
    """What went wrong and what to do, in a sentence; Stripe's own messages mask keys."""
    if isinstance(error, stripe.AuthenticationError):
        return f"Stripe refused the key ({error.user_message}). Check STRIPE_SECRET_KEY; what was done so far stays."
    if isinstance(error, stripe.APIConnectionError):
        return "Stripe cannot be reached. What was done so far stays: run the same command again later."
    return f"{first_line(error)} What was done so far stays: run the same command again."
