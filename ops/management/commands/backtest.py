"""`manage.py backtest`: a rule, or any pattern, tried on the past. Nothing is written, nothing is called."""

import json
import sys
from argparse import ArgumentParser
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from billing.inbox.since import moment_of
from billing.money import format_money
from billing.stripe_accounts import UnknownAccount, by_name
from ops.rules.backtest import Trial, backtest
from ops.rules.book import ready
from ops.rules.models import Mode, Rule
from ops.rules.patterns import InvalidPattern, compile_pattern
from ops.rules.tally import Snapshot


class Command(BaseCommand):
    help = (
        "Try a rule, or any pattern, on the events of the past: how many would have matched, whose, with what money, "
        "and what would have been called. Nothing is written, nothing is called."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("rule", nargs="?", metavar="RULE", help="the name of a rule, with its scope and targets")
        parser.add_argument("--pattern", metavar="JSON", help="a pattern instead: its text, @FILE, or - for the input")
        parser.add_argument("--since", default="30d", metavar="WHEN", help="2026-01-31, 2026-01-31T12:00, 36h, 7d")
        parser.add_argument("--until", metavar="WHEN", help="now when it is not given")
        parser.add_argument(
            "--account", metavar="NAME", help="one Stripe account alone; the empty name is the primary one"
        )
        parser.add_argument("--mode", choices=Mode.values, help="live or test events alone")
        parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")

    def handle(self, *_args: object, **options: Any) -> None:
        trial = trial_of(options)
        shown = not options["json"] and sys.stderr.isatty()
        columns = TextColumn("events"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[matched]} match")
        with Progress(*columns, console=Console(stderr=True), disable=not shown, transient=True) as progress:
            bar = progress.add_task("", total=None, matched=0)
            for found in backtest(trial):
                progress.update(bar, total=found.total, completed=found.looked, matched=found.matched)
        self.stdout.write(json.dumps(told(found, trial), ensure_ascii=False) if options["json"] else in_words(found))


def trial_of(options: dict[str, Any]) -> Trial:
    """Return what is to be tried. Raises CommandError with what is wrong."""
    if (options["rule"] is None) == (options["pattern"] is None):
        raise CommandError("Name a rule, or give a --pattern.")
    rule = named(options["rule"]) if options["rule"] else None
    text = rule.pattern if rule else read_pattern(options["pattern"])
    try:
        pattern = compile_pattern(text)
        now = timezone.now()
        since = moment_of(options["since"], now=now)
        until = moment_of(options["until"], now=now) if options["until"] else now
        owner = rule.owner if rule else None
        if options["account"] is not None:
            owner = by_name(options["account"]).name
    except InvalidPattern as error:
        right = f" Right is, for example: {error.example}" if error.example else ""
        raise CommandError(f"This is no pattern. {error}{right}")
    except (ValueError, UnknownAccount) as error:
        raise CommandError(str(error))
    if since >= until:
        raise CommandError("The period ends before it begins.")
    mode = Mode(options["mode"] or (rule.mode if rule else Mode.ANY))
    targets = ready(rule).targets if rule else ()
    return Trial(pattern, since, until, owner, mode, targets, rule.name if rule else "")


def named(name: str) -> Rule:
    rule = Rule.objects.prefetch_related("targets").filter(name=name).first()
    if rule is None:
        raise CommandError(f"There is no rule “{name}”.")
    return rule


def read_pattern(given: str) -> str:
    try:
        if given == "-":
            return sys.stdin.read()
        return Path(given[1:]).read_text() if given.startswith("@") else given
    except OSError as error:
        raise CommandError(f"{given[1:]} cannot be read: {error.strerror}.")


def told(found: Snapshot, trial: Trial) -> dict[str, Any]:
    """The last snapshot as JSON: amounts in minor units, times in ISO 8601."""
    return {
        "since": trial.since.isoformat(),
        "until": trial.until.isoformat(),
        "looked": found.looked,
        "archived": found.archived,
        "read": found.read,
        "matched": found.matched,
        "by": "hour" if found.by_hour else "day",
        "times": [{"start": each.start.isoformat(), "matched": each.matched} for each in found.buckets if each.matched],
        "organizations": [
            {"id": each.organization.public_id, "name": each.organization.name, "matched": each.matched}
            for each in found.organizations
        ],
        "organization_count": found.organization_count,
        "without_organization": found.without_organization,
        "money": [asdict(money) for money in found.money],
        "money_is_exact": found.money_is_exact,
        "examples": [example.event_id for example in found.examples],
        "calls": [asdict(call) for call in found.calls],
        "seconds": round(found.seconds, 3),
    }


def in_words(found: Snapshot) -> str:
    rate = int(found.looked / found.seconds) if found.seconds else 0
    lines = [
        f"{found.matched:,} of {found.looked:,} events would have matched"
        f" ({found.seconds:.1f} s, {rate:,} a second; {found.read:,} payloads read)."
    ]
    if found.archived:
        lines.append(
            f"{found.archived:,} more have their payloads in the archive: whether they fit is not known. "
            "`manage.py restore_archive` brings them back."
        )
    lines += [f"  {each.matched:>8,}  {each.organization.name}" for each in found.organizations]
    if found.without_organization:
        lines.append(f"  {found.without_organization:>8,}  of no organization of the portal")
    for money in found.money:
        about = "" if found.money_is_exact else " or less: not each object is remembered"
        written = format_money(money.amount, money.currency, "en")
        lines.append(f"  {money.kind}: {written} in {money.objects:,} objects{about}")
    for call in found.calls:
        failed = f"; {call.failed:,} give no input ({call.failure})" if call.failed else ""
        lines.append(f"  {call.name} would have been called {call.calls:,} times{failed}")
        lines += [f"    {event_id}: {text}" for event_id, text in call.inputs]
    if found.examples:
        lines.append("  For example: " + ", ".join(example.event_id for example in found.examples[:5]))
    return "\n".join(lines)
