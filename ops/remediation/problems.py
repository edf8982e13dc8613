"""Looking at rows for problems. Each detector answers for its own kinds of findings, and reads few rows.

Nothing here writes. Ages and limits are such that what mends itself is not yet a problem.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, Max, Min, Q
from django_celery_beat.models import PeriodicTask

from billing.mirror.history import DriftCheck
from billing.models import ArchivedHour, AsideMessage, InboxEvent, InboxState, PollCursor, PollState
from billing.retention.keep import behind
from ops.effects.destinations.models import DestinationHealth
from ops.effects.mail.models import Mail, MailState
from ops.remediation.models import FindingKind, Severity
from ops.rules.models import Delivery, DeliveryState, Rule, RuleState
from ops.workflows.asl.history import MOST_EVENTS
from ops.workflows.models import Execution, Status

OVERDUE_AFTER = timedelta(minutes=2)  # the sweep looks every 15 seconds
LATE_AFTER = timedelta(minutes=30)  # after eight attempts, some twenty minutes, one event is given up
FAILING_AFTER = 5  # polls in a row
# Beat writes down when a task last ran every three minutes or so (django-celery-beat's scheduler).
BEAT_SILENT_AFTER = timedelta(minutes=6)
SWEEP = "sweep-inbox"
ARCHIVE_LATE_AFTER = timedelta(days=1)  # it is due every hour
RULES_LATE_AFTER = timedelta(minutes=2)
MAIL_LATE_AFTER = timedelta(hours=1)  # a call is tried for some twenty minutes, then as its workflow says
LOOPS_SEEN_FOR = timedelta(days=1)
CAUSES = 50  # of failed events that are told apart
SAMPLE = 2_000  # failed events that are looked at for their causes
EXAMPLES = 5


@dataclass(frozen=True)
class Problem:
    """What a detector sees now. `subject` tells problems of one kind apart."""

    kind: FindingKind
    severity: Severity
    subject: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)

    @property
    def dedup_key(self) -> str:
        return f"{self.kind.value}:{self.subject}"


Detector = Callable[[datetime], Iterable[Problem]]


def failed_events(now: datetime) -> Iterator[Problem]:
    """Events that were given up, one problem for each cause: thousands that fail alike are one thing to mend."""
    failed = InboxEvent.objects.filter(state=InboxState.FAILED).order_by("-received_at")
    seen = failed.values_list("external_id", "owner", "object_kind", "object_id", "error", "received_at")[:SAMPLE]
    causes: dict[str, list[tuple[Any, ...]]] = {}
    for row in seen:
        causes.setdefault(cause_of(owner=row[1], kind=row[2], error=row[4]), []).append(row)
    for cause, rows in list(causes.items())[:CAUSES]:
        newest = rows[0]
        evidence = {
            "events": len(rows),
            "more_may_be": len(seen) == SAMPLE,
            "account": newest[1],
            "kind": newest[2],
            "error": newest[4],
            "since": min(row[5] for row in rows).isoformat(),
            "examples": [{"event": row[0], "object": row[3]} for row in rows[:EXAMPLES]],
        }
        yield Problem(FindingKind.EVENTS_FAILED, Severity.URGENT, cause, evidence)


def cause_of(*, owner: str, kind: str, error: str) -> str:
    """Return what failed alike: account, kind of object and the error's name; its words name single objects."""
    name = error.partition(":")[0].strip()[:80] or "unknown"
    return f"{owner or 'primary'} {kind or 'unknown'} {name}"


def late_mirror(now: datetime) -> Iterator[Problem]:
    """Events that are due and that nobody looks at, or that have waited for long."""
    waiting = InboxEvent.objects.filter(state=InboxState.RECEIVED)
    facts = waiting.aggregate(
        waiting=Count("pk"),
        overdue=Count("pk", filter=Q(due_at__lt=now - OVERDUE_AFTER)),
        due_since=Min("due_at"),
        received_since=Min("received_at"),
    )
    stuck = facts["overdue"] > 0
    slow = facts["received_since"] is not None and facts["received_since"] < now - LATE_AFTER
    if not (stuck or slow):
        return
    error = waiting.exclude(error="").order_by("-received_at").values_list("error", flat=True).first() if slow else ""
    yield Problem(
        FindingKind.MIRROR_LATE,
        Severity.URGENT,
        evidence={
            "waiting": facts["waiting"],
            "overdue": facts["overdue"],
            "received_since": facts["received_since"].isoformat(),
            "error": error or "",
        },
    )


def drift(now: datetime) -> Iterator[Problem]:
    """Kinds of objects that differed from Stripe in the last check of their account."""
    done = DriftCheck.objects.filter(finished_at__isnull=False).order_by("owner", "-started_at").distinct("owner")
    for check in done:
        for kind, counts in sorted(check.per_kind.items()):
            if not counts.get("differing"):
                continue
            left = counts["differing"] - counts.get("healed", 0)
            evidence = {**counts, "account": check.owner, "kind": kind, "check": check.pk, "left": left}
            evidence["examples"] = list(
                check.differences.filter(kind=kind).values_list("object_id", flat=True).distinct()[:EXAMPLES]
            )
            severity = Severity.URGENT if left else Severity.ATTENTION
            yield Problem(FindingKind.DRIFT, severity, f"{check.owner or 'primary'} {kind}", evidence)


