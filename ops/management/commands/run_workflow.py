"""Run a workflow from its beginning to its end, in memory, with mocked answers."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from ops.workflows.asl.definition import compile_machine
from ops.workflows.asl.inline import run
from ops.workflows.asl.running import Ended
from ops.workflows.asl.validate import InvalidDefinition, read_definition
from ops.workflows.mocks import InvalidMock, MockedStates


class Command(BaseCommand):
    help = (
        "Run a definition in the Amazon States Language in memory and print how it ended, as one JSON line. "
        "Nothing outside is called: Task states answer as --mock says. Waits pass at once unless --real-time is given."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="the definition, a JSON file")
        parser.add_argument("--input", type=Path, help="the execution's input, a JSON file; without it {}")
        parser.add_argument(
            "--mock",
            type=Path,
            help='what Task states answer, a JSON file: {"Pay": {"Return": {…}}}, {"Pay": {"Throw": {"Error": "…"}}}, '
            'or by attempt: {"Pay": {"0-1": {"Throw": …}, "2": {"Return": …}}}',
        )
        parser.add_argument("--real-time", action="store_true", help="wait as long as Wait states and retries say")
        parser.add_argument("--history", action="store_true", help="print every event of the history first")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            machine = compile_machine(read_definition(read_text(options["file"])))
            world = MockedStates(read_json(options["mock"]) if options["mock"] else {})
        except InvalidDefinition as error:
            raise CommandError("\n".join(f"{fault.path or '/'}: {fault.reason}" for fault in error.faults))
        except InvalidMock as error:
            raise CommandError(f"{options['mock']}: {error}")
        given = read_json(options["input"]) if options["input"] else {}
        ended = run(machine, given, world, now=timezone.now(), real_time=options["real_time"])
        if options["history"]:
            self.tell_history(ended)
        self.stdout.write(json.dumps(result_of(ended), ensure_ascii=False))

    def tell_history(self, ended: Ended) -> None:
        for event in ended.history:
            line = {"id": event.id, "previousEventId": event.previous, "type": event.type, "timestamp": str(event.at)}
            line |= {"name": event.name} if event.name else {}
            self.stdout.write(json.dumps({**line, **event.details}, ensure_ascii=False, default=str))


def result_of(ended: Ended) -> dict[str, Any]:
    """How an execution ended, as the command prints it."""
    failure = ended.failure
    return {"status": ended.status, "output": ended.output, "error": failure.error, "cause": failure.cause}


def read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{path} cannot be read: {error}.")


def read_json(path: Path) -> Any:
    try:
        return json.loads(read_text(path))
    except ValueError as error:
        raise CommandError(f"{path} is not JSON: {error}.")
