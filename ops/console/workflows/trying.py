"""Trying a state machine without the world: one state alone, or a whole execution whose effects are described."""

import json
from dataclasses import dataclass, field, replace
from typing import Any, cast

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from billing.numerals import whole_number
from ops.console.rule_try import Chosen, chosen_event, find_events
from ops.console.site import console
from ops.console.workflows.effect_words import effect_words
from ops.console.workflows.picture import drawing_of, ran_picture
from ops.console.workflows.step_rows import data_of, rows_of
from ops.console.workflows.words import reason_words
from ops.console.written import MONO, text
from ops.effects.registry import by_arn
from ops.models import StateMachine, StateMachineVersion, Target, TargetKind
from ops.rules.book import ready_target
from ops.rules.envelopes import rule_arn, written_time
from ops.rules.transform import NoInput, Setting
from ops.workflows.asl import inline
from ops.workflows.asl.errors import Failure
from ops.workflows.asl.reasons import reason_in
from ops.workflows.asl.running import Answer, Ended, World
from ops.workflows.asl.step import Call
from ops.workflows.asl.teststate import Trial, Tried, try_state
from ops.workflows.asl.written import LARGEST_PAYLOAD, written
from ops.workflows.machines import ARN, compiled
from ops.workflows.mocks import InvalidMock, MockedStates
from ops.workflows.steps import Mark, outcomes_of, steps_of, ways_of

Json = Any
MOST_STEPS_SHOWN = 200


def json_field(label: Any, help_text: Any, rows: int, *, required: bool) -> forms.CharField:
    return forms.CharField(
        label=label,
        help_text=help_text,
        required=required,
        strip=True,
        max_length=LARGEST_PAYLOAD,
        error_messages={"required": gettext_lazy("Write JSON, or take it from an event.")},
        widget=text(rows, **MONO),
    )


class TryForm(forms.Form):
    input = json_field(
        gettext_lazy("Input"), gettext_lazy("JSON, as the execution would be given it."), 12, required=True
    )
    answers = json_field(
        gettext_lazy("Assumed results"),
        gettext_lazy(
            "What states would be answered, by their names; without one, a call is answered {}. For example: "
            '{"Refund": {"Return": {"refund": "re_1"}}} or {"Refund": {"Throw": {"Error": "Stripe.Declined"}}}'
        ),
        5,
        required=False,
    )
    state = forms.CharField(required=False, max_length=80)

    def clean_input(self) -> Json:
        return read_json(self.cleaned_data["input"])

    def clean_answers(self) -> MockedStates:
        given = read_json(self.cleaned_data["answers"] or "{}")
        if not isinstance(given, dict):
            raise forms.ValidationError(_("Write a JSON object: the names of states, each with its answer."))
        try:
            return MockedStates(given)
        except (InvalidMock, AttributeError) as error:
            raise forms.ValidationError(reason_words(reason_in(error))) from error


def read_json(given: str) -> Json:
    try:
        return json.loads(given)
    except (ValueError, RecursionError) as error:
        raise forms.ValidationError(_("This is not JSON: %(why)s") % {"why": error}) from error


@dataclass(frozen=True)
class Described:
    """A call that would have been made: of what, with what, and what it was assumed to answer."""

    state: str
    attempt: int
    resource: str
    arguments: Json
    meaning: str
    refused: str  # why its input would not be taken; empty where it would
    answer: Json
    error: str


@dataclass
class Describing:
    """A world in which nothing is done: calls are written down, and answered as was assumed, else with {}."""

    assumed: MockedStates
    calls: list[Described] = field(default_factory=list)

    def call(self, call: Call, *, state: str, attempt: int) -> Answer:
        effect = by_arn(call.resource)
        refused = effect.why_not(written(call.arguments)) if effect else None
        if state in self.assumed.states:
            answer = self.assumed.call(call, state=state, attempt=attempt)
        elif refused:
            answer = Answer(failure=Failure("InvalidInput", refused))
        else:
            answer = Answer({})
        error = f"{answer.failure.error or ''}: {answer.failure.cause or ''}" if answer.failure else ""
        meaning = effect_words(effect)
        self.calls.append(
            Described(
                state, attempt, call.resource, call.arguments, meaning, refused or "", answer.result, error.strip(": ")
            )
        )
        return answer


