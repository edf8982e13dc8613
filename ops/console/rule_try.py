"""What the editor shows beside a pattern while it is written: an event of the past, and whether the pattern fits it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from billing.models import InboxEvent
from billing.numerals import whole_number
from ops.console.many import STRIPE_ID
from ops.console.rule_form import TargetForms, ready_targets
from ops.console.rule_words import Refused, Verdict, parsed, refused, verdict
from ops.rules import take
from ops.rules.book import ReadyTarget
from ops.rules.building import CannotBuild, fields_of, tick
from ops.rules.envelopes import Event, Received, forms_of, rule_arn, written_time
from ops.rules.explain import explain
from ops.rules.narrowing import all_types
from ops.rules.patterns import InvalidPattern, Pattern, compile_pattern
from ops.rules.transform import NoInput, Setting
from ops.rules.validate import MOST_TARGETS

FOUND = 8
TARGETS = "target"  # the prefix of the targets' forms


@dataclass(frozen=True)
class Chosen:
    """The event that a rule is tried on: its row, and its envelope under Stripe's or its own name."""

    row: Received
    form: Event


@dataclass(frozen=True)
class Tried:
    """The pattern as it stands: compiled or refused, and what it says of the chosen event."""

    pattern: Pattern | None
    refused: Refused | None
    verdict: Verdict | None
    empty: bool


def chosen_event(pk: str) -> Chosen | None:
    """Return the event with that key, the latest where none is named; None where there is none to try on."""
    events = InboxEvent.objects.filter(payload__isnull=False).order_by("-received_at", "-pk")
    number = whole_number(pk)
    if number is not None:
        events = events.filter(pk=number)
    latest = events.values_list("pk", flat=True).first()
    rows = take.read([latest]) if latest is not None else []
    try:
        return Chosen(rows[0], forms_of(rows[0])[-1]) if rows else None
    except ValueError:
        return None


def try_pattern(text: str, event: Chosen | None) -> Tried:
    if not text.strip():
        return Tried(None, None, None, empty=True)
    try:
        pattern = compile_pattern(text)
    except InvalidPattern as error:
        return Tried(None, refused(error, text), None, empty=False)
    return Tried(pattern, None, verdict_on(pattern, event) if event else None, empty=False)


def verdict_on(pattern: Pattern, event: Chosen) -> Verdict:
    """Say whether the event fits in any of its forms; if in none, why not in the one that came furthest."""
    explanations = [explain(pattern, form) for form in forms_of(event.row)]
    return verdict(max(explanations, key=lambda explanation: (explanation.matches, len(explanation.met))))


def find_events(term: str) -> Sequence[InboxEvent]:
    """Return the latest events with an id, or whose type has these letters in it."""
    events = InboxEvent.objects.filter(payload__isnull=False).defer("payload").order_by("-received_at", "-pk")
    term = term.strip()
    if STRIPE_ID.match(term):
        events = events.filter(Q(external_id=term) | Q(object_id=term) | Q(customer_id=term))
    elif term:
        # Types are few: those that have the letters are looked up by their index, rows are not walked through.
        events = events.filter(type__in=[name for name in all_types() if term.lower() in name.lower()])
    return list(events[:FOUND])


def event_context(request: HttpRequest, *, first: str = "", pattern: str = "") -> dict[str, Any]:
    """Return what the box with the event needs: the event, `first` until another is chosen, and its fields."""
    chosen = request.POST.get("event", "") or request.GET.get("event", "")
    event = chosen_event(chosen or first) or chosen_event("")
    text = request.POST.get("pattern", pattern)
    return {"event": event, "fields": fields_of(event.form, text) if event else None}


@require_POST
def check(request: HttpRequest) -> HttpResponse:
    """The pattern was typed: say whether it is one, and whether the event fits."""
    event = chosen_event(request.POST.get("event", ""))
    tried = try_pattern(request.POST.get("pattern", ""), event)
    return render(request, "ops/rules/said.html", {"tried": tried, "event": event})


@require_POST
def search(request: HttpRequest) -> HttpResponse:
    term = request.POST.get("event_search", "")
    return render(request, "ops/rules/found_events.html", {"found": find_events(term), "term": term})


@require_POST
def choose(request: HttpRequest) -> HttpResponse:
    """Another event was chosen: show its fields, and what the pattern says of it."""
    context = event_context(request)
    context["tried"] = try_pattern(request.POST.get("pattern", ""), context["event"])
    return render(request, "ops/rules/event_box.html", context | {"swapped": True})


@require_POST
def tick_field(request: HttpRequest) -> HttpResponse:
    """A field of the event was ticked or unticked: change the pattern's text, and say what it means now."""
    event = chosen_event(request.POST.get("event", ""))
    text, number = request.POST.get("pattern", ""), whole_number(request.POST.get("field"))
    note = ""
    if event and number is not None:
        try:
            text = tick(text, event.form, number, on=bool(request.POST.get(f"field-{number}")))
        except CannotBuild:
            note = _("The text is no JSON object, so nothing was put into it. Mend it, or empty it, and tick again.")
    tried = try_pattern(text, event)
    return render(request, "ops/rules/pattern_box.html", {"text": text, "note": note, "tried": tried, "event": event})


@require_POST
def preview(request: HttpRequest) -> HttpResponse:
    """Show what each target would be given of the chosen event."""
    event = chosen_event(request.POST.get("event", ""))
    forms = TargetForms(request.POST, prefix=TARGETS)
    ready = ready_targets(forms)
    shown = [previewed(target, event, request.POST.get("name", "")) for target in ready] if event else []
    unready = len(forms.forms) - len(ready)
    return render(request, "ops/rules/previews.html", {"previews": shown, "event": event, "unready": unready})


def previewed(target: ReadyTarget, event: Chosen, rule_name: str) -> dict[str, Any]:
    """Return the target's name with its input, or with why there is none."""
    setting = Setting(rule_arn(rule_name), rule_name, written_time(event.row.received_at))
    try:
        return {"name": target.name, "json": parsed(target.make_input(event.form, setting)), "error": ""}
    except NoInput as error:
        return {"name": target.name, "error": str(error)}


@require_POST
def add_target(request: HttpRequest) -> HttpResponse:
    """Return the targets' forms as they stand, and one more."""
    count = min(whole_number(request.POST.get(f"{TARGETS}-TOTAL_FORMS")) or 0, MOST_TARGETS - 1)
    initial = [plain_initial(request.POST, number) for number in range(count)]
    forms = TargetForms(initial=[*initial, {"name": f"target-{count + 1}"}], prefix=TARGETS)
    return render(request, "ops/rules/target_forms.html", {"targets": forms})


def plain_initial(data: Any, number: int) -> dict[str, Any]:
    """Return what was typed into one target's form, as it was typed."""
    beginning = f"{TARGETS}-{number}-"
    return {name.removeprefix(beginning): value for name, value in data.items() if name.startswith(beginning)}
