"""Filters that several lists have."""

from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import DropdownFilter

from billing.numerals import whole_number


class WithinFilter(DropdownFilter):
    """How long ago."""

    title = gettext_lazy("time")
    parameter_name = "within"
    column = "created_at"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("1", gettext_lazy("Last hour")),
            ("24", gettext_lazy("Last 24 hours")),
            ("168", gettext_lazy("Last 7 days")),
            ("720", gettext_lazy("Last 30 days")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        hours = whole_number(self.value())
        if hours is None:
            return queryset
        return queryset.filter(**{f"{self.column}__gt": timezone.now() - timedelta(hours=min(hours, 100_000))})
