"""What the pages on which rules and state machines are written have in common: fields, and who may open them."""

from typing import Any

from django import forms
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from billing.numerals import whole_number
from ops.console.readonly import PageAdmin
from ops.rules.models import NAME

MONO = {"class": "mono", "spellcheck": "false", "autocomplete": "off", "autocapitalize": "off"}


def text(rows: int, **attrs: str) -> UnfoldAdminTextareaWidget:
    return UnfoldAdminTextareaWidget(attrs={"rows": rows, **attrs})


def line(**attrs: str) -> UnfoldAdminTextInputWidget:
    return UnfoldAdminTextInputWidget(attrs=attrs)


class WrittenForm(forms.Form):
    """A name, what it is for, and why it is saved."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=64, validators=[NAME], widget=line(**MONO))
    notes = forms.CharField(
        label=gettext_lazy("What it is for"), required=False, max_length=4000, strip=True, widget=text(2)
    )
    reason = forms.CharField(
        label=gettext_lazy("Why"),
        help_text=gettext_lazy("Kept with this version, with your name."),
        error_messages={"required": gettext_lazy("Say in a few words why; it is kept with the version.")},
        max_length=1000,
        widget=text(2),
    )

    name_help: Any = ""  # with an example
    nameless: Any = ""  # what is said where there is none

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"].help_text = self.name_help
        self.fields["name"].error_messages["required"] = self.nameless


def seen_version(request: HttpRequest) -> int | None:
    """The version that the page showed; a page that told of another's version has seen that one too."""
    return whole_number(request.POST.get("seen_version"))


class WrittenAdmin(PageAdmin):
    """Rows that are written on a page of ours, by who may change them."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(self.permission(change=True))

    def permission(self, *, change: bool) -> str:
        return f"{self.opts.app_label}.{'change' if change else 'view'}_{self.opts.model_name}"

    def write_new(self, request: HttpRequest) -> HttpResponse:
        raise NotImplementedError

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        if object_id is None:
            if not self.has_add_permission(request):
                raise PermissionDenied
            return self.write_new(request)
        return super().changeform_view(request, object_id, form_url, extra_context)
