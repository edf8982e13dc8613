"""Numbers of the rules that stand in rows; see `billing.measures`."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from django.db.models import Count, Min
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from billing.inbox.models import InboxEvent, InboxState
from ops.rules.models import Delivery, DeliveryState


class RuleMeasures(Collector):
    """What waits for rules, what is to be called, what was given up: three statements, each answered from an index."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        settled = [InboxState.MIRRORED, InboxState.STORED]
        unasked = InboxEvent.objects.filter(state__in=settled, dispatched_at=None).count()
        yield GaugeMetricFamily("kessai_rules_waiting", "Events that no rule was asked about yet.", value=unasked)
        due = Delivery.objects.filter(state=DeliveryState.DUE).aggregate(calls=Count("pk"), oldest=Min("due_at"))
        age = max((self.now - due["oldest"]).total_seconds(), 0.0) if due["oldest"] else 0.0
        yield GaugeMetricFamily("kessai_rules_calls_due", "Calls of targets that are to be made.", value=due["calls"])
        yield GaugeMetricFamily("kessai_rules_oldest_due_seconds", "How late the latest call is.", value=age)
        dead = Delivery.objects.filter(state=DeliveryState.DEAD).count()
        yield GaugeMetricFamily("kessai_rules_dead_letters", "Calls that were given up.", value=dead)
