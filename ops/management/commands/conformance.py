"""`manage.py conformance KIND FILE`: the languages of rules and workflows against cases whose answers are known."""

import json
from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ops.rules.conformance import Score, score_patterns
from ops.workflows import conformance

Judge = Callable[[dict[str, Any]], Score]


def judge_patterns(options: dict[str, Any]) -> Score:
    with options["file"].open(encoding="utf-8") as lines:
        return score_patterns(lines)


def judge_workflows(options: dict[str, Any]) -> Score:
    runner = conformance.runner_of(options["engine"], real_time=options["real_time"])
    return judged(options["file"], lambda case: conformance.judge_asl(case, runner=runner))


def judge_definitions(options: dict[str, Any]) -> Score:
    return judged(options["file"], conformance.judge_validation)


def judge_states(options: dict[str, Any]) -> Score:
    return judged(options["file"], conformance.judge_state)


def judge_expressions(options: dict[str, Any]) -> Score:
    datasets = conformance.datasets_beside(options["file"])
    return judged(options["file"], lambda case: conformance.judge_jsonata(case, datasets=datasets))


def judged(file: Path, judge: Callable[[conformance.Case], conformance.Verdict]) -> Score:
    with file.open(encoding="utf-8") as lines:
        return conformance.score(lines, judge)


KINDS: dict[str, tuple[Judge, str]] = {
    "patterns": (judge_patterns, "EventBridge's event patterns"),
    "asl": (judge_workflows, "executions of state machines"),
    "validation": (judge_definitions, "definitions, valid or invalid"),
    "test-state": (judge_states, "single states"),
    "jsonata": (judge_expressions, "JSONata's own suite"),
}


class Command(BaseCommand):
    help = (
        "Judge the cases in a file, print one JSON line for each wrong verdict, and last how many are right. "
        "Ends with 1 when one is wrong."
    )

    requires_system_checks = []  # it reads a file, and settings only for the durable engine

    def add_arguments(self, parser: ArgumentParser) -> None:
        kinds = parser.add_subparsers(dest="kind", required=True, metavar="KIND")
        for kind, (_, language) in KINDS.items():
            of_kind = kinds.add_parser(kind, help=language)
            of_kind.add_argument("file", type=Path, help="cases, one JSON object a line")
            if kind == "asl":
                engines = ("inline", "durable")
                of_kind.add_argument(
                    "--engine", choices=engines, default="inline", help="in memory, or through the database's rows"
                )
                of_kind.add_argument("--real-time", action="store_true", help="wait as long as the cases say")

    def handle(self, *args: Any, **options: Any) -> None:
        judge, _ = KINDS[options["kind"]]
        try:
            score = judge(options)
        except (OSError, ValueError, KeyError) as error:
            raise CommandError(f"{options['file']} cannot be read as cases: {error}") from error
        self.tell(score, averaged=options["kind"] != "patterns")
        if score.wrong:
            raise SystemExit(1)

    def tell(self, score: Score, *, averaged: bool) -> None:
        for wrong in score.wrong:
            self.stdout.write(json.dumps(asdict(wrong)))
        width = max(map(len, score.groups), default=0)
        for group, (right, total) in sorted(score.groups.items()):
            self.stdout.write(f"{group:<{width}}  {right:>5} of {total}")
        average = f", macro-average by group {conformance.macro_average(score.groups):.4f}" if averaged else ""
        self.stdout.write(f"{score.right} of {score.total} right{average}")
