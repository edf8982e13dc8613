"""Opening and closing findings: what is seen is open, what is seen no more is closed, and nobody need tidy up."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from django.db import DatabaseError, transaction

from accounts.models import User
from ops.audit import ACKNOWLEDGE_FINDING, record_act
from ops.remediation.models import Finding, FindingKind
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
    for finding in missing:
        log.warning("finding:opened", kind=finding.kind, subject=finding.subject, severity=finding.severity)
    return len(missing)


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
    count = gone.update(closed_at=now)
    if count:
        log.info("finding:closed", kinds=sorted(kinds), findings=count)
    return count


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
