"""`manage.py workflows from-cloudformation`: what it takes, and what it says."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, OutputWrapper
from django.utils import timezone

from ops.effects import aws
from ops.rules.cloudformation.written import Unreadable, read_template
from ops.workflows.acts_command import actor_of
from ops.workflows.aws.bringing import Brought, Unbringable, fetch_from, machines_of_stack
from ops.workflows.aws.bringing import bring as bring_machines
from ops.workflows.aws.template_reading import Told, machines_of

NOTHING = "Nothing was changed."


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("source", metavar="FILE|STACK", help="a template, JSON or YAML; or the name of a stack on AWS")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="this machine; may be repeated")
    parser.add_argument(
        "--parameter", action="append", default=[], metavar="NAME=VALUE", help="of the template; also AWS::Region=…"
    )
    parser.add_argument("--region", default=settings.AWS_REGION, help="of the stack, or of S3; default: AWS_REGION")
    parser.add_argument("--percent", type=int, default=100, help="try it on that part of new executions; default: all")
    parser.add_argument("--reason", default="", help="why, for those who read its history")
    parser.add_argument("--by", default="", metavar="EMAIL", help="the operator who does this")
    parser.add_argument("--dry-run", action="store_true", help="show what differs; change nothing")


def bring(options: dict[str, Any], out: OutputWrapper, err: OutputWrapper) -> dict[str, Any]:
    """Do it, or say what would be done; return what was, for --json. Raises CommandError."""
    if not 1 <= options["percent"] <= 100:
        raise CommandError(f"--percent is a number from 1 to 100. {NOTHING}")
    told, flaws = read(options)
    told = chosen(told, options["only"], flaws)
    origin = "CloudFormation stack" if not Path(options["source"]).is_file() else "CloudFormation template"
    try:
        brought = bring_machines(
            told,
            reason=options["reason"] or f"From the {origin} {Path(options['source']).name}.",
            actor=actor_of(options["by"]),
            now=timezone.now(),
            percent=options["percent"],
            dry_run=options["dry_run"],
        )
    except Unbringable as error:
        raise CommandError("\n".join([*flaws, *error.sentences, NOTHING]))
    said = [*flaws, *(sentence for each in told for sentence in each.said)]
    if not options["json"]:
        tell(brought, said, options, out, err)
    return {"machines": [vars(each) for each in brought], "said": said, "dry_run": options["dry_run"]}


def read(options: dict[str, Any]) -> tuple[list[Told], list[str]]:
    path = Path(options["source"])
    if not path.is_file():
        return read_stack(options)
    values = dict(pair_of(text) for text in options["parameter"])
    try:
        template = read_template(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{path} cannot be read: {error}. {NOTHING}")
    except Unreadable as error:
        raise CommandError(f"{path} is neither JSON nor YAML: {error} {NOTHING}")
    told, flaws = machines_of(template, values, fetch_from(path.parent, options["region"]))
    if not told:
        raise CommandError("\n".join([*flaws, NOTHING]))
    return told, flaws


def read_stack(options: dict[str, Any]) -> tuple[list[Told], list[str]]:
    name, region = options["source"], options["region"]
    try:
        told = machines_of_stack(name, region)
    except aws.AwsTrouble as error:
        raise CommandError(f"There is no file {name}, and AWS in {region} says of a stack: {error} {NOTHING}")
    if not told:
        raise CommandError(f"The stack {name} in {region} has no state machine. {NOTHING}")
    return told, []


def chosen(told: list[Told], only: list[str], flaws: list[str]) -> list[Told]:
    unknown = sorted(set(only) - {each.name for each in told})
    if unknown:
        raise CommandError("\n".join([*flaws, f"It holds no state machine {', '.join(unknown)}. {NOTHING}"]))
    return [each for each in told if not only or each.name in only]


def pair_of(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise CommandError(f"--parameter {text} has no value: NAME=VALUE. {NOTHING}")
    return name, value


def tell(
    brought: list[Brought], said: list[str], options: dict[str, Any], out: OutputWrapper, err: OutputWrapper
) -> None:
    for each in brought:
        version = f", version {each.version}" if each.version else ""
        out.write(f"{each.name}: {each.did}{version}")
        if options["dry_run"] and each.diff:
            out.write(each.diff)
    if options["dry_run"]:
        out.write("Nothing was changed (--dry-run).")
    if said:
        err.write("\n".join(["What cannot come, or is otherwise here:", *(f"  {sentence}" for sentence in said)]))
