"""What beat starts, and when it last did."""

from datetime import timedelta
from typing import Any

from django.contrib.admin import register
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django_celery_beat.models import PeriodicTask
from unfold.contrib.filters.admin import BooleanRadioFilter
from unfold.decorators import display

from ops.console.columns import shown
from ops.console.display import span
from ops.console.readonly import ReadOnlyAdmin
from ops.console.site import console

NAME = shown("name", gettext_lazy("name"))
TASK = shown("task", gettext_lazy("task"))
ENABLED = shown("enabled", gettext_lazy("on"))
LAST_RUN = shown("last_run_at", gettext_lazy("last started"))


@register(PeriodicTask, site=console)
class ScheduleAdmin(ReadOnlyAdmin):
    """Shown: the settings hold the schedule, and write it anew at each start of beat."""

    list_display = (NAME, TASK, "every", ENABLED, LAST_RUN)
    list_select_related = ("interval", "crontab", "solar", "clocked")
    list_filter = (("enabled", BooleanRadioFilter),)
    list_filter_submit = True
    search_fields = ("name", "task")
    fields = list_display
    readonly_fields = fields

    @display(description=gettext_lazy("every"))
    def every(self, task: PeriodicTask) -> str:
        if task.interval:
            return _("every %(span)s") % {"span": span(timedelta(**{task.interval.period: task.interval.every}))}
        return str(task.crontab or task.solar or task.clocked or "–")

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).order_by("name")
