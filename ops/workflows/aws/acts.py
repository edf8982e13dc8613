"""What operators do with executions on AWS: stop, redrive, start again. AWS does it, and says where it does not.

The act is written down before AWS is asked, so that nothing is done there that nobody knows of; a refusal is written
down too. Each call may be made twice and acts once: by the execution's own state, a client token, a name.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import structlog
from botocore.exceptions import ClientError
from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import User
from ops.audit import REDRIVE_EXECUTION, START_AGAIN, STOP_EXECUTION, record_act
from ops.effects import aws
from ops.workflows.acts import REDRIVABLE, CannotAct, subject_of
from ops.workflows.aws import redrives
from ops.workflows.aws.following import follow
from ops.workflows.aws.models import DeployedMachine, ExecutionOnAws
from ops.workflows.aws.pace import Allowance, Tally
from ops.workflows.aws.places import ALIAS, place_of
from ops.workflows.aws.there import code_of
from ops.workflows.aws.versions import Versions
from ops.workflows.models import Execution, Status

Json = Any
log = structlog.get_logger(__name__)
LONGEST_CAUSE = 32_768  # characters (API reference, "StopExecution")


def stop(execution: Execution, actor: User | None, *, reason: str, now: datetime) -> None:
    """Stop an execution that runs on AWS. Not in a transaction. Raises CannotAct, with AWS's own sentence."""
    row = standing(execution, Status.RUNNING)
    given = {"executionArn": row.arn, "error": "Stopped", "cause": reason[:LONGEST_CAUSE]}
    after = {"status": Status.ABORTED, "arn": row.arn}
    done(row, actor, STOP_EXECUTION, reason, after, lambda states: states.stop_execution(**given), now=now)
    look(row, now=now)


def redrive(execution: Execution, actor: User | None, *, reason: str, now: datetime) -> None:
    """Let AWS go on with an execution from where it failed. Not in a transaction. Raises CannotAct.

    API reference, "RedriveExecution": within 14 days of its end; asked again with the same token it redrives once.
    """
    row = standing(execution, *REDRIVABLE)
    run = run_of(row)
    if run is not None:
        name = run.execution.name
        raise CannotAct(
            _("It is an item of a Map Run: redrive %(name)s, whose Map it is. AWS then redrives what was unsuccessful.")
            % {"name": name}
        )
    given = {"executionArn": row.arn, "clientToken": f"kessai-{row.pk}-{row.redrives + 1}"}
    after = {"status": Status.RUNNING, "arn": row.arn}
    done(row, actor, REDRIVE_EXECUTION, reason, after, lambda states: states.redrive_execution(**given), now=now)
    redrives.reopen(row, Tally())
    look(row, now=now)


def start_again(execution: Execution, name: str, actor: User | None, *, reason: str, now: datetime) -> Execution:
    """Start another execution on AWS under this name, with the same input and what the alias starts today.

    Once by its name. Not in a transaction. Raises CannotAct.
    """
    row = standing(execution, *Status)
    if run_of(row) is not None:
        raise CannotAct(_("It is an item of a Map Run and does not start alone: start the execution whose Map it is."))
    machine = machine_of(row)
    after = {"execution": name, "machine": machine}
    arn = done(row, actor, START_AGAIN, reason, after, lambda states: started(states, row, machine, name), now=now)
    made = note_started(row, machine, arn, name, now=now)
    look(made, now=now)
    return made


def standing(execution: Execution, *states: Status) -> Execution:
    row = Execution.objects.select_related("machine").get(pk=execution.pk)
    if row.status not in states:
        raise CannotAct(
            _("The execution is %(status)s: this cannot be done with it.")
            % {"status": row.get_status_display().lower()}
        )
    return row


def run_of(row: Execution) -> Any:
    found = ExecutionOnAws.objects.filter(pk=row.pk).select_related("map_run__execution").first()
    return found.map_run if found else None


def done(
    row: Execution,
    actor: User | None,
    act: str,
    reason: str,
    after: Mapping[str, Json],
    ask: Callable[[Any], Json],
    *,
    now: datetime,
) -> Json:
    """Write the act down, then ask AWS for it; return its answer. Raises CannotAct where AWS refuses."""
    write_down(row, actor, act, reason, after, now=now)
    try:
        return ask(aws.patient("stepfunctions", place_of(row.arn).region))
    except aws.AwsTrouble as error:
        sentence = words_of(error)
        write_down(row, actor, act, reason, {"refused": sentence}, now=now)
        raise CannotAct(sentence)


