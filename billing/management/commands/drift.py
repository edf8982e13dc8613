"""`manage.py drift`: compare a sample of the mirror, and what changed lately, with Stripe; heal what differs."""

import json
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db.models import F
from django.utils import timezone
from rich.console import Console
from rich.table import Table

from billing.management.commands.resync import chosen_accounts
from billing.mirror.drift import check_drift, comparable
from billing.mirror.history import DriftCheck
from billing.mirror.kinds import Kind
from billing.numerals import whole_number


class Command(BaseCommand):
    help = "Compare a sample of the mirror, and everything that changed lately, with Stripe, and heal what differs."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("kinds", nargs="*", metavar="kind", help="all kinds when none is given")
        parser.add_argument("--sample", type=sample_size, default=settings.DRIFT_SAMPLE, help="objects of each kind")
        parser.add_argument("--account", action="append", metavar="NAME", help="one of STRIPE_ACCOUNTS; all by default")
        parser.add_argument("--no-heal", action="store_true", help="leave what differs as it is")
        parser.add_argument("--json", action="store_true", help="print the result as JSON and nothing else")

    def handle(self, *_args: object, **options: Any) -> None:
        kinds = chosen_kinds(options["kinds"])
        checks = [
            check_drift(
                kinds, account=account, clock=timezone.now, sample=options["sample"], heal=not options["no_heal"]
            )
            for account in chosen_accounts(options["account"])
        ]
        if options["json"]:
            self.stdout.write(json.dumps([plain(check) for check in checks]))
        else:
            for check in checks:
                self.report(check)
        errors = [check.error for check in checks if check.error]
        if errors:
            raise CommandError(f"Some objects could not be compared: {errors[0]} What was found is recorded.")

    def report(self, check: DriftCheck) -> None:
        for difference in check.differences.order_by("pk"):
            ours, theirs = json.dumps(difference.ours), json.dumps(difference.theirs)
            self.stdout.write(f"{difference}: {ours} in the mirror, {theirs} at Stripe")
        table = Table(title=f"account {check.owner}" if check.owner else None)
        for name in ("kind", "looked at", "differing", "healed"):
            table.add_column(name, justify="left" if name == "kind" else "right")
        for kind, numbers in sorted(check.per_kind.items()):
            table.add_row(kind, str(numbers["looked_at"]), str(numbers["differing"]), str(numbers["healed"]))
        table.add_row("all", str(check.looked_at), str(check.differing), str(check.healed), style="bold")
        out: Any = self.stdout
        Console(file=out).print(table)


def sample_size(text: str) -> int:
    size = whole_number(text)
    if size is None:
        raise ArgumentTypeError(f"{text!r} is no number of objects: write 0 or more.")
    return size


def chosen_kinds(names: list[str]) -> list[Kind]:
    known = {kind.name: kind for kind in comparable()}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise CommandError(f"There is no kind {', '.join(unknown)}. The kinds are: {', '.join(sorted(known))}.")
    return [known[name] for name in names] if names else list(known.values())


def plain(check: DriftCheck) -> dict[str, Any]:
    fields = ("kind", "object", "path", "ours", "theirs")
    differences = check.differences.order_by("pk").annotate(object=F("object_id")).values(*fields)
    return {
        "account": check.owner,
        "looked_at": check.looked_at,
        "differing": check.differing,
        "healed": check.healed,
        "kinds": check.per_kind,
        "differences": list(differences),
        "error": check.error,
    }