def polls(now: datetime) -> Iterator[Problem]:
    for cursor in PollCursor.objects.order_by("owner", "livemode", "form"):
        evidence = {
            "account": cursor.owner,
            "mode": "live" if cursor.livemode else "test",
            "events": cursor.form,
            "read_until": (cursor.read_until or cursor.started_at).isoformat(),
            "failures": cursor.failures,
            "error": cursor.error,
        }
        if cursor.is_old(now):
            yield Problem(FindingKind.POLL_OLD, Severity.URGENT, str(cursor), evidence)
        elif cursor.state == PollState.FAILING and cursor.failures >= FAILING_AFTER:
            yield Problem(FindingKind.POLL_FAILING, Severity.ATTENTION, str(cursor), evidence)


def messages_aside(now: datetime) -> Iterator[Problem]:
    queues = AsideMessage.objects.order_by("queue").values("queue").annotate(count=Count("pk"), last=Max("received_at"))
    for queue in queues:
        last = AsideMessage.objects.filter(queue=queue["queue"]).defer("body").order_by("-received_at")[:EXAMPLES]
        evidence = {
            "queue": queue["queue"],
            "messages": queue["count"],
            "last": queue["last"].isoformat(),
            "reasons": sorted({str(message.reason) for message in last}),
        }
        yield Problem(FindingKind.MESSAGES_ASIDE, Severity.ATTENTION, queue["queue"], evidence)


