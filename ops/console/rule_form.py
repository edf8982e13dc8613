"""The form by which a rule is written: its fields, its targets, and the rule that they make, saved or not."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from django import forms
from django.forms import BaseFormSet, formset_factory
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
)

from billing.stripe_accounts import configured
from ops.console.written import MONO, WrittenForm, line, text
from ops.effects.destinations.models import Destination
from ops.effects.registry import EFFECTS
from ops.models import Mode, Rule, RuleState, Target, TargetKind
from ops.rules import transform
from ops.rules.book import ReadyTarget, ready_target
from ops.rules.building import written_pattern
from ops.rules.documents import PARAMETER_KEYS, STATE_WORDS, Document, pattern_of, target_of
from ops.rules.resources import ACTIVITY_ARN, DESTINATION, FINDING_ARN, read_arn
from ops.rules.validate import Problem, transform_parts

ALL, PRIMARY = "-all", "-primary"  # as choices; no account can have these names
WHOLE, CONSTANT, PART, TEMPLATE = "whole", "constant", "part", "template"
INPUTS = {
    WHOLE: gettext_lazy("the whole event"),
    PART: gettext_lazy("a part of it"),
    TEMPLATE: gettext_lazy("a template filled from it"),
    CONSTANT: gettext_lazy("the same each time"),
}


class RuleForm(WrittenForm):
    name_help = gettext_lazy("Letters, digits, dots, hyphens and underscores; for example late-large-invoices.")
    nameless = gettext_lazy("Give the rule a name.")

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
    """One target. What is right is for `ops.rules.validate` to say; this only reads what was typed."""

    name = forms.CharField(label=gettext_lazy("Name"), required=False, max_length=64, widget=line(**MONO))
    resource = forms.ChoiceField(label=gettext_lazy("What is called"), required=False, widget=UnfoldAdminSelectWidget)
    arn = forms.CharField(
        label=gettext_lazy("ARN"),
        required=False,
        max_length=1600,
        help_text=gettext_lazy("Of an event bus, an SNS topic, an SQS queue or a state machine on AWS."),
        widget=line(placeholder="arn:aws:sqs:ap-northeast-1:123456789012:orders", **MONO),
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
        label=gettext_lazy("Longest age, seconds"), required=False, widget=UnfoldAdminIntegerFieldWidget
    )
    max_retries = forms.IntegerField(
        label=gettext_lazy("Most retries"), required=False, widget=UnfoldAdminIntegerFieldWidget
    )
    dead_letter_arn = forms.CharField(
        label=gettext_lazy("Dead-letter queue on AWS (ARN)"), required=False, max_length=1600, widget=line(**MONO)
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        resource: Any = self.fields["resource"]
        resource.choices = known_resources()

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

    def document(self) -> Document:
        """Return the target as a rule's document says it. The form must be valid."""
        data = self.cleaned_data
        given = data["given"]
        transformer = {"InputPathsMap": data["input_paths_map"], "InputTemplate": data["input_template"]}
        retries = {"MaximumEventAgeInSeconds": data["max_age_seconds"], "MaximumRetryAttempts": data["max_retries"]}
        document = {
            "Id": data["name"],
            "Arn": data["resource"] or data["arn"].strip(),
            "Input": data["input"] if given == CONSTANT else "",
            "InputPath": data["input_path"] if given == PART else "",
            "InputTransformer": transformer if given == TEMPLATE else {},
            "RetryPolicy": {name: value for name, value in retries.items() if value is not None},
            "DeadLetterConfig": {"Arn": data["dead_letter_arn"]} if data["dead_letter_arn"] else {},
        }
        parameters: Document = data["parameters"]
        return {key: value for key, value in document.items() if value or key in ("Id", "Arn")} | parameters


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
        "pattern": shown_pattern(rule.pattern),
        "owner": ALL if rule.owner is None else rule.owner or PRIMARY,
        "mode": rule.mode,
        "state": rule.state,
    }


def shown_pattern(text: str) -> str:
    """Write a pattern that was stored as people write one; one that is not plain JSON stands as it is."""
    pattern = pattern_of(text)
    return written_pattern(pattern) if isinstance(pattern, dict) else text


