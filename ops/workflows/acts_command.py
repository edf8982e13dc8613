"""`manage.py workflows stop|redrive|start-again`: what operators do with executions, here and on AWS."""

from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from django.core.management.base import CommandError
from django.utils import timezone

from accounts.models import User
from billing import clock
from ops.workflows import acts
from ops.workflows.acts import CannotAct
from ops.workflows.aws import acts as acts_on_aws
from ops.workflows.machines import NoVersion
from ops.workflows.models import Execution

NOTHING = "Nothing was done."
HELP = {
    "stop": "stop a running execution; what it has done stays done",
    "redrive": "let an execution that failed go on from the state that failed",
    "start-again": "start another execution with the same input; what the first has done is done once more",
}


def add_parser(verbs: Any, name: str) -> ArgumentParser:
    parser: ArgumentParser = verbs.add_parser(name, help=HELP[name], description=HELP[name])
    parser.add_argument("machine", help="the state machine")
    parser.add_argument("name", help="of the execution; or its ARN on AWS")
    parser.add_argument("--aws", action="store_true", help="the one on AWS, where one of this name is here, too")
    parser.add_argument("--reason", required=True, help="why; it is written down")
    parser.add_argument("--by", default="", metavar="EMAIL", help="the operator who does this")
    if name == "start-again":
        parser.add_argument("--as", dest="new_name", default="", metavar="NAME", help="of the other execution")
    return parser


def stop(options: dict[str, Any]) -> dict[str, Any]:
    return acted(options, lambda row, actor, given: engine_of(row).stop(row, actor, **given))


def redrive(options: dict[str, Any]) -> dict[str, Any]:
    return acted(options, lambda row, actor, given: engine_of(row).redrive(row, actor, **given))


def start_again(options: dict[str, Any]) -> dict[str, Any]:
    def again(row: Execution, actor: User | None, given: dict[str, Any]) -> Execution:
        name = options["new_name"] or f"{row.name[:60]}-again-{uuid4().hex[:8]}"
        started: Execution = engine_of(row).start_again(row, name, actor, **given)
        return started

    return acted(options, again)


def acted(options: dict[str, Any], act: Callable[[Execution, Any, dict[str, Any]], Any]) -> dict[str, Any]:
    """Do it, and return how the execution stands, or the one that was started. Raises CommandError."""
    row, actor = found(options), actor_of(options["by"])
    if not options["reason"].strip():
        raise CommandError(f"Say why, with --reason: it is written down. {NOTHING}")
    now = timezone.now() if row.arn else clock.now()
    try:
        done = act(row, actor, {"reason": options["reason"], "now": now})
    except (CannotAct, NoVersion) as error:
        raise CommandError(f"{error} {NOTHING}")
    row = done if isinstance(done, Execution) else row
    row.refresh_from_db()
    return {"machine": options["machine"], "name": row.name, "arn": row.arn, "status": row.status}


def engine_of(row: Execution) -> Any:
    return acts_on_aws if row.arn else acts


def found(options: dict[str, Any]) -> Execution:
    rows = Execution.objects.select_related("machine").filter(machine__name=options["machine"])
    name = options["name"]
    rows = rows.filter(arn=name) if name.startswith("arn:") else rows.filter(name=name)
    rows = rows.exclude(arn="") if options["aws"] else rows
    candidates = list(rows.order_by("arn")[:3])
    if not candidates:
        where = " on AWS" if options["aws"] else ""
        raise CommandError(
            f"The state machine {options['machine']} has no execution named {name}{where}. What runs on AWS is known "
            f"here once it was read: manage.py workflows sync. {NOTHING}"
        )
    if len(candidates) > 1:
        places = ", ".join(row.arn or "here" for row in candidates)
        raise CommandError(f"{len(candidates)} are named {name}: {places}. Name its ARN, or say --aws. {NOTHING}")
    return candidates[0]


def actor_of(email: str) -> User | None:
    if not email:
        return None
    actor = User.objects.filter(email__iexact=email, is_staff=True).first()
    if actor is None:
        raise CommandError(f"No operator has the address {email}. {NOTHING}")
    return actor


ACTS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "stop": stop,
    "redrive": redrive,
    "start-again": start_again,
}
