"""Celery's doors into operations: each makes one domain call. What is to be done stands in the rows."""

from celery import shared_task
from django.utils import timezone

from billing import clock
from billing.mirror import silence
from ops.effects.destinations.log import prune
from ops.effects.mail.prune import prune as prune_outbox
from ops.playbooks.trials.work import TRY, run_due
from ops.playbooks.trials.work import waiting as trials_waiting
from ops.remediation.findings import look
from ops.rules import due, take
from ops.rules.deliver import deliver_due as deliver
from ops.rules.dispatch import dispatch_due as dispatch
from ops.rules.nudge import DELIVER, DISPATCH
from ops.rules.prune import prune as prune_rules
from ops.workflows.aws.executions import read_all as read_executions
from ops.workflows.engine import advance_due as advance
from ops.workflows.engine import waiting as executions_waiting
from ops.workflows.nudge import ADVANCE
from ops.workflows.prune import prune as prune_histories

BUDGET_SECONDS = 60.0  # then the task ends, so that a worker can be stopped; the sweep finds what is left


@shared_task(name="ops.tasks.look_for_problems")
def look_for_problems() -> None:
    """Open findings for what is wrong and close those whose cause is gone."""
    look(now=timezone.now())


@shared_task(name="ops.tasks.dispatch_due")
def dispatch_due() -> None:
    """Match settled events with the rules."""
    DISPATCH.taken()
    dispatch(timezone.now, budget_seconds=BUDGET_SECONDS, on_full_batch=DISPATCH.soon, on_due=DELIVER.soon)


@shared_task(name="ops.tasks.deliver_due")
def deliver_due() -> None:
    """Make the calls that rules made due."""
    DELIVER.taken()
    deliver(timezone.now, budget_seconds=BUDGET_SECONDS)


@shared_task(name="ops.tasks.sweep_rules")
def sweep_rules() -> None:
    """Look for events, changes, calls and backtests that no message announced, whose worker died, or whose time has
    come.
    """
    if take.waiting() or silence.waiting():
        DISPATCH.soon()
    if due.waiting(timezone.now()):
        DELIVER.soon()
    if trials_waiting(timezone.now()):
        TRY.soon()


@shared_task(name="ops.tasks.try_playbooks", time_limit=3600)
def try_playbooks() -> None:
    """Run the backtests of playbooks that were asked for."""
    TRY.taken()
    run_due(timezone.now)


@shared_task(name="ops.tasks.prune_rule_log")
def prune_rule_log() -> None:
    """Delete matches and calls that are older than they are kept."""
    prune_rules(now=timezone.now(), budget_seconds=BUDGET_SECONDS)


@shared_task(name="ops.tasks.prune_destination_log")
def prune_destination_log() -> None:
    """Delete requests to destinations that are older than they are kept."""
    prune(now=timezone.now())


@shared_task(name="ops.tasks.prune_mails")
def prune_mails() -> None:
    """Delete mails that are settled and older than they are kept."""
    prune_outbox(now=timezone.now(), budget_seconds=BUDGET_SECONDS)


@shared_task(name="ops.tasks.advance_due")
def advance_due() -> None:
    """Advance executions that are due, and make their calls."""
    ADVANCE.taken()
    if clock.settling():
        return  # the sweep comes back in a second
    advance(clock.now, budget_seconds=BUDGET_SECONDS, on_full_batch=ADVANCE.soon)


@shared_task(name="ops.tasks.prune_executions")
def prune_executions() -> None:
    """Delete histories and executions that are older than they are kept."""
    prune_histories(now=timezone.now(), budget_seconds=BUDGET_SECONDS)


@shared_task(name="ops.tasks.sweep_executions")
def sweep_executions() -> None:
    """Look for executions whose time has come, and for calls whose worker died."""
    if executions_waiting(clock.now()):
        ADVANCE.soon()


@shared_task(name="ops.tasks.read_executions_on_aws")
def read_executions_on_aws() -> None:
    """Read what is new of executions on AWS; nothing is asked where nothing was deployed."""
    read_executions(timezone.now)