def archive_behind(now: datetime) -> Iterator[Problem]:
    """Payloads that should have gone to the archive long ago: it does not answer, or takes too little at a time."""
    late = behind(now=now) if settings.INBOX_ARCHIVE_BUCKET else timedelta()
    if late > ARCHIVE_LATE_AFTER:
        last = ArchivedHour.objects.order_by("-archived_at").values_list("archived_at", flat=True).first()
        evidence = {
            "bucket": settings.INBOX_ARCHIVE_BUCKET,
            "hours": int(late.total_seconds() // 3600),
            "last": last.isoformat() if last else "",
        }
        yield Problem(FindingKind.ARCHIVE_BEHIND, Severity.ATTENTION, settings.INBOX_ARCHIVE_BUCKET, evidence)


def silent_beat(now: datetime) -> Iterator[Problem]:
    """Beat has run before and has not for longer than it may. Seen by whoever looks, as beat itself cannot."""
    last = last_sweep()
    if last is not None and now - last > BEAT_SILENT_AFTER:
        yield Problem(FindingKind.BEAT_SILENT, Severity.URGENT, evidence={"last_run": last.isoformat()})


def destinations_away(now: datetime) -> Iterator[Problem]:
    """API destinations that are left alone because they failed too often in a row."""
    away = DestinationHealth.objects.filter(opened_at__isnull=False).select_related("destination")
    for health in away.order_by("opened_at"):
        evidence = {
            "destination": health.destination.name,
            "id": health.pk,
            "failures": health.failures,
            "since": (health.opened_at or now).isoformat(),
            "next_trial": (health.probe_at or now).isoformat(),
            "error": health.last_error,
        }
        yield Problem(FindingKind.DESTINATION_AWAY, Severity.ATTENTION, health.destination.name, evidence)


def last_sweep() -> datetime | None:
    row = PeriodicTask.objects.filter(name=SWEEP).only("last_run_at").first()
    return row.last_run_at if row else None


def dead_letters(now: datetime) -> Iterator[Problem]:
    """Calls of rules' targets that were given up, one problem for each target of a rule."""
    dead = Delivery.objects.filter(state=DeliveryState.DEAD)
    counted = dead.values("rule_name", "target_name").annotate(calls=Count("pk"), since=Min("finished_at"))
    for group in counted.order_by("rule_name", "target_name"):
        of_target = dead.filter(rule_name=group["rule_name"], target_name=group["target_name"])
        last = list(of_target.select_related("match").order_by("-finished_at")[:EXAMPLES])
        evidence = {
            "rule": group["rule_name"],
            "target": group["target_name"],
            "calls": group["calls"],
            "since": group["since"].isoformat() if group["since"] else "",
            "error": last[0].error if last else "",
            "examples": [{"call": call.pk, "event": call.match.event_id} for call in last],
        }
        yield Problem(
            FindingKind.DEAD_LETTERS, Severity.URGENT, f"{group['rule_name']} {group['target_name']}", evidence
        )


def late_rules(now: datetime) -> Iterator[Problem]:
    """Events that no rule was asked about though rules are on, or calls that are due and that nobody makes."""
    late = now - RULES_LATE_AFTER
    unasked = InboxEvent.objects.filter(
        state__in=[InboxState.MIRRORED, InboxState.STORED], dispatched_at=None, received_at__lt=late
    )
    events = unasked.count() if Rule.objects.exclude(state=RuleState.OFF).exists() else 0
    due = Delivery.objects.filter(state=DeliveryState.DUE, due_at__lt=late)
    calls = due.count()
    if events or calls:
        moments = [unasked.aggregate(at=Min("received_at"))["at"] if events else None]
        moments.append(due.aggregate(at=Min("due_at"))["at"] if calls else None)
        since = min(moment for moment in moments if moment)
        evidence = {"events": events, "calls": calls, "since": since.isoformat()}
        yield Problem(FindingKind.RULES_LATE, Severity.URGENT, evidence=evidence)


def rule_loops(now: datetime) -> Iterator[Problem]:
    """Events of our own that were taken for the end of a loop and matched no more, by their type."""
    ended = InboxEvent.objects.filter(
        depth__gt=0, depth__gte=settings.RULES_LONGEST_CHAIN, received_at__gte=now - LOOPS_SEEN_FOR
    )
    for group in ended.values("type").annotate(events=Count("pk"), last=Max("received_at")).order_by("type"):
        examples = ended.filter(type=group["type"]).order_by("-received_at")[:EXAMPLES]
        evidence = {
            "type": group["type"],
            "events": group["events"],
            "last": group["last"].isoformat(),
            "longest": settings.RULES_LONGEST_CHAIN,
            "examples": [{"event": event.external_id} for event in examples.only("external_id")],
        }
        yield Problem(FindingKind.RULE_LOOP, Severity.ATTENTION, group["type"], evidence)


def execution_loops(now: datetime) -> Iterator[Problem]:
    """Executions that were stopped because their histories were full: they went round, one problem a machine."""
    ended = Execution.objects.filter(
        status=Status.FAILED, finished_at__gte=now - LOOPS_SEEN_FOR, events__gte=MOST_EVENTS
    )
    for group in ended.values("machine__name").annotate(executions=Count("pk"), last=Max("finished_at")):
        name = group["machine__name"]
        examples = ended.filter(machine__name=name).order_by("-finished_at")[:EXAMPLES]
        evidence = {
            "machine": name,
            "executions": group["executions"],
            "last": group["last"].isoformat(),
            "longest": MOST_EVENTS,
            "examples": [{"execution": execution.name} for execution in examples.only("name")],
        }
        yield Problem(FindingKind.EXECUTION_LOOP, Severity.URGENT, name, evidence)


def mails_refused(now: datetime) -> Iterator[Problem]:
    """Mails that the mail server refused for good, or that had no address: one problem an organization and address."""
    refused = Mail.objects.filter(state=MailState.REFUSED)
    groups = refused.values("organization", "to").annotate(mails=Count("pk"), since=Min("written_at"))
    for group in groups.order_by("-since")[:CAUSES]:
        last = refused.filter(organization=group["organization"], to=group["to"]).select_related("organization")
        mail = last.order_by("-written_at").first()
        if mail is None:
            continue
        evidence = {
            "organization": mail.organization.public_id,
            "name": mail.organization.name,
            "to": mail.to,
            "mails": group["mails"],
            "since": group["since"].isoformat(),
            "letter": mail.template,
            "error": mail.error,
        }
        subject = f"{mail.organization.public_id} {mail.to}".strip()
        yield Problem(FindingKind.MAILS_REFUSED, Severity.URGENT, subject, evidence)


def mails_waiting(now: datetime) -> Iterator[Problem]:
    """Mails that are to be sent for longer than trying again takes: the mail server is away, or turns us away."""
    waiting = Mail.objects.filter(state=MailState.DUE, written_at__lt=now - MAIL_LATE_AFTER)
    facts = waiting.aggregate(mails=Count("pk"), since=Min("written_at"))
    if not facts["mails"]:
        return
    last = waiting.exclude(error="").order_by("-written_at").values_list("error", flat=True).first()
    evidence = {"mails": facts["mails"], "since": facts["since"].isoformat(), "error": last or ""}
    yield Problem(FindingKind.MAILS_WAITING, Severity.ATTENTION, evidence=evidence)


# Which kinds each detector answers for: where it cannot look, its findings stay as they are.
DETECTORS: Mapping[Detector, frozenset[FindingKind]] = {
    failed_events: frozenset({FindingKind.EVENTS_FAILED}),
    late_mirror: frozenset({FindingKind.MIRROR_LATE}),
    drift: frozenset({FindingKind.DRIFT}),
    polls: frozenset({FindingKind.POLL_OLD, FindingKind.POLL_FAILING}),
    messages_aside: frozenset({FindingKind.MESSAGES_ASIDE}),
    archive_behind: frozenset({FindingKind.ARCHIVE_BEHIND}),
    silent_beat: frozenset({FindingKind.BEAT_SILENT}),
    dead_letters: frozenset({FindingKind.DEAD_LETTERS}),
    late_rules: frozenset({FindingKind.RULES_LATE}),
    rule_loops: frozenset({FindingKind.RULE_LOOP}),
    execution_loops: frozenset({FindingKind.EXECUTION_LOOP}),
    destinations_away: frozenset({FindingKind.DESTINATION_AWAY}),
    mails_refused: frozenset({FindingKind.MAILS_REFUSED}),
    mails_waiting: frozenset({FindingKind.MAILS_WAITING}),
}
