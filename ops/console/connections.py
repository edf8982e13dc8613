"""Connections: credentials of API destinations. Secrets go in and never come out."""

from typing import Any, cast

from django import forms
from django.contrib.admin import register
from django.core.exceptions import ValidationError
from django.db.models import Count
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.admin import TabularInline
from unfold.decorators import display
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminTextInputWidget, UnfoldBooleanSwitchWidget

from ops.console.audited import AuditedAdmin, ReasonedForm
from ops.console.display import copyable, moment
from ops.console.site import console
from ops.effects.destinations.models import Authorization, Connection, ConnectionParameter
from ops.effects.destinations.validate import check_endpoint, check_identity, check_parameter, check_secret
from ops.effects.sealing import seal


def set_on(at: Any) -> str:
    """Say of a secret that it is there: all that is ever said of it."""
    if not at:
        return _("Not set yet.")
    return _("Set on %(when)s; leave empty to keep it.") % {"when": date_format(localtime(at), "DATETIME_FORMAT")}


class ConnectionForm(ReasonedForm):
    """A connection's form. The secret can be set and not be read."""

    secret = forms.CharField(
        label=gettext_lazy("Password, API key or client secret"),
        required=False,
        strip=False,
        max_length=4096,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "secret" in self.fields:
            self.fields["secret"].help_text = set_on(self.instance.secret_set_at)

    def clean(self) -> dict[str, Any]:
        said = cast(dict[str, Any], super().clean())
        authorization, secret = said.get("authorization", ""), said.get("secret", "")
        if not secret and not self.instance.sealed_secret:
            self.add_error("secret", _("Type the secret: nothing can be called without it."))
        self.check("secret", check_secret, secret)
        if "identity" in said:
            self.check("identity", check_identity, authorization, said["identity"], secret)
        if authorization == Authorization.OAUTH:
            if said.get("token_endpoint"):
                self.check("token_endpoint", check_endpoint, said["token_endpoint"], stars=False)
            else:
                self.add_error("token_endpoint", _("OAuth needs the address that tokens are asked for."))
        return said

    def check(self, field: str, checker: Any, *args: Any, **kwargs: Any) -> None:
        try:
            checker(*args, **kwargs)
        except ValidationError as error:
            self.add_error(field, error)

    def save(self, commit: bool = True) -> Any:
        if secret := self.cleaned_data.get("secret"):
            self.instance.sealed_secret, self.instance.secret_set_at = seal(secret), timezone.now()
        return super().save(commit)


class ParameterForm(forms.ModelForm):  # type: ignore[type-arg]
    """A parameter's line. A secret value is written over and not shown."""

    value = forms.CharField(
        label=gettext_lazy("value"), required=False, max_length=2048, strip=False, widget=UnfoldAdminTextInputWidget
    )

    class Meta:
        model = ConnectionParameter
        fields = ("place", "name", "value", "secret")
        widgets = {"secret": UnfoldBooleanSwitchWidget}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.sealed_value and "value" in self.fields:
            self.fields["value"].widget.attrs["placeholder"] = _("Set; empty keeps it")

    def clean(self) -> dict[str, Any]:
        said = cast(dict[str, Any], super().clean())
        keeps = bool(said.get("secret") and self.instance.sealed_value)
        if not said.get("value") and not keeps and "name" in said:
            self.add_error("value", _("Type a value."))
        if {"place", "name"} <= set(said):
            try:
                check_parameter(said["place"], said["name"], said.get("value", ""))
                check_secret(said.get("value", "") if said.get("secret") else "")
            except ValidationError as error:
                self.add_error("name", error)
        return said

    def save(self, commit: bool = True) -> Any:
        row, value = self.instance, self.cleaned_data.get("value", "")
        row.set_at = timezone.now()
        if self.cleaned_data.get("secret"):
            row.sealed_value = seal(value) if value else row.sealed_value
            row.value = ""
        else:
            row.value, row.sealed_value = value, ""
        return super().save(commit)


class ParameterInline(TabularInline):
    model = ConnectionParameter
    form = ParameterForm
    extra = 0
    fields = ("place", "name", "value", "secret")
    verbose_name_plural = gettext_lazy("What goes with every request")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("ops.view_connection")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("ops.change_connection")

    has_add_permission = has_delete_permission = has_change_permission


@register(Connection, site=console)
class ConnectionAdmin(AuditedAdmin):
    form = ConnectionForm
    inlines = (ParameterInline,)
    secret_fields = ("secret",)
    list_display = ("name", "authorization", "identity_shown", "secret_shown", "used_by")
    search_fields = ("name", "identity", "description")
    search_help_text = gettext_lazy("Name or identity")
    ordering = ("name",)
    fieldsets = (
        (None, {"fields": ("name", "description")}),
        (gettext_lazy("Who is calling"), {"fields": ("authorization", "identity", "secret")}),
        (
            gettext_lazy("For OAuth"),
            {"fields": ("token_endpoint", ("token_method", "client_place")), "classes": ("oauth",)},
        ),
        (gettext_lazy("The record"), {"fields": ("reason",)}),
    )

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).annotate(used=Count("destinations"))

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        if "identity" in form.base_fields:
            form.base_fields["identity"].help_text = _(
                "The user name, the name of the API key's header, or the OAuth client id."
            )
        return form

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Who may only look sees when the secret was set in the place where others set it."""
        fieldsets = super().get_fieldsets(request, obj)
        if obj is None or self.has_change_permission(request, obj):
            return fieldsets
        shown = {"authorization": "authorization", "identity": "identity_shown", "secret": "secret_shown"}
        return [
            (name, {**said, "fields": [shown.get(field, field) for field in said["fields"]]})
            for name, said in fieldsets
        ]

    def related_changes(self, formsets: Any) -> dict[str, Any]:
        """Write down which parameters were set and taken away; of secret ones no value."""
        rows = {"set": [], "removed": []}  # type: dict[str, list[str]]
        for formset in formsets:
            for row in [*formset.new_objects, *(changed for changed, _fields in formset.changed_objects)]:
                rows["set"].append(f"{row.place} {row.name}" + ("" if row.secret else f" = {row.value}"))
            rows["removed"] += [f"{row.place} {row.name}" for row in formset.deleted_objects]
        return {f"parameters {verb}": names for verb, names in rows.items() if names}

    @display(description=gettext_lazy("identity"), ordering="identity")
    def identity_shown(self, connection: Connection) -> SafeString:
        return copyable(connection.identity)

    @display(description=gettext_lazy("secret set"), ordering="secret_set_at")
    def secret_shown(self, connection: Connection) -> SafeString:
        if not connection.sealed_secret:
            return format_html('<span class="pill attention">{}</span>', _("needs its secret"))
        return moment(connection.secret_set_at)

    @display(description=gettext_lazy("destinations"), ordering="used")
    def used_by(self, connection: Connection) -> SafeString:
        return format_html('<span class="figure">{}</span>', getattr(connection, "used", 0))
