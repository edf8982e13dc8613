"""Pages that do change rows: what was changed, by whom and why is written down in the same transaction."""

from typing import Any, cast

from django import forms
from django.contrib.admin.widgets import RelatedFieldWidgetWrapper
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminTextareaWidget

from accounts.models import User
from ops.audit import record_act


class ReasonedForm(forms.ModelForm):  # type: ignore[type-arg]
    """A row's form that also asks why."""

    reason = forms.CharField(
        label=gettext_lazy("Why"),
        help_text=gettext_lazy("Written down with your name, what was before and what is after."),
        error_messages={"required": gettext_lazy("Say in a few words why; it is kept with the change.")},
        max_length=1000,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}),
    )


class AuditedAdmin(ModelAdmin):
    """Changes rows with a reason. Nothing is deleted here: a row that is gone cannot be told about."""

    form = ReasonedForm
    subject_kind = ""
    secret_fields: tuple[str, ...] = ()  # of these it is written down that they were changed, and no value

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Nobody is asked why who may only look."""
        fieldsets = super().get_fieldsets(request, obj)
        if obj is None or self.has_change_permission(request, obj):
            return fieldsets
        return [fieldset for fieldset in fieldsets if tuple(fieldset[1]["fields"]) != ("reason",)]

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Leave out the buttons that add related rows from here: they would ask for no reason."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field and isinstance(field.widget, RelatedFieldWidgetWrapper):
            field.widget = field.widget.widget
        return field

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Record the act after the last of it: Django saves a form and its relations in one transaction."""
        super().save_related(request, form, formsets, change)
        changed = [name for name in form.changed_data if name != "reason"]
        set_anew = {name: "•••" for name in changed if name in self.secret_fields}
        changed = [name for name in changed if name not in set_anew]
        record_act(
            cast(User, request.user),
            f"{self.opts.model_name}:{'change' if change else 'add'}",
            subject_kind=self.subject_kind or str(self.opts.model_name),
            subject_id=str(form.instance),
            reason=form.cleaned_data["reason"],
            before={name: plain(form.initial.get(name)) for name in changed} if change else {},
            after={name: plain(form.cleaned_data[name]) for name in changed}
            | set_anew
            | self.related_changes(formsets),
            now=timezone.now(),
        )

    def related_changes(self, formsets: Any) -> dict[str, Any]:
        """Return what is written down of the related rows that were changed with this one."""
        return {}


def plain(value: Any) -> Any:
    """Return a form's value as JSON can hold it; related rows by their names."""
    if isinstance(value, QuerySet | list | tuple | set):
        return sorted(str(member) for member in value)
    if isinstance(value, Model):
        return str(value)
    return value if isinstance(value, str | int | float | None) else str(value)