def target_initial(target: Target) -> dict[str, Any]:
    known = any(target.arn == arn for _group, choices in known_resources() for arn, _label in choices)
    given = CONSTANT if target.input else PART if target.input_path else TEMPLATE if target.input_template else WHOLE
    parameters = {key: target.parameters[key] for key in PARAMETER_KEYS if target.parameters.get(key)}
    return {
        "name": target.name,
        "resource": target.arn if known else "",
        "arn": "" if known else target.arn,
        "given": given,
        "input": target.input,
        "input_path": target.input_path,
        "input_paths_map": written_paths(target.input_paths_map),
        "input_template": target.input_template,
        "parameters": json.dumps(parameters, ensure_ascii=False, indent=2) if parameters else "",
        "max_age_seconds": target.max_age_seconds,
        "max_retries": target.max_retries,
        "dead_letter_arn": target.dead_letter_arn,
    }


def known_resources() -> list[tuple[str, Any]]:
    """Return what a target can call here, as choices; the empty one stands for an ARN that is typed."""
    special = {ACTIVITY_ARN: TargetKind.ACTIVITY.label, FINDING_ARN: TargetKind.FINDING.label}
    names = [(effect.arn, special.get(effect.arn, effect.name)) for effect in EFFECTS.values()]
    destinations = Destination.objects.order_by("name").values_list("name", flat=True)[:200]
    return [
        (_("On AWS"), [("", _("by its ARN"))]),
        (_("Effects"), sorted(names, key=lambda choice: (choice[0] not in special, str(choice[1])))),
        (_("API destinations"), [(DESTINATION + name, name) for name in destinations]),
    ]


def owner_of(choice: str) -> str | None:
    """Return a rule's `owner`: None for all accounts."""
    return None if choice in ("", ALL) else "" if choice == PRIMARY else choice


def document_from(rule: Mapping[str, Any], targets: "BaseFormSet[TargetForm]") -> Document:
    """Return the rule's document from cleaned data of the form and its targets' forms."""
    document = {
        "Name": rule.get("name", ""),
        "Description": rule.get("notes", ""),
        "State": STATE_WORDS[RuleState(rule.get("state") or RuleState.OFF)],
        "Account": owner_of(rule.get("owner", "")),
        "Mode": rule.get("mode") or Mode.ANY.value,
        "EventPattern": rule.get("pattern", ""),
        "Targets": [form.document() for form in staying(targets)],
    }
    return {key: value for key, value in document.items() if value is not None}


def staying(targets: "BaseFormSet[TargetForm]") -> list[TargetForm]:
    """Return the forms that are valid and were not marked to be removed, in their order."""
    return [form for form in targets.forms if form.is_valid() and not form.cleaned_data.get("DELETE")]


def ready_targets(targets: "BaseFormSet[TargetForm]") -> list[ReadyTarget]:
    """Return targets whose input can be made; those that are not right yet are left out."""
    ready = []
    for form in staying(targets):
        document = form.document()
        if document["Id"] and read_arn(document["Arn"]) and not transform.flaws_of(**transform_parts(document)):
            ready.append(ready_target(target_of(Rule(), document, 0)))
    return ready


# Where `ops.rules.validate` says a flaw is, as a beginning, and the field that shows it.
RULE_FIELDS = {"Name": "name", "Description": "notes", "State": "state", "Account": "owner", "Mode": "mode"}
TARGET_FIELDS = {
    "Id": "name",
    "Arn": "arn",
    "InputPath": "input_path",
    "InputTransformer.InputPathsMap": "input_paths_map",
    "InputTransformer": "input_template",
    "Input": "input",
    "HttpParameters": "parameters",
    "SqsParameters": "parameters",
    "RetryPolicy.MaximumEventAgeInSeconds": "max_age_seconds",
    "RetryPolicy": "max_retries",
    "DeadLetterConfig": "dead_letter_arn",
}
OF_TARGET = re.compile(r"Targets\[(\d+)\]\.?(.*)")


def show_problems(problems: Iterable[Problem], form: RuleForm, targets: "BaseFormSet[TargetForm]") -> None:
    """Put each flaw at the field that it is about. Those of the pattern stand at the pattern's own message."""
    forms_there = staying(targets)
    for problem in problems:
        of_target = OF_TARGET.match(problem.path)
        said = f"{problem.sentence} {problem.example}".strip()
        if of_target:
            forms_there[int(of_target[1])].add_error(field_for(of_target[2], TARGET_FIELDS), said)
        elif problem.path.startswith("EventPattern"):
            form.add_error("pattern", problem.sentence)
        else:
            form.add_error(field_for(problem.path, RULE_FIELDS), said)


def field_for(path: str, fields: Mapping[str, str]) -> str | None:
    return next((field for beginning, field in fields.items() if path.startswith(beginning)), None)
