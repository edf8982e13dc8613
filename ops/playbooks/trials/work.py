"""Running the backtests that were asked for: leased, told of as they go on, begun anew where a worker died."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import transaction
from django.db.models import Q

from accounts.models import User
from ops.playbooks.trials.models import PlaybookTrial, TrialState, TriedRun
from ops.playbooks.trying import CannotTry, trial_of
from ops.rules.backtest import count_all, scope_of
from ops.rules.nudge import Nudge
from ops.workflows.backtest import Found, Run, backtest

log = structlog.get_logger(__name__)

TRY = Nudge("ops.tasks.try_playbooks", "kessai:try-nudge")
LEASE = timedelta(seconds=60)
MOST_ATTEMPTS = 3
KEPT = 50  # of the newest
AT_ONCE = 500  # runs in one statement


def ask(
    playbook: str, rule_name: str, *, since: datetime, until: datetime, actor: User, now: datetime
) -> PlaybookTrial:
    """Ask for a backtest; a worker runs it. Older ones than are kept go. Raises CannotTry."""
    asked = trial_of(playbook, rule_name, since=since, until=until)
    with transaction.atomic():
        row = PlaybookTrial.objects.create(
            playbook=playbook,
            rule_name=asked.rule.rule_name,
            machine_name=asked.name,
            since=since,
            until=until,
            asked_by=actor,
            asked_at=now,
        )
        newest = PlaybookTrial.objects.order_by("-asked_at").values_list("pk", flat=True)[:KEPT]
        PlaybookTrial.objects.exclude(pk__in=list(newest)).delete()
        transaction.on_commit(TRY.soon)
    return row


def waiting(now: datetime) -> bool:
    """Whether a backtest waits for a worker, or lost its own."""
    return bool(open_ones(now).exists())


def open_ones(now: datetime) -> Any:
    lost = Q(state=TrialState.RUNNING, claimed_until__lt=now)
    return PlaybookTrial.objects.filter(Q(state=TrialState.DUE) | lost)


def run_due(clock: Callable[[], datetime]) -> int:
    """Run every backtest that waits; return how many. Must not be called in a transaction."""
    done = 0
    while row := claim(now=clock()):
        run(row, clock)
        done += 1
    return done


def claim(*, now: datetime) -> PlaybookTrial | None:
    with transaction.atomic():
        row: PlaybookTrial | None = open_ones(now).select_for_update(skip_locked=True).order_by("asked_at").first()
        if row is None:
            return None
        row.runs.all().delete()
        row.state, row.claimed_until, row.attempts = TrialState.RUNNING, now + LEASE, row.attempts + 1
        if row.attempts > MOST_ATTEMPTS:
            row.state, row.error = TrialState.FAILED, "Its worker was lost three times."
        row.save()
    return row if row.state == TrialState.RUNNING else None


def run(row: PlaybookTrial, clock: Callable[[], datetime]) -> None:
    """Run one backtest to its end, or to what keeps it from one."""
    try:
        trial = trial_of(row.playbook, row.rule_name, since=row.since, until=row.until)
        PlaybookTrial.objects.filter(pk=row.pk).update(total=count_all(*scope_of(trial.rule)))
        written = 0
        for found in backtest(trial):
            with transaction.atomic():
                if not tell(row, found, now=clock()):
                    return  # it was deleted meanwhile, or is another worker's
                write(row, found.runs[written:])
            written = len(found.runs)
    except CannotTry as error:
        fail(row, str(error))
    except Exception as error:  # a mistake of ours: said, and not tried for ever
        log.exception("trials:failed", trial=row.pk)
        fail(row, f"{type(error).__name__}: the backtest ended in an error that nobody expected.")


def write(row: PlaybookTrial, runs: Sequence[Run]) -> None:
    TriedRun.objects.bulk_create([row_of(row, run) for run in runs], batch_size=AT_ONCE)


def row_of(row: PlaybookTrial, run: Run) -> TriedRun:
    touched = [{"state": each.state, "effect": each.effect, "at": each.at.isoformat()} for each in run.touched]
    given = {
        **vars(run),
        "touched": touched,
        "error": run.error[:256],
        "name": run.name[:255],
        "ending": run.ending[:255],
    }
    return TriedRun(trial=row, **given)


def tell(row: PlaybookTrial, found: Found, *, now: datetime) -> bool:
    """Write how far it is; whether it is still this worker's."""
    mine = PlaybookTrial.objects.filter(pk=row.pk, state=TrialState.RUNNING, attempts=row.attempts)
    return bool(
        mine.update(
            looked=found.looked,
            archived=found.archived,
            matched=found.matched,
            repeated=found.repeated,
            without_input=found.without_input,
            seconds=found.seconds,
            claimed_until=now + LEASE,
            state=TrialState.DONE if found.done else TrialState.RUNNING,
        )
    )


def fail(row: PlaybookTrial, error: str) -> None:
    PlaybookTrial.objects.filter(pk=row.pk).update(state=TrialState.FAILED, error=error, claimed_until=None)
