"""The page on which a state machine is written: its definition as JSON, checked and drawn while it is typed."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST
from unfold.widgets import UnfoldAdminIntegerFieldWidget

from accounts.models import User
from ops.console.site import console
from ops.console.workflows.picture import Picture, drawing_in, plain_picture
from ops.console.written import WrittenForm, seen_version
from ops.models import StateMachine
from ops.rules.places import place_at, values_in
from ops.workflows.asl.validate import Fault, InvalidDefinition, check_text
from ops.workflows.machines import ChangedMeanwhile, save_version

SHOWN_FAULTS = 50
INDEX = re.compile(r"\[(\d+)\]")
FIRST = """{
  "Comment": "What it repairs, in a sentence",
  "StartAt": "Begin",
  "States": {
    "Begin": {"Type": "Pass", "End": true}
  }
}"""


class MachineForm(WrittenForm):
    name_help = gettext_lazy("Letters, digits, dots, hyphens and underscores; for example refund-duplicates.")
    nameless = gettext_lazy("Give the state machine a name.")

    definition = forms.CharField(
        label=gettext_lazy("Definition"),
        strip=False,
        error_messages={"required": gettext_lazy("Write a definition in the Amazon States Language.")},
    )
    percent = forms.IntegerField(
        label=gettext_lazy("Percent of new executions that run it"),
        help_text=gettext_lazy("100: it becomes the current version. Fewer: it is tried beside the current one."),
        min_value=1,
        max_value=100,
        initial=100,
        widget=UnfoldAdminIntegerFieldWidget(),
    )

    def __init__(self, *args: Any, machine: StateMachine | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if machine:  # its name is how rules and callers know it
            del self.fields["name"]

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if StateMachine.objects.filter(name=name).exists():
            raise forms.ValidationError(
                _("There is a state machine of this name: edit that one, or take another name.")
            )
        return name


@dataclass(frozen=True)
class Shown:
    """A fault with where it stands in the text."""

    fault: Fault
    line: int | None


@dataclass(frozen=True)
class Checked:
    """A definition as it stands: what is wrong with it, and how it looks where nothing is."""

    errors: tuple[Shown, ...]
    warnings: tuple[Shown, ...]
    more: int
    picture: Picture | None
    states: int


def checked(definition: str) -> Checked:
    faults, read = check_text(definition)
    lines = lines_of(definition) if faults and read is not None else {}
    placed = [Shown(fault, nearest(fault.path, lines)) for fault in faults]
    shown = sorted(placed, key=lambda one: one.line or 0)[:SHOWN_FAULTS]
    errors = tuple(one for one in shown if one.fault.severity == "ERROR")
    wrong = any(fault.severity == "ERROR" for fault in faults)
    drawing = drawing_in(definition) if read is not None and not wrong else None
    return Checked(
        errors=errors,
        warnings=tuple(one for one in shown if one.fault.severity != "ERROR"),
        more=len(faults) - len(shown),
        picture=plain_picture(drawing) if drawing else None,
        states=sum(1 for node in drawing.nodes if node.kind) if drawing else 0,
    )


def lines_of(definition: str) -> Mapping[str, int]:
    """On which line each value of a JSON text begins, by its path as `fault.path` writes it."""
    walk = values_in(definition, 0, "")
    return {INDEX.sub(r"/\1", f"/{name}".replace(".", "/")): place_at(definition, at).line for name, at in walk}


def nearest(path: str, lines: Mapping[str, int]) -> int | None:
    """The line of what a path names; of what is not there, of what is around it."""
    while path:
        if path in lines:
            return lines[path]
        path = path.rpartition("/")[0]
    return None


def edit(request: HttpRequest, machine: StateMachine | None) -> HttpResponse:
    """Show the editor, or save what was typed as a new version; whatever is wrong, what was typed stays."""
    if request.method != "POST":
        return page(request, machine, MachineForm(initial=initial_of(machine), machine=machine))
    if not request.user.has_perm("ops.change_statemachine"):
        raise PermissionDenied
    form = MachineForm(request.POST, machine=machine)
    saved = save(request, machine, form) if form.is_valid() else None
    if saved is None:
        return page(request, machine, form, status=422)
    messages.success(request, _("Saved as version %(n)d.") % {"n": saved.number})
    return redirect("admin:ops_statemachine_change", saved.machine_id)


def initial_of(machine: StateMachine | None) -> dict[str, Any]:
    if machine is None:
        return {"definition": FIRST, "percent": 100}
    latest = machine.versions.order_by("-number").first()
    return {"definition": pretty(latest.definition) if latest else FIRST, "notes": machine.notes, "percent": 100}


def pretty(definition: str) -> str:
    """A definition that was written on one line, on many."""
    return definition if "\n" in definition else json.dumps(json.loads(definition), indent=2, ensure_ascii=False)


def save(request: HttpRequest, machine: StateMachine | None, form: MachineForm) -> Any:
    """Return the saved version; None when something is wrong, which then stands in the form."""
    data = form.cleaned_data
    try:
        saved = save_version(
            machine.name if machine else data["name"],
            data["definition"],
            reason=data["reason"],
            now=timezone.now(),
            actor=cast(User, request.user),
            notes=data["notes"],
            percent=data["percent"],
            seen_version=seen_version(request) if machine else None,
        )
    except InvalidDefinition:
        form.add_error("definition", _("It is no definition yet: what is wrong stands beside it, each with its line."))
        return None
    except ChangedMeanwhile:
        sentence = _(
            "Somebody else has saved a version since you opened this one. What you typed is still here: look at their "
            "version, then save again to put yours on top."
        )
        form.add_error(None, sentence)
        return None
    if machine and machine.notes != data["notes"]:
        StateMachine.objects.filter(pk=machine.pk).update(notes=data["notes"])
    return saved


def page(request: HttpRequest, machine: StateMachine | None, form: MachineForm, *, status: int = 200) -> HttpResponse:
    definition = str(form["definition"].value() or "")
    latest = machine.versions.order_by("-number").first() if machine else None
    context = {
        **console.each_context(request),
        "title": machine.name if machine else _("New state machine"),
        "machine": machine,
        "latest": latest,
        "form": form,
        "definition": definition,
        "checked": checked(definition),
        "may_change": request.user.has_perm("ops.change_statemachine"),
        "opts": StateMachine._meta,
    }
    return TemplateResponse(request, "ops/workflows/editor.html", context, status=status)


@require_POST
def check(request: HttpRequest) -> HttpResponse:
    """The definition was typed: say what is wrong with it, or draw it."""
    context = {"checked": checked(request.POST.get("definition", ""))}
    return render(request, "ops/workflows/checked.html", context)
