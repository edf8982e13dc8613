"""`manage.py conformance KIND FILE`: the languages of rules and workflows against cases whose answers are known."""

import json
from argparse import ArgumentParser
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ops.rules.conformance import Score, score_patterns

KINDS: dict[str, tuple[Callable[[Iterable[str]], Score], str]] = {
    "patterns": (score_patterns, "EventBridge's event patterns"),
}


class Command(BaseCommand):
    help = (
        "Judge the cases in a file, print one JSON line for each wrong verdict, and last how many are right. "
        "Ends with 1 when one is wrong."
    )

    requires_system_checks = []  # it reads a file, and neither rows nor settings

    def add_arguments(self, parser: ArgumentParser) -> None:
        kinds = parser.add_subparsers(dest="kind", required=True, metavar="KIND")
        for kind, (_, language) in KINDS.items():
            of_kind = kinds.add_parser(kind, help=language)
            of_kind.add_argument("file", type=Path, help="cases, one JSON object a line")

    def handle(self, *args: Any, **options: Any) -> None:
        judge, _ = KINDS[options["kind"]]
        try:
            with options["file"].open(encoding="utf-8") as lines:
                score = judge(lines)
        except (OSError, ValueError, KeyError) as error:
            raise CommandError(f"{options['file']} cannot be read as cases: {error}") from error
        self.tell(score)
        if score.wrong:
            raise SystemExit(1)

    def tell(self, score: Score) -> None:
        for wrong in score.wrong:
            self.stdout.write(json.dumps(asdict(wrong)))
        width = max(map(len, score.groups), default=0)
        for group, (right, total) in sorted(score.groups.items()):
            self.stdout.write(f"{group:<{width}}  {right:>5} of {total}")
        self.stdout.write(f"{score.right} of {score.total} right")
