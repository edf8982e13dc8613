"""The form by which a rule is written: its fields, its targets, and the rule that they make, saved or not."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from django import forms
from django.forms import BaseFormSet, formset_factory
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from billing.stripe_accounts import configured
from ops.models import Mode, Rule, RuleState, Target, TargetKind
from ops.rules.models import NAME

ALL, PRIMARY = "-all", "-primary"  # as choices; no account can have these names
MONO = {"class": "mono", "spellcheck": "false", "autocomplete": "off", "autocapitalize": "off"}
WHOLE, CONSTANT, PART, TEMPLATE = "whole", "constant", "part", "template"
INPUTS = {
    WHOLE: gettext_lazy("the whole event"),
    PART: gettext_lazy("a part of it"),
    TEMPLATE: gettext_lazy("a template filled from it"),
    CONSTANT: gettext_lazy("the same each time"),
}


def text(rows: int, **attrs: str) -> UnfoldAdminTextareaWidget:
    return UnfoldAdminTextareaWidget(attrs={"rows": rows, **attrs})


def line(**attrs: str) -> UnfoldAdminTextInputWidget:
    return UnfoldAdminTextInputWidget(attrs=attrs)


class RuleForm(forms.Form):
    name = forms.CharField(
        label=gettext_lazy("Name"),
        help_text=gettext_lazy("Letters, digits, dots, hyphens and underscores; for example late-large-invoices."),
        max_length=64,
        validators=[NAME],
        error_messages={"required": gettext_lazy("Give the rule a name.")},
        widget=line(**MONO),
    )
    notes = forms.CharField(
        label=gettext_lazy("What it is for"), required=False, max_length=4000, strip=True, widget=text(2)
    )
    pattern = forms.CharField(
        label=gettext_lazy("Pattern"),
        required=True,
        strip=False,
        error_messages={"required": gettext_lazy("Write a pattern, or tick fields of an event.")},
        widget=text(16, **MONO),
    )
    owner = forms.ChoiceField(label=gettext_lazy("Stripe account"), required=False, widget=UnfoldAdminSelectWidget)
    mode = forms.ChoiceField(
        label=gettext_lazy("Mode"), choices=Mode.choices, required=False, widget=UnfoldAdminSelectWidget
    )
    state = forms.ChoiceField(label=gettext_lazy("State"), choices=RuleState.choices, widget=UnfoldAdminSelectWidget)
    reason = forms.CharField(
        label=gettext_lazy("Why"),
        help_text=gettext_lazy("Kept with this version, with your name."),
        error_messages={"required": gettext_lazy("Say in a few words why; it is kept with the rule.")},
        max_length=1000,
        widget=text(2),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = [account.name for account in configured()]
        choices = [(name or PRIMARY, name or _("primary")) for name in names]
        owner: Any = self.fields["owner"]
        owner.choices = [(ALL, _("all")), *choices]

    @property
    def has_accounts(self) -> bool:
        """Whether there is an account to choose."""
        return len(self.fields["owner"].choices) > 2  # type: ignore[attr-defined]


class TargetForm(forms.Form):
    name = forms.CharField(label=gettext_lazy("Name"), max_length=64, validators=[NAME], widget=line(**MONO))
    kind = forms.ChoiceField(label=gettext_lazy("What"), choices=TargetKind.choices, widget=UnfoldAdminSelectWidget)
    arn = forms.CharField(
        label=gettext_lazy("Resource (ARN)"),
        required=False,
        max_length=1600,
        help_text=gettext_lazy("Needed, but for activities and findings."),
        widget=line(list="known-resources", **MONO),
    )
    given = forms.ChoiceField(
        label=gettext_lazy("It is given"), choices=list(INPUTS.items()), initial=WHOLE, widget=forms.RadioSelect
    )
    input = forms.CharField(label=gettext_lazy("Constant (JSON)"), required=False, strip=False, widget=text(3, **MONO))
    input_path = forms.CharField(
        label=gettext_lazy("Path"), required=False, max_length=256, widget=line(placeholder="$.detail.data", **MONO)
    )
    input_paths_map = forms.CharField(
        label=gettext_lazy("Paths, one a line: name = path"),
        required=False,
        widget=text(3, placeholder="id = $.detail.data.object.id", **MONO),
    )
    input_template = forms.CharField(
        label=gettext_lazy("Template"),
        required=False,
        strip=False,
        widget=text(4, placeholder='{"invoice": <id>}', **MONO),
    )
    parameters = forms.CharField(
        label=gettext_lazy("Parameters of the kind (JSON)"), required=False, widget=text(2, **MONO)
    )
    max_age_seconds = forms.IntegerField(
        label=gettext_lazy("Longest age, seconds"),
        min_value=60,
        max_value=86_400,
        required=False,
        widget=UnfoldAdminIntegerFieldWidget,
    )
    max_retries = forms.IntegerField(
        label=gettext_lazy("Most retries"),
        min_value=0,
        max_value=185,
        required=False,
        widget=UnfoldAdminIntegerFieldWidget,
    )
    dead_letter_arn = forms.CharField(
        label=gettext_lazy("Dead-letter queue on AWS (ARN)"), required=False, max_length=1600, widget=line(**MONO)
    )

    def clean_input_paths_map(self) -> dict[str, str]:
        try:
            return read_paths(self.cleaned_data["input_paths_map"])
        except ValueError as error:
            raise forms.ValidationError(str(error))

    def clean_parameters(self) -> dict[str, Any]:
        written = self.cleaned_data["parameters"].strip()
        try:
            parameters = json.loads(written or "{}")
        except ValueError:
            raise forms.ValidationError(_("This is not JSON."))
        if not isinstance(parameters, dict):
            raise forms.ValidationError(_("Write a JSON object."))
        return parameters

    def target(self, position: int) -> Target:
        """Return the target that a valid form describes, unsaved."""
        data = self.cleaned_data
        given = data["given"]
        return Target(
            name=data["name"],
            kind=data["kind"],
            arn=data["arn"],
            input=data["input"] if given == CONSTANT else "",
            input_path=data["input_path"] if given == PART else "",
            input_paths_map=data["input_paths_map"] if given == TEMPLATE else {},
            input_template=data["input_template"] if given == TEMPLATE else "",
            parameters=data["parameters"],
            max_age_seconds=data["max_age_seconds"] or 86_400,
            max_retries=Target.MOST_RETRIES if data["max_retries"] is None else data["max_retries"],
            dead_letter_arn=data["dead_letter_arn"],
            position=position,
        )


TargetForms = formset_factory(TargetForm, extra=0, can_delete=True, max_num=5, validate_max=True)


def read_paths(written: str) -> dict[str, str]:
    """Return the paths that lines of `name = path` name. Raises ValueError with a sentence."""
    paths: dict[str, str] = {}
    for number, written_line in enumerate(written.splitlines(), start=1):
        if not written_line.strip():
            continue
        name, equals, path = (part.strip() for part in written_line.partition("="))
        if not equals or not name or not path:
            raise ValueError(_("Line %(n)d is not “name = path”.") % {"n": number})
        if name in paths:
            raise ValueError(_("“%(name)s” stands twice.") % {"name": name})
        paths[name] = path
    return paths


def written_paths(paths: Mapping[str, str]) -> str:
    return "\n".join(f"{name} = {path}" for name, path in paths.items())


def rule_initial(rule: Rule | None) -> dict[str, Any]:
    if rule is None:
        return {"owner": ALL, "mode": Mode.ANY, "state": RuleState.TRIAL}
    return {
        "name": rule.name,
        "notes": rule.notes,
        "pattern": rule.pattern,
        "owner": ALL if rule.owner is None else rule.owner or PRIMARY,
        "mode": rule.mode,
        "state": rule.state,
    }


def target_initial(target: Target) -> dict[str, Any]:
    given = CONSTANT if target.input else PART if target.input_path else TEMPLATE if target.input_template else WHOLE
    return {
        "name": target.name,
        "kind": target.kind,
        "arn": target.arn,
        "given": given,
        "input": target.input,
        "input_path": target.input_path,
        "input_paths_map": written_paths(target.input_paths_map),
        "input_template": target.input_template,
        "parameters": json.dumps(target.parameters, ensure_ascii=False, indent=2) if target.parameters else "",
        "max_age_seconds": target.max_age_seconds,
        "max_retries": target.max_retries,
        "dead_letter_arn": target.dead_letter_arn,
    }


def owner_of(choice: str) -> str | None:
    """Return a rule's `owner`: None for all accounts."""
    return None if choice in ("", ALL) else "" if choice == PRIMARY else choice


def targets_of(targets: "BaseFormSet[TargetForm]") -> Iterator[Target]:
    """Yield the targets of the forms that are valid and stay."""
    for position, form in enumerate(targets.forms):
        if form.is_bound and not form.is_valid():
            continue
        if form.is_bound and form.cleaned_data and not form.cleaned_data.get("DELETE"):
            yield form.target(position)
