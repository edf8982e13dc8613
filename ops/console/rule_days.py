"""Matches day by day, as small charts with their numbers."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db.models import Count
from django.db.models.functions import TruncDate
from django.utils import timezone

from ops.console.chart import Column, stack
from ops.models import Match

WIDTH, HEIGHT = 120, 28


@dataclass(frozen=True)
class Days:
    """The matches of one rule on each of the last days of the viewer's zone, today last."""

    days: tuple[tuple[date, int], ...]
    columns: tuple[Column, ...]

    @property
    def total(self) -> int:
        return sum(count for _day, count in self.days)

    @property
    def today(self) -> int:
        return self.days[-1][1]


def days_of(rules: Sequence[int], now: datetime, *, days: int = 14) -> dict[int, Days]:
    """Return the days of each of the rules: one query (index match_by_rule)."""
    zone = timezone.get_current_timezone()
    today = now.astimezone(zone).date()
    first = today - timedelta(days=days - 1)
    begins = datetime(first.year, first.month, first.day, tzinfo=zone)
    rows = (
        Match.objects.filter(rule__in=rules, matched_at__gte=begins)
        .annotate(day=TruncDate("matched_at", tzinfo=zone))
        .values_list("rule_id", "day")
        .annotate(n=Count("pk"))
        .order_by()
    )
    counts: dict[int, Counter[date]] = {rule: Counter() for rule in rules}
    for rule, day, count in rows:
        counts[rule][day] = count
    span = [first + timedelta(days=ahead) for ahead in range(days)]
    return {rule: chart_of([(day, counted[day]) for day in span]) for rule, counted in counts.items()}


def chart_of(days: Sequence[tuple[date, int]]) -> Days:
    rows = [{"matched": count} for _day, count in days]
    return Days(tuple(days), stack(rows, ("matched",), width=WIDTH, height=HEIGHT, gap=1.0))
