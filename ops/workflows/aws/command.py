"""`manage.py workflows deploy`: what it takes, and what it says."""

import json
import sys
from argparse import ArgumentParser
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, OutputWrapper
from django.utils import timezone

from ops.effects import aws
from ops.rules.documents import document_of
from ops.rules.models import Rule
from ops.workflows.aws.deploy import LEVELS, CannotDeploy, Part, Plan, here, plan_of
from ops.workflows.aws.executions import discover, read_all
from ops.workflows.aws.models import DeployedMachine
from ops.workflows.aws.places import Place
from ops.workflows.aws.stacking import stack_of, started_by
from ops.workflows.models import StateMachine

NOTHING = "Nothing was done."
DID = {"make": "made", "change": "changed", "delete": "deleted", "keep": "as it was"}


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="NAME", help="all state machines when none is named")
    parser.add_argument("--region", default=settings.AWS_REGION, help="default: AWS_REGION")
    parser.add_argument("--log-level", choices=LEVELS, default="ALL", help="what executions write into their log group")
    parser.add_argument("--dry-run", action="store_true", help="show what differs; do nothing")
    parser.add_argument("--prune", action="store_true", help="delete what was deployed from here and is not here now")
    parser.add_argument("--yes", action="store_true", help="delete without asking")
    parser.add_argument("--cloudformation", action="store_true", help="write a CloudFormation template; call nothing")
    parser.add_argument("--out", default="", metavar="FILE", help="where the template goes; default: stdout")


def deploy(options: dict[str, Any], out: OutputWrapper, err: OutputWrapper) -> Any:
    """Do it, or say what would be done; return what was, for --json. Raises CommandError."""
    if options["prune"] and options["names"]:
        raise CommandError(f"--prune looks at all state machines: name none with it. {NOTHING}")
    machines = chosen(options["names"])
    if options["cloudformation"]:
        return write_template(machines, options, out, err)
    try:
        place = here(options["region"])
        plan = plan_of(machines, place, log_level=options["log_level"], prune=options["prune"])
        if not options["dry_run"]:
            confirm(plan, options, out)
            carry_out(plan, options, out)
            note(machines, place)
    except CannotDeploy as error:
        raise CommandError("\n".join([*error.sentences, NOTHING]))
    except aws.AwsTrouble as error:
        raise CommandError(f"AWS in {options['region']}: {error}. What was said before is done; once more goes on.")
    if not options["json"]:
        tell(plan, options, out, err)
    return told(plan, options)


def chosen(names: list[str]) -> list[StateMachine]:
    machines = list(StateMachine.objects.select_related("current", "tried"))
    unknown = sorted(set(names) - {machine.name for machine in machines})
    if unknown:
        raise CommandError(f"There is no state machine {', '.join(unknown)}. {NOTHING}")
    return [machine for machine in machines if not names or machine.name in names]


def confirm(plan: Plan, options: dict[str, Any], out: OutputWrapper) -> None:
    going = [f"{part.kind.word} {part.name}" for part in plan.parts if part.act == "delete"]
    if not going or options["yes"]:
        return
    if not sys.stdin.isatty():
        raise CommandError(f"This deletes {', '.join(going)}. Say --yes. {NOTHING}")
    out.write(f"This deletes {', '.join(going)}.")
    if input("Delete them? (yes/no) ") != "yes":
        raise CommandError(NOTHING)


def carry_out(plan: Plan, options: dict[str, Any], out: OutputWrapper) -> None:
    def done(part: Part) -> None:
        if not options["json"]:
            out.write(f"{part.kind.word} {part.name}: {DID[part.act]}")

    plan.do(done)


def note(machines: list[StateMachine], place: Place) -> None:
    """From now on executions there are read."""
    for machine in machines:
        DeployedMachine.objects.get_or_create(arn=place.machine(machine.name), defaults={"machine": machine})


def sync(options: dict[str, Any]) -> dict[str, Any]:
    """Read executions on AWS now, of every machine that was made from here. Raises CommandError."""
    try:
        discover(options["region"])
    except aws.AwsTrouble as error:
        raise CommandError(f"AWS in {options['region']}: {error}. {NOTHING}")
    tally = read_all(timezone.now)
    troubles = DeployedMachine.objects.exclude(error="").values_list("arn", "error")
    return {**asdict(tally), "trouble": [f"{arn}: {error}" for arn, error in troubles]}


def tell(plan: Plan, options: dict[str, Any], out: OutputWrapper, err: OutputWrapper) -> None:
    differing = [part for part in plan.parts if part.act != "keep"]
    if options["dry_run"]:
        for part in differing:
            out.write(f"{part.kind.word} {part.name}: would be {DID[part.act]}\n{part.diff()}")
    if not differing:
        out.write(f"Everything in {plan.place.region} of {plan.place.account} is as it is here.")
    elif options["dry_run"]:
        out.write("Nothing was done (--dry-run).")
    for sentence in plan.said:
        err.write(sentence)


def told(plan: Plan, options: dict[str, Any]) -> dict[str, Any]:
    return {
        "region": plan.place.region,
        "account": plan.place.account,
        "dry_run": options["dry_run"],
        "parts": [
            {"kind": part.kind.word, "name": part.name, "act": part.act, "diff": part.diff()} for part in plan.parts
        ],
        "said": plan.said,
    }


def write_template(
    machines: list[StateMachine], options: dict[str, Any], out: OutputWrapper, err: OutputWrapper
) -> dict[str, Any]:
    """These machines as a template, with the rules that start them."""
    names = {machine.name for machine in machines}
    documents = [document_of(rule) for rule in Rule.objects.prefetch_related("targets").order_by("name")]
    try:
        made = stack_of([each for each in documents if started_by([each]) & names], names)
    except CannotDeploy as error:
        raise CommandError("\n".join([*error.sentences, NOTHING]))
    text = json.dumps(made.body, indent=2, ensure_ascii=False)
    if options["out"]:
        write(options["out"], f"{text}\n")
    if not options["json"]:
        out.write(f"{options['out']}: written" if options["out"] else text)
        for sentence in (*made.cannot_move, *made.to_do):
            err.write(sentence)
    whole = {} if options["out"] else {"template": made.body}
    return {"machines": sorted(names), "cannot_move": made.cannot_move, "to_do": made.to_do, **whole}


def write(path: str, text: str) -> None:
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}. {NOTHING}")
