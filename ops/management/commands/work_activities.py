"""`manage.py work_activities`: serve the portal's effects to Step Functions, until told to stop."""

import json
import signal
from argparse import ArgumentParser
from dataclasses import asdict
from socket import gethostname
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from ops.effects import aws
from ops.workflows.aws.activities import POLL_SECONDS, Worker
from ops.workflows.aws.deploy import here, served


class Command(BaseCommand):
    help = (
        "Serve the portal's effects to AWS Step Functions: polls the activity of each (manage.py workflows deploy "
        "makes them), calls the effect once however often its task is handed out, and answers. Goes on with what a "
        "killed worker left. Any number may run. Runs until it is told to stop (SIGTERM, Ctrl-C); then it waits for "
        f"its polls, up to {POLL_SECONDS} seconds: Step Functions does not hand out again what it gave to a poll."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("effects", nargs="*", metavar="EFFECT", help="all that are registered when none is named")
        parser.add_argument("--region", default=settings.AWS_REGION, help="default: AWS_REGION")
        parser.add_argument("--pollers", type=int, default=1, help="tasks of one effect that are done at once")
        parser.add_argument("--grace", type=float, default=POLL_SECONDS, help="seconds to finish, once told to stop")
        parser.add_argument("--dry-run", action="store_true", help="say which activities would be served")
        parser.add_argument("--json", action="store_true", help="print the numbers as JSON and nothing else")

    def handle(self, *_args: object, **options: Any) -> None:
        unknown = sorted(set(options["effects"]) - served())
        if unknown:
            raise CommandError(
                f"No effect is registered as {', '.join(unknown)}. There are: {', '.join(sorted(served()))}."
            )
        try:
            place = here(options["region"])
        except aws.AwsTrouble as error:
            raise CommandError(f"AWS in {options['region']} does not say whose account this is: {error}")
        worker = Worker(
            place,
            options["effects"] or sorted(served()),
            timezone.now,
            pollers=max(1, options["pollers"]),
            name=f"kessai-{gethostname()}"[:80],
        )
        if options["dry_run"]:
            arns = [place.activity(effect) for effect in worker.effects]
            self.stdout.write(json.dumps(arns) if options["json"] else "\n".join(arns))
            return
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: worker.stop.set())
        threads = worker.start()
        if not options["json"]:
            self.stdout.write(f"Serving {len(worker.effects)} effects in {place.region} of {place.account}.")
        while not worker.stop.wait(1.0):
            if not all(thread.is_alive() for thread in threads):
                raise CommandError("A thread has ended; the log says why.")
        done = worker.finish(threads, seconds=options["grace"])
        told = asdict(worker.tally) | {"finished": done}
        said = f"{worker.tally.tasks} tasks, {worker.tally.resumed} gone on with."
        self.stdout.write(json.dumps(told) if options["json"] else said)
