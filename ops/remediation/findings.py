"""Opening and closing findings: what is seen is open, what is seen no more is closed, and nobody need tidy up."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from django.db import DatabaseError, transaction
from django.db.models import QuerySet

from accounts.models import User
from billing.inbox import own
from ops.audit import ACKNOWLEDGE_FINDING, CLOSE_FINDING, record_act
from ops.remediation.models import Finding, FindingKind, Severity
from ops.remediation.problems import DETECTORS, Detector, Problem

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Looked:
    """What one look changed."""

    opened: int
    closed: int
    open: int


def look(*, now: datetime, detectors: Mapping[Detector, Collection[FindingKind]] = DETECTORS) -> Looked:
    """Look for problems; open a finding for each that has none, and close those whose cause is gone.

    Any number may look at once. A detector that fails leaves the findings of its kinds as they are.
    """
    opened = closed = 0
    for detector, kinds in detectors.items():
        try:
            problems = list(detector(now))
        except DatabaseError as error:
            log.error("findings:cannot_look", detector=detector.__name__, error=type(error).__name__)
            continue
        with transaction.atomic():
            opened += open_or_refresh(problems, now=now)
            closed += close_others(problems, kinds, now=now)
    return Looked(opened, closed, Finding.objects.filter(closed_at=None).count())


def open_or_refresh(problems: Sequence[Problem], *, now: datetime) -> int:
    """Bring open findings up to date and open the missing ones; return how many were opened."""
    by_key = {problem.dedup_key: problem for problem in problems}
    known = {finding.dedup_key: finding for finding in Finding.objects.filter(closed_at=None, dedup_key__in=by_key)}
    for key, finding in known.items():
        problem = by_key[key]
        finding.evidence, finding.severity, finding.seen_at = dict(problem.evidence), problem.severity, now
    Finding.objects.bulk_update(known.values(), ["evidence", "severity", "seen_at"])
    missing = [opened(problem, now=now) for key, problem in by_key.items() if key not in known]
    Finding.objects.bulk_create(missing, ignore_conflicts=True)  # somebody else may just have looked
    # Bulk creation that passes over conflicts tells no keys: those of this moment are ours.
    tell_opened(Finding.objects.filter(closed_at=None, opened_at=now, dedup_key__in=[f.dedup_key for f in missing]))
    return len(missing)


def tell_opened(findings: Iterable[Finding], *, depth: int = 0) -> None:
    """Log it, and publish it as an event of our own, once a finding."""
    for finding in findings:
        log.warning("finding:opened", kind=finding.kind, subject=finding.subject, severity=finding.severity)
        detail = {**described(finding), "evidence": finding.evidence}
        own.publish(own.FINDING_OPENED, key=str(finding.pk), detail=detail, now=finding.opened_at, depth=depth)


def described(finding: Finding) -> dict[str, object]:
    return {"id": finding.pk, "kind": finding.kind, "subject": finding.subject, "severity": finding.severity}


def opened(problem: Problem, *, now: datetime) -> Finding:
    return Finding(
        kind=problem.kind,
        subject=problem.subject,
        severity=problem.severity,
        evidence=dict(problem.evidence),
        dedup_key=problem.dedup_key,
        opened_at=now,
        seen_at=now,
    )


def close_others(problems: Sequence[Problem], kinds: Collection[FindingKind], *, now: datetime) -> int:
    """Close the open findings of these kinds that were not seen; return how many."""
    seen = [problem.dedup_key for problem in problems]
    gone = Finding.objects.filter(kind__in=kinds, closed_at=None, seen_at__lte=now).exclude(dedup_key__in=seen)
    return close(gone, now=now)


def close(findings: QuerySet[Finding], *, now: datetime, depth: int = 0) -> int:
    """Close these findings in the caller's transaction, and publish that as events of our own; return how many."""
    closing = list(findings.select_for_update().order_by("pk"))
    Finding.objects.filter(pk__in=[finding.pk for finding in closing]).update(closed_at=now)
    for finding in closing:
        log.info("finding:closed", kind=finding.kind, subject=finding.subject)
        own.publish(own.FINDING_CLOSED, key=str(finding.pk), detail=described(finding), now=now, depth=depth)
    return len(closing)


@dataclass(frozen=True)
class Told:
    """What a rule says is a problem. `key` is the call's: said again under the same key, nothing more happens."""

    cause: str  # the rule's name
    subject: str
    title: str
    note: str
    severity: Severity
    event_id: str
    key: str

    @property
    def dedup_key(self) -> str:
        return told_key(self.cause, self.subject)


def told_key(cause: str, subject: str) -> str:
    return f"{FindingKind.RULE.value}:{cause}:{subject}"


def open_told(told: Told, *, now: datetime, depth: int) -> int:
    """Open a finding because a rule says so, or refresh the open one of this rule and subject; return its number.

    Must be called in a transaction.
    """
    last = Finding.objects.filter(dedup_key=told.dedup_key).order_by("-pk").select_for_update().first()
    if last is not None and last.evidence.get("key") == told.key:
        return last.pk  # this call was made before, whatever became of the finding since
    seen = {"rule": told.cause, "title": told.title, "note": told.note, "event": told.event_id, "key": told.key}
    if last is not None and last.open:
        last.evidence = seen | {"events": last.evidence.get("events", 1) + 1}
        last.severity, last.seen_at = told.severity, now
        last.save(update_fields=["evidence", "severity", "seen_at"])
        return last.pk
    finding, new = Finding.objects.get_or_create(
        dedup_key=told.dedup_key,
        closed_at=None,
        defaults={
            "kind": FindingKind.RULE,
            "subject": told.subject,
            "severity": told.severity,
            "evidence": seen | {"events": 1},
            "opened_at": now,
            "seen_at": now,
        },
    )
    if new:
        tell_opened([finding], depth=depth)
    return finding.pk


def close_told(*, cause: str, subject: str, now: datetime, depth: int) -> int:
    """Close what a rule opened for this subject, in the caller's transaction; return how many findings that was."""
    open_ones = Finding.objects.filter(dedup_key=told_key(cause, subject), closed_at=None)
    return close(open_ones, now=now, depth=depth)


def close_by_hand(finding: Finding, actor: User, *, reason: str, now: datetime) -> bool:
    """Close what a rule opened, because a person says that it is done; False when it was closed before.

    Raises ValueError for findings that close by themselves.
    """
    if finding.kind != FindingKind.RULE:
        raise ValueError("This finding closes by itself when its cause is gone.")
    with transaction.atomic():
        closed = close(Finding.objects.filter(pk=finding.pk, closed_at=None), now=now)
        if closed:
            record_act(
                actor,
                CLOSE_FINDING,
                subject_kind="finding",
                subject_id=finding.dedup_key[:255],
                reason=reason,
                before={"open": True},
                after={"open": False},
                now=now,
            )
    return bool(closed)


def acknowledge(finding: Finding, actor: User, *, reason: str, now: datetime) -> None:
    """Write down that somebody sees to it. The finding stays open until its cause is gone."""
    with transaction.atomic():
        Finding.objects.filter(pk=finding.pk).update(acknowledged_at=now, acknowledged_by=actor)
        record_act(
            actor,
            ACKNOWLEDGE_FINDING,
            subject_kind="finding",
            subject_id=finding.dedup_key[:255],
            reason=reason,
            before={"acknowledged": finding.acknowledged_at is not None},
            after={"acknowledged": True},
            now=now,
        )
