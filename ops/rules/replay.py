"""Replay of a rule: it fires on events of the past, once for each replay's id. Stopped anywhere, it goes on there."""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

import structlog
from django.db import transaction
from django.db.models import Max, QuerySet

from accounts.models import User
from billing.inbox.models import InboxEvent, InboxState
from billing.inbox.selection import Selection
from ops.audit import REPLAY_RULE, record_act
from ops.rules import matches, take
from ops.rules.book import Book
from ops.rules.dispatch import find_in_past
from ops.rules.models import Rule
from ops.rules.nudge import DELIVER

log = structlog.get_logger(__name__)

BATCH = 500
EXAMPLES = 5


@dataclass
class Replayed:
    """What a replay came to. `archived` events have no payload here any more: restore them first."""

    id: str
    events: int = 0
    matches: int = 0  # new ones; those that this replay's id had before do not count
    calls: int = 0
    archived: int = 0
    examples: tuple[str, ...] = ()  # ids of events that fitted


def new_id(now: datetime) -> str:
    return f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


def events_of(selection: Selection) -> QuerySet[InboxEvent]:
    """The events that rules look at: those that the mirror has settled."""
    return selection.events().filter(state__in=[InboxState.MIRRORED, InboxState.STORED])


def replay_rule(
    rule: Rule,
    selection: Selection,
    *,
    replay_id: str,
    actor: User | None,
    reason: str,
    clock: Callable[[], datetime],
    dry_run: bool = False,
    seen: Callable[[int], object] = lambda _count: None,
) -> Replayed:
    """Fire a rule on past events; with `dry_run` only count. The rule need not be on; one in trial only describes.

    Each match and its calls are written once for `replay_id`: the same id again does what is left. `seen` is told how
    many events each batch had.
    """
    book, done = Book([rule]), Replayed(replay_id)
    if not dry_run:
        with transaction.atomic():
            write_down(rule, selection, replay_id=replay_id, actor=actor, reason=reason, now=clock())
    for pks in batches(events_of(selection)):
        rows = take.read(pks)
        found = find_in_past(rows, book)
        done.events += len(rows)
        done.archived += sum(row.payload is None for row in rows)
        done.examples = (*done.examples, *(each.row.external_id for each in found))[:EXAMPLES]
        if dry_run:
            done.matches += len(found)
            done.calls += sum(len(each.rule.targets) for each in found)
        else:
            with transaction.atomic():
                made, due = matches.write(found, now=clock(), replay=replay_id)
            done.matches, done.calls = done.matches + made, done.calls + due
            if due:
                DELIVER.soon()
        seen(len(rows))
    log.info(
        "rules:replayed", rule=rule.name, replay=replay_id, events=done.events, matches=done.matches, dry_run=dry_run
    )
    return done


def batches(events: QuerySet[InboxEvent]) -> Iterator[list[int]]:
    """Yield the keys of these events in the order in which they came; events that come meanwhile are not among them."""
    last = events.aggregate(last=Max("pk"))["last"] or 0
    keys, at = events.filter(pk__lte=last).order_by("pk").values_list("pk", flat=True), 0
    while pks := list(keys.filter(pk__gt=at)[:BATCH]):
        yield pks
        at = pks[-1]


def write_down(
    rule: Rule, selection: Selection, *, replay_id: str, actor: User | None, reason: str, now: datetime
) -> None:
    chosen = {name: value for name, value in vars(selection).items() if value not in (None, "", ())}
    record_act(
        actor,
        REPLAY_RULE,
        subject_kind="rule",
        subject_id=rule.name,
        reason=reason,
        before={},
        after={"replay": replay_id, "events": {name: str(value) for name, value in chosen.items()}},
        now=now,
    )
