"""`manage.py workflows`: state machines and their executions, from the command line."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db.models import Count
from django.utils import timezone

from ops.management.commands.run_workflow import read_json, read_text
from ops.workflows import acts_command
from ops.workflows.asl.validate import InvalidDefinition, check_text
from ops.workflows.aws import bringing_command, command
from ops.workflows.aws.models import ExecutionOnAws, MapRunOnAws
from ops.workflows.machines import NoVersion, save_version
from ops.workflows.models import Execution, StateMachine, Status
from ops.workflows.start import InputTooLarge, start


class Command(BaseCommand):
    help = "List, check, save and start state machines, and show executions with their histories."

    def add_arguments(self, parser: ArgumentParser) -> None:
        acts = parser.add_subparsers(dest="act", required=True)
        listing = acts.add_parser("list", help="state machines, with how their executions stand")
        checking = acts.add_parser("check", help="say everything that is wrong with a definition")
        checking.add_argument("file", type=Path)
        saving = acts.add_parser("save", help="make a definition the current version of a state machine")
        saving.add_argument("name")
        saving.add_argument("file", type=Path)
        saving.add_argument("--reason", required=True, help="why, for those who read its history")
        saving.add_argument("--role-arn", help="what $$.Execution.RoleArn says; without it what it said before")
        saving.add_argument("--dry-run", action="store_true", help="check it and save nothing")
        starting = acts.add_parser("start", help="start an execution; by the name of one that was started: nothing")
        starting.add_argument("machine")
        starting.add_argument("name", help="of the execution")
        starting.add_argument("--input", type=Path, help="a JSON file; without it {}")
        showing = acts.add_parser("show", help="an execution with its history")
        showing.add_argument("machine")
        showing.add_argument("name", help="of the execution; or its ARN on AWS")
        deploying = acts.add_parser(
            "deploy", help="bring state machines to AWS Step Functions, with all they need there"
        )
        command.add_arguments(deploying)
        bringing = acts.add_parser(
            "from-cloudformation",
            help="bring the state machines of a CloudFormation template, or of a stack, back as versions",
        )
        bringing_command.add_arguments(bringing)
        acting = [acts_command.add_parser(acts, name) for name in acts_command.ACTS]
        reading = acts.add_parser("sync", help="read executions on AWS now, so that they appear among those here")
        reading.add_argument("--region", default=settings.AWS_REGION, help="default: AWS_REGION")
        for one in (listing, checking, saving, starting, showing, deploying, bringing, reading, *acting):
            one.add_argument("--json", action="store_true", help="print JSON and nothing else")

    def handle(self, *_args: object, **options: Any) -> None:
        if options["act"] in WRITING:
            told = WRITING[options["act"]](options, self.stdout, self.stderr)
            if not options["json"]:
                return
        else:
            told = ACTS[options["act"]](options)
        if options["json"]:
            self.stdout.write(json.dumps(told, ensure_ascii=False, default=str))
        else:
            for line in lines_of(told):
                self.stdout.write(line)


def list_machines(_options: dict[str, Any]) -> list[dict[str, Any]]:
    counts: dict[int, dict[str, int]] = {}
    rows = Execution.objects.order_by().values_list("machine", "status").annotate(Count("pk"))
    for machine, status, count in rows:
        counts.setdefault(machine, {})[status] = count
    machines = StateMachine.objects.select_related("current")
    return [
        {
            "name": machine.name,
            "version": machine.current.number if machine.current else None,
            "executions": {status: counts.get(machine.pk, {}).get(status, 0) for status in Status.values},
        }
        for machine in machines
    ]


def check_file(options: dict[str, Any]) -> list[dict[str, Any]]:
    faults, _ = check_text(read_text(options["file"]))
    told = [
        {"path": fault.path or "/", "severity": fault.severity, "code": fault.code, "reason": fault.reason}
        for fault in faults
    ]
    if any(fault.severity == "ERROR" for fault in faults) and not options["json"]:
        raise CommandError("\n".join(lines_of(told)))
    return told


def save(options: dict[str, Any]) -> dict[str, Any]:
    text = read_text(options["file"])
    faults, _ = check_text(text)
    wrong = [fault for fault in faults if fault.severity == "ERROR"]
    if wrong:
        raise CommandError("\n".join(map(str, wrong)))
    if options["dry_run"]:
        return {"name": options["name"], "saved": False}
    try:
        version = save_version(
            options["name"], text, reason=options["reason"], now=timezone.now(), role_arn=options["role_arn"]
        )
    except InvalidDefinition as error:
        raise CommandError(str(error))
    return {"name": options["name"], "version": version.number}


def start_one(options: dict[str, Any]) -> dict[str, Any]:
    given = read_json(options["input"]) if options["input"] else {}
    try:
        execution = start(machine_of(options["machine"]), options["name"], given, now=timezone.now())
    except (NoVersion, InputTooLarge) as error:
        raise CommandError(str(error))
    return {"machine": options["machine"], "name": execution.name, "status": execution.status}


def show(options: dict[str, Any]) -> list[dict[str, Any]]:
    name = options["name"]
    named = {"arn": name} if name.startswith("arn:") else {"name": name}
    execution = Execution.objects.filter(machine=machine_of(options["machine"]), **named).order_by("arn").first()
    if execution is None:
        raise CommandError(f"The state machine {options['machine']} has no execution named {name}.")
    head = {"arn": execution.arn, "status": execution.status, "input": execution.input, "output": execution.output}
    head |= {"error": execution.error, "cause": execution.cause, "started_at": execution.started_at}
    if execution.arn:
        head |= seen_on_aws(execution)
    events = execution.history.order_by("number")
    return [head, *({"at": event.at, "type": event.type, "name": event.name, **event.details} for event in events)]


def seen_on_aws(execution: Execution) -> dict[str, Any]:
    """What AWS says besides: redrives, and how the runs of its Maps stand."""
    on_aws = ExecutionOnAws.objects.filter(pk=execution.pk).first()
    runs = MapRunOnAws.objects.filter(execution=execution).order_by("pk")
    return {
        "redrives": execution.redrives,
        "redriven_at": on_aws.redriven_at if on_aws else None,
        "redrive_status": on_aws.redrive_status if on_aws else "",
        "map_runs": [
            {"arn": run.arn, "state": run.state_name, "status": run.status, "items": run.items} for run in runs
        ],
    }


def machine_of(name: str) -> StateMachine:
    machine = StateMachine.objects.filter(name=name).first()
    if machine is None:
        known = ", ".join(StateMachine.objects.values_list("name", flat=True)) or "none"
        raise CommandError(f"There is no state machine named {name}. There are: {known}.")
    return machine


def lines_of(told: Any) -> list[str]:
    rows = told if isinstance(told, list) else [told]
    return ["  ".join(f"{name}: {value}" for name, value in row.items() if value not in ("", None, [])) for row in rows]


# These say themselves what they did.
WRITING = {"deploy": command.deploy, "from-cloudformation": bringing_command.bring}
ACTS = {
    "list": list_machines,
    "check": check_file,
    "save": save,
    "start": start_one,
    "show": show,
    "sync": command.sync,
    **acts_command.ACTS,
}
