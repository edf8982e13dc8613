"""`manage.py backtest_playbook`: a playbook's rule and workflow tried together on the past. Nothing is done."""

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from rich.console import Console
from rich.progress import Progress, TextColumn

from billing.inbox.since import moment_of
from billing.money import format_money
from ops.management.commands.run_workflow import read_json
from ops.playbooks.trying import trial_of
from ops.workflows.backtest import Found, Run, Trial, backtest
from ops.workflows.mocks import InvalidMock, MockedStates

SHOWN = 20


class Command(BaseCommand):
    help = (
        "Try a playbook's rule and workflow, as its files say, on the events of the past, on a simulated clock: who "
        "would have been touched, when, with what money, ending where. Nothing is written, nothing is called."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("playbook", help="its folder's name; dunning, for example")
        parser.add_argument("--rule", default="", help="the rule, where several start a workflow of the playbook")
        parser.add_argument("--since", default="90d", metavar="WHEN", help="2026-01-31, 2026-01-31T12:00, 36h, 7d")
        parser.add_argument("--until", metavar="WHEN", help="now when it is not given")
        parser.add_argument(
            "--assume", type=Path, metavar="FILE", help='what states answer: {"Try a last time": {"Return": {…}}}'
        )
        parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")

    def handle(self, *_args: object, **options: Any) -> None:
        trial = read_trial(options)
        shown = not options["json"] and sys.stderr.isatty()
        columns = TextColumn("{task.fields[looked]} events, {task.fields[runs]} executions")
        with Progress(columns, console=Console(stderr=True), disable=not shown, transient=True) as progress:
            bar = progress.add_task("", looked=0, runs=0)
            for found in backtest(trial):
                progress.update(bar, looked=found.looked, runs=len(found.runs))
        self.stdout.write(json.dumps(told(found, trial), ensure_ascii=False) if options["json"] else in_words(found))


def read_trial(options: dict[str, Any]) -> Trial:
    """Return what is to be tried. Raises CommandError with what is wrong."""
    now = timezone.now()
    try:
        since = moment_of(options["since"], now=now)
        until = moment_of(options["until"], now=now) if options["until"] else now
        states = MockedStates(read_json(options["assume"])) if options["assume"] else None
        return trial_of(options["playbook"], options["rule"], since=since, until=until, states=states)
    except (ValueError, InvalidMock) as error:
        raise CommandError(str(error))


def told(found: Found, trial: Trial) -> dict[str, Any]:
    """All of it as JSON: amounts in minor units, times in ISO 8601."""
    return {
        "rule": trial.rule.rule_name,
        "machine": trial.name,
        "since": trial.rule.since.isoformat(),
        "until": trial.rule.until.isoformat(),
        "looked": found.looked,
        "archived": found.archived,
        "matched": found.matched,
        "repeated": found.repeated,
        "without_input": found.without_input,
        "executions": len(found.runs),
        "endings": found.endings(),
        "money": found.money(),
        "effects": found.effects(),
        "runs": [run_told(run) for run in found.runs],
        "seconds": round(found.seconds, 3),
    }


def run_told(run: Run) -> dict[str, Any]:
    touched = [{"state": each.state, "effect": each.effect, "at": each.at.isoformat()} for each in run.touched]
    moments = {"started_at": run.started_at.isoformat(), "ended_at": run.ended_at.isoformat()}
    return {**vars(run), **moments, "touched": touched}


def in_words(found: Found) -> str:
    lines = [
        f"{found.matched:,} of {found.looked:,} events would have matched and started {len(found.runs):,} executions"
        f" ({found.seconds:.1f} s)."
    ]
    if found.repeated:
        lines.append(f"{found.repeated:,} told of what had an execution already, and would have started none.")
    if found.without_input:
        lines.append(f"{found.without_input:,} give no input.")
    if found.archived:
        lines.append(f"{found.archived:,} more have their payloads in the archive: whether they fit is not known.")
    money = found.money()
    for ending, count in found.endings().items():
        sums = ", ".join(format_money(amount, each, "en") for each, amount in money.get(ending, {}).items())
        lines.append(f"  {count:>8,}  {ending}{f': {sums}' if sums else ''}")
    lines += [f"  {count:>8,}  × {effect}" for effect, count in found.effects().items()]
    lines += [run_words(run) for run in found.runs[:SHOWN]]
    if len(found.runs) > SHOWN:
        lines.append(f"  … and {len(found.runs) - SHOWN:,} more: --json tells all.")
    return "\n".join(lines)


def run_words(run: Run) -> str:
    whose = run.organization or run.customer_id
    money = f", {format_money(run.amount, run.currency, 'en')}" if run.amount is not None else ""
    steps = "".join(f"\n      {each.at:%Y-%m-%d %H:%M}  {each.state} ({each.effect})" for each in run.touched)
    error = f" {run.error}" if run.error else ""
    days = f"{run.started_at:%Y-%m-%d} to {run.ended_at:%Y-%m-%d}"
    return f"  {run.name} ({whose}{money}): {days}, {run.ending}{error}{steps}"
