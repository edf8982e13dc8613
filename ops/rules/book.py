"""The rules that are on, ready to be asked: compiled once, shared by the threads of a worker, never stale.

Each batch of events asks PostgreSQL whether anything changed since: a sum over the rows' own versions, which sees every
committed change, by whomever, and is asked after the events were taken. So a rule that was committed before
an event came is never missed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import connection

from ops.rules.envelopes import STRIPE, Event, Received, forms_of, rule_arn
from ops.rules.matcher import Matcher
from ops.rules.models import Mode, Rule, RuleState, Target
from ops.rules.patterns import InvalidPattern, compile_pattern
from ops.rules.transform import InputOf, compile_input

log = structlog.get_logger(__name__)

# A row's version: which transaction wrote it, and where it lies, as one transaction may write it several times.
VERSIONS = "coalesce(sum(hashtextextended(xmin::text || ctid::text, id)), 0)"
REVISION = f"""
    SELECT count(*), {VERSIONS}, (SELECT {VERSIONS} FROM ops_target) FROM ops_rule WHERE state <> 'off'
"""  # noqa: S608 - of our own words alone

Revision = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class ReadyTarget:
    name: str
    kind: str
    arn: str
    parameters: dict[str, Any]
    max_age: timedelta
    max_retries: int
    make_input: InputOf


@dataclass(frozen=True, slots=True)
class ReadyRule:
    pk: int
    name: str
    arn: str
    version: int
    trial: bool
    owner: str | None
    mode: str
    on_since: datetime | None
    targets: tuple[ReadyTarget, ...]

    def concerns(self, row: Received) -> bool:
        """Whether the event lies in the rule's scope. Events of sources that know no accounts and modes always do."""
        if row.source != STRIPE:
            return True
        in_mode = self.mode == Mode.ANY or (self.mode == Mode.LIVE) == row.livemode
        return in_mode and self.owner in (None, row.owner)

    def is_on_for(self, row: Received) -> bool:
        """Whether it was on when the event came; a rule says nothing about the past."""
        return self.on_since is not None and row.received_at >= self.on_since


class Book:
    """Rules with their matcher. It never changes."""

    def __init__(self, rules: Sequence[Rule], revision: Revision = ()) -> None:
        self.revision = revision
        self.rules: dict[int, ReadyRule] = {}
        patterns = {}
        for rule in rules:
            try:
                patterns[rule.pk] = compile_pattern(rule.pattern)
                self.rules[rule.pk] = ready(rule)
            except (InvalidPattern, ValueError) as error:  # written past `ops.rules.edit`: the others go on
                patterns.pop(rule.pk, None)
                log.error("rules:unusable", rule=rule.name, error=str(error))
        self._matcher = Matcher(patterns)

    def __bool__(self) -> bool:
        return bool(self.rules)

    def matches(self, row: Received) -> list[tuple[ReadyRule, Event]]:
        """Return the rules that the event fits, in the order of their names, each with the form of it that fitted.

        Says nothing of `on_since`. Raises what a payload that is no event makes of itself.
        """
        found: dict[int, Event] = {}
        for form in forms_of(row):
            for pk in self._matcher.match(form):
                found.setdefault(pk, form)
        chosen = sorted((self.rules[pk] for pk in found), key=lambda rule: rule.name)
        return [(rule, found[rule.pk]) for rule in chosen if rule.concerns(row)]


def ready(rule: Rule) -> ReadyRule:
    return ReadyRule(
        pk=rule.pk,
        name=rule.name,
        arn=rule_arn(rule.name),
        version=rule.version,
        trial=rule.state == RuleState.TRIAL,
        owner=rule.owner,
        mode=rule.mode,
        on_since=rule.on_since,
        targets=tuple(ready_target(target) for target in rule.targets.all()),
    )


def ready_target(target: Target) -> ReadyTarget:
    return ReadyTarget(
        name=target.name,
        kind=target.kind,
        arn=target.arn,
        parameters=target.parameters,
        max_age=timedelta(seconds=target.max_age_seconds),
        max_retries=target.max_retries,
        make_input=compile_input(
            constant=target.input,
            input_path=target.input_path,
            paths=target.input_paths_map,
            template=target.input_template,
        ),
    )


_current = Book([])


def current() -> Book:
    """Return the rules that are on or tried, as the database has them now. One statement when nothing changed."""
    global _current
    seen = revision()
    if seen != _current.revision:
        # Read after the revision: what changes in between is seen as a change by the next look.
        _current = Book(list(active_rules()), seen)
    return _current


def revision() -> Revision:
    with connection.cursor() as cursor:
        cursor.execute(REVISION)
        return tuple(cursor.fetchone())


def active_rules() -> Any:
    return Rule.objects.exclude(state=RuleState.OFF).prefetch_related("targets")
