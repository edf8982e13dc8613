"""Numbers that stand in rows, read when Prometheus asks: right whichever process answers, and after any restart."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from django.db.models import Count, Min, Q
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from billing.inbox.models import AsideMessage, InboxEvent, InboxState, PollCursor
from billing.mirror.history import DriftCheck


class RowMeasures(Collector):
    """What waits, what failed, how old the oldest of it is: five statements, each answered from an index."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        yield from waiting(self.now)
        failed = InboxEvent.objects.filter(state=InboxState.FAILED).count()
        yield GaugeMetricFamily("kessai_inbox_failed", "Events that wait for a person.", value=failed)
        aside = AsideMessage.objects.count()
        yield GaugeMetricFamily("kessai_aside_kept", "Queue messages that stand aside.", value=aside)
        yield poll_age(self.now)
        yield last_drift()


def waiting(now: datetime) -> Iterator[Metric]:
    facts = InboxEvent.objects.filter(state=InboxState.RECEIVED).aggregate(
        due=Count("pk", filter=Q(due_at__lte=now)), later=Count("pk", filter=Q(due_at__gt=now)), oldest=Min("due_at")
    )
    age = max((now - facts["oldest"]).total_seconds(), 0.0) if facts["oldest"] else 0.0
    yield GaugeMetricFamily("kessai_inbox_due", "Events that the mirror may look at now.", value=facts["due"])
    yield GaugeMetricFamily("kessai_inbox_later", "Events that are tried again later.", value=facts["later"])
    yield GaugeMetricFamily("kessai_inbox_oldest_due_seconds", "How long the longest due event has waited.", value=age)


def poll_age(now: datetime) -> Metric:
    labels = ["account", "mode", "events"]
    family = GaugeMetricFamily("kessai_poll_age_seconds", "How far the events API was read, ago.", labels=labels)
    for cursor in PollCursor.objects.order_by("owner", "livemode", "form"):
        age = (now - (cursor.read_until or cursor.started_at)).total_seconds()
        family.add_metric([cursor.owner, "live" if cursor.livemode else "test", cursor.form], max(age, 0.0))
    return family


def last_drift() -> Metric:
    """Of each account's last check that came to its end."""
    family = GaugeMetricFamily("kessai_drift_unhealed", "Objects that differ from Stripe.", labels=["account", "kind"])
    done = DriftCheck.objects.filter(finished_at__isnull=False).order_by("owner", "-started_at")
    for check in done.distinct("owner"):
        for kind, counts in sorted(check.per_kind.items()):
            family.add_metric([check.owner, kind], unhealed(counts))
    return family


def unhealed(counts: dict[str, Any]) -> int:
    return int(counts.get("differing", 0)) - int(counts.get("healed", 0))
