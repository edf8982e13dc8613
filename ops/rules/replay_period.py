"""Replay of a rule over a period, as a backtest reads it: only what may match is read, and each step can be shown.

The same matches and calls as `ops.rules.replay` writes, once for each replay's id: left at any moment, the same id
again does what is left.
"""

from collections.abc import Callable, Iterator
from datetime import datetime

from django.db import transaction

from accounts.models import User
from billing.inbox.selection import Selection
from ops.rules import matches, take
from ops.rules.backtest import Trial, chunks, look, scope_of, windows
from ops.rules.book import Book
from ops.rules.dispatch import find_in_past
from ops.rules.models import Mode, Rule
from ops.rules.narrowing import narrow, types_between
from ops.rules.nudge import DELIVER
from ops.rules.patterns import compile_pattern
from ops.rules.replay import Replayed, write_down


def replay_period(
    rule: Rule,
    since: datetime,
    until: datetime,
    *,
    replay_id: str,
    actor: User,
    reason: str,
    clock: Callable[[], datetime],
) -> Iterator[Replayed]:
    """Fire a rule on the events received in [since, until), yielding what was done so far after each step.

    The rule need not be on; one in trial only describes. The act is committed first: ended halfway, it says what was
    begun.
    """
    with transaction.atomic():
        selection = Selection(since=since, until=until)
        write_down(rule, selection, replay_id=replay_id, actor=actor, reason=reason, now=clock())
    trial = Trial(compile_pattern(rule.pattern), since, until, rule.owner, Mode(rule.mode), settled=True)
    scope, values = scope_of(trial)
    narrowing, book, done = narrow(trial.pattern, types_between(since, until)), Book([rule]), Replayed(replay_id)
    for start, end in windows(since, until):
        looked, archived, found = look(scope, narrowing, values | {"start": start, "end": end})
        done.events += looked
        done.archived += archived
        for ids in chunks(found):
            fire(ids, book, done, now=clock())
            yield done


def fire(ids: list[int], book: Book, done: Replayed, *, now: datetime) -> None:
    """Write the matches of these events and make their calls due, in one transaction."""
    found = find_in_past(take.read(ids), book) if ids else []
    with transaction.atomic():
        made, due = matches.write(found, now=now, replay=done.id)
    done.matches, done.calls = done.matches + made, done.calls + due
    if due:
        DELIVER.soon()