def page(request: HttpRequest, machine: StateMachine) -> HttpResponse:
    """Show the form: an input, written or taken from an event, and what to try it on."""
    version = version_in(request, machine)
    event = chosen_event(request.GET.get("event", "")) if may_see_events(request) and "event" in request.GET else None
    initial = {"input": input_from(machine, event) if event else "{}"}
    context = {
        **console.each_context(request),
        "title": _("Try %(name)s") % {"name": machine.name},
        "machine": machine,
        "version": version,
        "states": names_in(json.loads(version.definition)) if version else [],
        "form": TryForm(initial=initial),
        "event": event,
        "found": find_events(request.GET.get("event_search", "")) if may_see_events(request) else [],
        "may_see_events": may_see_events(request),
        "opts": StateMachine._meta,
    }
    return TemplateResponse(request, "ops/workflows/try.html", context)


def may_see_events(request: HttpRequest) -> bool:
    return request.user.has_perm("billing.view_inboxevent")


def version_in(request: HttpRequest, machine: StateMachine) -> StateMachineVersion | None:
    """The version that was asked for by its number, else the current one, else the latest."""
    number = whole_number(request.POST.get("version") or request.GET.get("version"))
    if number is not None:
        return machine.versions.filter(number=number).first()
    return machine.current or machine.versions.order_by("-number").first()


def names_in(flow: dict[str, Any]) -> list[str]:
    """The names of all states, those inside of others after these."""
    names = []
    for name, state in flow["States"].items():
        names.append(name)
        for inner in (*state.get("Branches", ()), state.get("ItemProcessor"), state.get("Iterator")):
            names += names_in(inner) if inner else []
    return names


def input_from(machine: StateMachine, event: Chosen) -> str:
    """What the machine would be given of an event: as the target says that starts it, where there is just one."""
    targets = Target.objects.filter(kind=TargetKind.STATE_MACHINE, arn=ARN + machine.name).select_related("rule")[:2]
    found = list(targets)
    if len(found) == 1:
        rule = found[0].rule
        setting = Setting(rule_arn(rule.name), rule.name, written_time(event.row.received_at))
        try:
            given = ready_target(found[0]).make_input(event.form, setting)
            return json.dumps(json.loads(given), indent=2, ensure_ascii=False)
        except (NoInput, ValueError):
            pass  # it would be given nothing: the whole event shows why
    return json.dumps(event.form, indent=2, ensure_ascii=False, default=str)


@require_POST
def run_state(request: HttpRequest, machine: StateMachine) -> HttpResponse:
    """Try one state, as Step Functions' TestState does."""
    version, form = version_in(request, machine), TryForm(request.POST)
    if version is None or not form.is_valid():
        return render(request, "ops/workflows/tried_nothing.html", {"form": form})
    world = Describing(form.cleaned_data["answers"])
    trial = Trial(form.cleaned_data["input"], timezone.now(), state_name=form.cleaned_data["state"])
    try:
        tried: Tried = try_state(json.loads(version.definition), trial, world)
    except LookupError:
        form.add_error(None, _("Choose a state of this machine."))
        return render(request, "ops/workflows/tried_nothing.html", {"form": form})
    context = {"tried": tried, "state": form.cleaned_data["state"], "calls": world.calls}
    return render(request, "ops/workflows/tried_state.html", context)


@require_POST
def run_all(request: HttpRequest, machine: StateMachine) -> HttpResponse:
    """Run an execution in memory, on a clock on which waits pass at once."""
    version, form = version_in(request, machine), TryForm(request.POST)
    if version is None or not form.is_valid():
        return render(request, "ops/workflows/tried_nothing.html", {"form": form})
    now = timezone.now()
    world = Describing(form.cleaned_data["answers"])
    ended = inline.run(compiled(version.pk), form.cleaned_data["input"], cast(World, world), now=now)
    context = ran_context(version, ended) | {"calls": world.calls, "machine": machine}
    return render(request, "ops/workflows/tried_all.html", context)


def ran_context(version: StateMachineVersion, ended: Ended) -> dict[str, Any]:
    events = ended.history
    since, until = events[0].at, events[-1].at
    steps = steps_of(Mark(event.id, event.previous, event.type, event.name or "", event.at) for event in events)
    details = {event.id: event.details for event in events}
    shown = steps[:MOST_STEPS_SHOWN]
    rows = rows_of(shown, {step.entered: step for step in steps}, lambda _: details, since=since, until=until)
    drawing = drawing_of(version.pk)
    ways = ways_of(steps, ended_well=ended.status == "SUCCEEDED")
    return {
        "ended": ended,
        "took": until - since,
        "picture": ran_picture(drawing, outcomes_of(steps), ways) if drawing else None,
        "rows": [replace(row, data=data_of(row.step, details)) for row in rows],
        "more": max(len(steps) - MOST_STEPS_SHOWN, 0),
    }