def write_down(
    row: Execution, actor: User | None, act: str, reason: str, after: Mapping[str, Json], *, now: datetime
) -> None:
    with transaction.atomic():
        record_act(
            actor,
            act,
            subject_kind="execution",
            subject_id=subject_of(row),
            reason=reason,
            before={"status": row.status, "error": row.error, "arn": row.arn},
            after=dict(after),
            now=now,
        )


def words_of(error: Exception) -> str:
    """What a person reads of a refusal: AWS's own sentence, and what to do."""
    code = code_of(error) if isinstance(error, ClientError) else type(error).__name__
    said = str(error.response.get("Error", {}).get("Message", "")) if isinstance(error, ClientError) else str(error)
    return _("AWS did not do it. %(code)s: %(said)s %(next)s") % {
        "code": code,
        "said": said if said.endswith(".") else f"{said}.",
        "next": next_step(code, error),
    }


def next_step(code: str, error: Exception) -> str:
    match code:
        case "ExecutionNotRedrivable":
            return _("Start it again instead: that begins anew, with keys of its own.")
        case "ExecutionDoesNotExist":
            return _("AWS keeps an execution for 90 days after its end, and none of a machine that was deleted.")
        case "ExecutionAlreadyExists":
            return _("There is one of this name: look for it among the executions.")
        case "StateMachineDoesNotExist" | "StateMachineDeleting":
            return _("Deploy the state machine first: manage.py workflows deploy.")
        case "AccessDeniedException":
            return _("The portal's AWS user lacks this permission: docs/aws.md says which it needs.")
        case "ExecutionLimitExceeded":
            return _("Too many executions run on AWS: wait until some have ended, or have the quota raised.")
    if aws.is_throttled(error):
        return _("AWS is asked too often just now. Try again in a minute.")
    return _("Nothing is lost: try it again.")


def machine_of(row: Execution) -> str:
    return ":".join(row.arn.replace(":execution:", ":stateMachine:").split(":")[:7])


def started(states: Any, row: Execution, machine: str, name: str) -> str:
    """Start it by the alias, or the machine itself where that has none. With the very text of the first's input."""
    given = states.describe_execution(executionArn=row.arn)["input"]
    try:
        answer = states.start_execution(stateMachineArn=f"{machine}:{ALIAS}", name=name, input=given)
    except ClientError as error:
        if code_of(error) not in ("StateMachineDoesNotExist", "ResourceNotFound"):
            raise
        answer = states.start_execution(stateMachineArn=machine, name=name, input=given)
    return str(answer["executionArn"])


def note_started(row: Execution, machine: str, arn: str, name: str, *, now: datetime) -> Execution:
    """Its row, at once; by and by its history is read like others'."""
    deployed, _made = DeployedMachine.objects.get_or_create(arn=machine, defaults={"machine": row.machine})
    version = version_started(deployed, arn, now=now) or row.version_id
    given = {"machine": row.machine, "version_id": version, "name": name, "input": row.input, "started_at": now}
    given |= {"event_id": row.event_id, "customer_id": row.customer_id}
    made, _made = Execution.objects.get_or_create(arn=arn, defaults=given)
    return made


def version_started(deployed: DeployedMachine, arn: str, *, now: datetime) -> int | None:
    states = aws.client("stepfunctions", place_of(arn).region)
    try:
        version = Versions(deployed, states).of({"executionArn": arn, "startDate": now}, Allowance())
    except aws.AwsTrouble as error:
        log.warning("step_functions:version_unknown", execution=arn, error=str(error))
        return None
    deployed.save(update_fields=["versions"])
    return version


def look(row: Execution, *, now: datetime) -> None:
    """Read what the act has led to; where AWS does not tell it yet, the next round does."""
    place = place_of(row.arn)
    try:
        follow(row, aws.client("stepfunctions", place.region), place, Allowance(), Tally(), now=now)
    except aws.AwsTrouble as error:
        log.warning("step_functions:not_looked_at", execution=row.arn, error=str(error))
