"""The one place through which rules change: by people in the console, by files. Each change is a version, with why."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import User
from ops.audit import CHANGE_RULE, DELETE_RULE, record_act
from ops.rules import documents
from ops.rules.documents import STATE_WORDS, Document, document_of
from ops.rules.models import Rule, RuleState, RuleVersion, Target
from ops.rules.validate import InvalidRule, Problem, checked

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Saved:
    """`changed` is False where the rule was just so before: then there is no new version."""

    rule: Rule
    changed: bool


@dataclass(frozen=True)
class File:
    """A rule's file: its path below the playbooks, and the normal form of what it says."""

    path: str
    document: Document


class ChangedMeanwhile(Exception):
    """Somebody else has changed this rule since you opened it. Look at their version, then say yours again."""


def save_rule(
    document: Document,
    *,
    rule: Rule | None = None,
    actor: User | None,
    reason: str,
    now: datetime,
    file: File | None = None,
    seen_version: int | None = None,
) -> Saved:
    """Make a rule, or change one, as the document says, in one transaction.

    `file` is given where a file says so. `seen_version` is the version that whoever edits has seen: raises
    ChangedMeanwhile when it is not the latest. Raises InvalidRule, and then changes nothing.
    """
    document = checked(document)
    with transaction.atomic():
        before = locked(rule, document["Name"])
        if seen_version is not None and before.version != seen_version:
            raise ChangedMeanwhile
        old = document_of(before) if before.pk else {}
        wanted = normal(document)
        pattern = layout_of(document["EventPattern"], before)
        if old == wanted and before.pattern == pattern:
            if file is not None:
                remember_file(before, file)
            return Saved(before, changed=False)
        write(before, document | {"EventPattern": pattern}, now=now)
        if file is not None:
            remember_file(before, file)
        add_version(before, wanted, actor=actor, reason=reason, from_file=file is not None, now=now)
        if actor is not None:
            record_change(before, old, wanted, actor=actor, reason=reason, now=now)
    log.info("rules:changed", rule=before.name, version=before.version, state=before.state)
    return Saved(before, changed=True)


def remember_file(rule: Rule, file: File) -> None:
    """Write down what the rule's file says now: what differs from it from here on was edited here."""
    rule.path, rule.applied = file.path, file.document
    Rule.objects.filter(pk=rule.pk).update(path=file.path, applied=file.document)


def layout_of(pattern: Any, before: Rule) -> str:
    """The pattern as a text: as it was written where it was, as it stood where only its layout would be lost."""
    if isinstance(pattern, str) or documents.pattern_of(before.pattern) != pattern:
        return documents.pattern_text(pattern)
    return before.pattern


def locked(rule: Rule | None, name: str) -> Rule:
    """Return the rule, locked until the transaction ends, or a new one. Raises InvalidRule for another's name."""
    others = Rule.objects.filter(name=name)
    if (others.exclude(pk=rule.pk) if rule else others).exists():
        raise InvalidRule([Problem("Name", _("There is another rule with this name."))])
    return Rule.objects.select_for_update().get(pk=rule.pk) if rule else Rule(name=name)


def normal(document: Document) -> Document:
    """The document as `document_of` would say it, so that the two can be compared."""
    rule = Rule()
    documents.fill(rule, document)
    return document_of(rule, documents.targets_of(rule, document))


def write(rule: Rule, document: Document, *, now: datetime) -> None:
    was = rule.state if rule.pk else RuleState.OFF
    documents.fill(rule, document)
    if rule.state == RuleState.OFF:
        rule.on_since = None
    elif rule.state != was or rule.on_since is None:
        rule.on_since = now  # what came before is the past, and rules say nothing about it
    rule.version += 1
    rule.changed_at = now
    rule.save()
    rule.targets.all().delete()
    Target.objects.bulk_create(documents.targets_of(rule, document))


def add_version(
    rule: Rule, document: Document, *, actor: User | None, reason: str, from_file: bool, now: datetime
) -> None:
    RuleVersion.objects.create(
        rule=rule,
        number=rule.version,
        document=document,
        changed_by=actor,
        reason=reason,
        from_file=from_file,
        changed_at=now,
    )


def record_change(rule: Rule, old: Document, new: Document, *, actor: User, reason: str, now: datetime) -> None:
    changed = {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)}
    record_act(
        actor,
        CHANGE_RULE,
        subject_kind="rule",
        subject_id=rule.name,
        reason=reason,
        before={key: old[key] for key in sorted(changed & old.keys())},
        after={key: new[key] for key in sorted(changed & new.keys())} | {"version": rule.version},
        now=now,
    )


def set_state(rule: Rule, state: RuleState, *, actor: User | None, reason: str, now: datetime) -> Saved:
    """Switch a rule on, off, or to trial."""
    document = document_of(rule) | {"State": STATE_WORDS[state]}
    return save_rule(document, rule=rule, actor=actor, reason=reason, now=now)


def restore_version(rule: Rule, number: int, *, actor: User | None, reason: str, now: datetime) -> Saved:
    """Make the rule what it was in a version; that is a new version. Raises RuleVersion.DoesNotExist."""
    version = RuleVersion.objects.get(rule=rule, number=number)
    return save_rule(version.document, rule=rule, actor=actor, reason=reason, now=now)


def delete_rule(rule: Rule, *, actor: User | None, reason: str, now: datetime) -> None:
    """Remove a rule, with its versions, its matches and their calls: calls that are due are not made any more."""
    with transaction.atomic():
        document = document_of(rule)
        rule.delete()
        record_act(
            actor,
            DELETE_RULE,
            subject_kind="rule",
            subject_id=document["Name"],
            reason=reason,
            before=document,
            after={},
            now=now,
        )
    log.info("rules:deleted", rule=document["Name"])
