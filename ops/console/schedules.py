"""What beat starts, and when it last did."""

from typing import Any

from django.contrib.admin import register
from django.http import HttpRequest
from django.utils.translation import gettext_lazy
from django_celery_beat.models import PeriodicTask
from unfold.contrib.filters.admin import BooleanRadioFilter
from unfold.decorators import display

from ops.console.readonly import ReadOnlyAdmin
from ops.console.site import console


@register(PeriodicTask, site=console)
class ScheduleAdmin(ReadOnlyAdmin):
    """Shown: the settings hold the schedule, and write it anew at each start of beat."""

    list_display = ("name", "task", "every", "enabled", "last_run_at")
    list_select_related = ("interval", "crontab", "solar", "clocked")
    list_filter = (("enabled", BooleanRadioFilter),)
    list_filter_submit = True
    search_fields = ("name", "task")
    fields = ("name", "task", "every", "enabled", "last_run_at", "description")
    readonly_fields = ("every",)

    @display(description=gettext_lazy("every"))
    def every(self, task: PeriodicTask) -> str:
        return str(task.interval or task.crontab or task.solar or task.clocked or "–")

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).order_by("name")
