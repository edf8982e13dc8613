"""How true the mirror is: drift over time and field by field, resyncs, and how much of each kind there is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from django.contrib.admin import register
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter
from unfold.decorators import display

from billing.mirror.counts import KindCount, counts
from billing.mirror.history import PartState, RunState
from billing.mirror.kinds import RAW
from billing.mirror.resync_counts import Outcome, outcomes
from billing.models import DriftCheck, DriftDifference, RawObject, ResyncRun
from ops.console.chart import Column, stack
from ops.console.display import Tone, moment, pill, span
from ops.console.mirror import MirrorAdmin
from ops.console.readonly import PageAdmin
from ops.console.site import console

CHECKS = 96  # a day of them, a quarter of an hour each
CHART_WIDTH, CHART_HEIGHT = 720, 120
SERIES = ("healed", "left")
DIFFERENCES = 200
CHANGES = {
    "created": gettext_lazy("created"),
    "updated": gettext_lazy("updated"),
    "unchanged": gettext_lazy("unchanged"),
    "deleted": gettext_lazy("deleted at Stripe"),
    "refused": gettext_lazy("refused"),
}
RUN_TONES = {
    RunState.RUNNING.value: Tone.WAITING,
    RunState.DONE.value: Tone.GOOD,
    RunState.STOPPED.value: Tone.ATTENTION,
}
PART_TONES = {
    PartState.WAITING.value: Tone.WAITING,
    PartState.DONE.value: Tone.GOOD,
    PartState.UNAVAILABLE.value: Tone.STOPPED,
}


@dataclass(frozen=True)
class Changed:
    """One object that differed, and its fields."""

    kind: str
    object_id: str
    fields: tuple[DriftDifference, ...]


@register(DriftCheck, site=console)
class DriftCheckAdmin(PageAdmin):
    list_display = ("when", "account_shown", "outcome", "looked_at", "differing", "healed", "took")
    leafed_by = ("started_at", "pk")
    list_before_template = "ops/drift_history.html"
    change_form_template = "ops/drift.html"

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        checks = list(DriftCheck.objects.order_by("-started_at")[:CHECKS])[::-1]
        page: HttpResponse = super().changelist_view(
            request, {"checks": checks, "columns": drift_columns(checks), **(extra_context or {})}
        )
        return page

    def page_context(self, request: HttpRequest, row: DriftCheck) -> dict[str, Any]:
        found = list(row.differences.order_by("kind", "object_id", "path")[: DIFFERENCES + 1])
        return {
            "check": row,
            "pill": check_pill(row),
            "took": span(row.finished_at - row.started_at if row.finished_at else None),
            "kinds": kinds_of(row),
            "changed": by_object(found[:DIFFERENCES]),
            "more": len(found) > DIFFERENCES,
        }

    @display(description=gettext_lazy("checked"), ordering="started_at")
    def when(self, check: DriftCheck) -> SafeString:
        return moment(check.started_at)

    @display(description=gettext_lazy("account"), ordering="owner")
    def account_shown(self, check: DriftCheck) -> str:
        return check.owner or _("primary")

    @display(description=gettext_lazy("outcome"))
    def outcome(self, check: DriftCheck) -> SafeString:
        return check_pill(check)

    @display(description=gettext_lazy("took"))
    def took(self, check: DriftCheck) -> str:
        return span(check.finished_at - check.started_at if check.finished_at else None)


def drift_columns(checks: Sequence[DriftCheck]) -> tuple[Column, ...]:
    rows = [{"healed": check.healed, "left": max(check.differing - check.healed, 0)} for check in checks]
    return stack(rows, SERIES, width=CHART_WIDTH, height=CHART_HEIGHT)


def check_pill(check: DriftCheck) -> SafeString:
    if check.finished_at is None:
        return pill(_("Under way"), Tone.WAITING)
    if check.differing > check.healed:
        return pill(_("Differs"), Tone.ATTENTION)
    if check.error:
        return pill(_("Not all could be asked"), Tone.WAITING)
    return pill(_("Healed"), Tone.WAITING) if check.differing else pill(_("No drift"), Tone.GOOD)


def kinds_of(check: DriftCheck) -> list[tuple[str, int, int, int]]:
    """Return kind, looked at, differing, healed; those that differ first."""
    rows = [
        (kind, *(int(counted.get(name, 0)) for name in ("looked_at", "differing", "healed")))
        for kind, counted in check.per_kind.items()
    ]
    return sorted(rows, key=lambda row: (-row[2], -row[1], row[0]))  # type: ignore[return-value]


def by_object(differences: Sequence[DriftDifference]) -> list[Changed]:
    grouped = groupby(differences, key=lambda found: (found.kind, found.object_id))
    return [Changed(kind, object_id, tuple(fields)) for (kind, object_id), fields in grouped]


@register(ResyncRun, site=console)
class ResyncRunAdmin(PageAdmin):
    list_display = ("when", "what", "state_shown", "took")
    list_filter = (("state", ChoicesDropdownFilter),)
    list_filter_submit = True
    leafed_by = ("started_at", "pk")
    change_form_template = "ops/resync.html"

    def page_context(self, request: HttpRequest, row: ResyncRun) -> dict[str, Any]:
        parts = list(row.parts.order_by("stage", "kind", "pk"))
        return {
            "run": row,
            "pill": self.state_shown(row),
            "wanted": wanted_words(row),
            "took": self.took(row),
            "kinds": kinds_of_run(parts, outcomes(row)),
            "changes": CHANGES.values(),
        }

    @display(description=gettext_lazy("started"), ordering="started_at")
    def when(self, run: ResyncRun) -> SafeString:
        return moment(run.started_at)

    @display(description=gettext_lazy("asked for"))
    def what(self, run: ResyncRun) -> SafeString:
        return format_html('<code class="wrap">{}</code>', wanted_words(run))

    @display(description=gettext_lazy("state"), ordering="state")
    def state_shown(self, run: ResyncRun) -> SafeString:
        return pill(run.get_state_display(), RUN_TONES[run.state])

    @display(description=gettext_lazy("took"))
    def took(self, run: ResyncRun) -> str:
        return span(run.finished_at - run.started_at if run.finished_at else None)


@dataclass(frozen=True)
class KindOfRun:
    """What a resync did with one kind."""

    kind: str
    pill: SafeString
    counts: tuple[tuple[Any, int], ...]  # each change in words
    parts: int
    open: int
    spared: int  # parents who were not asked about
    note: str


def kinds_of_run(parts: Sequence[Any], outcomes: Mapping[tuple[str, str], Outcome]) -> list[KindOfRun]:
    """Sum the parts of each kind, in the order in which they are walked; of whatever account."""
    kinds: dict[str, list[Any]] = {}
    for part in parts:
        kinds.setdefault(part.kind, []).append(part)
    return [
        kind_of_run(kind, of_kind, [outcome for (_, name), outcome in outcomes.items() if name == kind])
        for kind, of_kind in kinds.items()
    ]


def kind_of_run(kind: str, parts: Sequence[Any], outcomes: Sequence[Outcome]) -> KindOfRun:
    waiting = [part for part in parts if part.state == PartState.WAITING]
    shown = (waiting or parts)[0]
    return KindOfRun(
        kind=kind,
        pill=pill(shown.get_state_display(), PART_TONES[shown.state]),
        counts=tuple((word, sum(outcome.counts[name] for outcome in outcomes)) for name, word in CHANGES.items()),
        parts=len(parts),
        open=len(waiting),
        spared=sum(outcome.spared for outcome in outcomes),
        note=next((part.note for part in parts if part.note), ""),
    )


def wanted_words(run: ResyncRun) -> str:
    """Say what was asked for as the command line says it."""
    wanted: dict[str, Any] = run.wanted if isinstance(run.wanted, dict) else {}
    words = ["resync", *map(str, wanted.get("kinds") or ())]
    if wanted.get("since"):
        words.append(f"--since {datetime.fromtimestamp(wanted['since'], UTC):%Y-%m-%dT%H:%M}")
    if wanted.get("customer"):
        words.append(f"--customer {wanted['customer']}")
    if "" not in wanted.get("accounts", [""]):  # the primary one has no name, and is meant with all others by no words
        words += [f"--account {name}" for name in wanted["accounts"]]
    return " ".join([*words, *(f"--{name}" for name in ("check", "thorough") if wanted.get(name))])


class RawKindFilter(DropdownFilter):
    title = gettext_lazy("kind")
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in sorted(RAW)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[RawObject]) -> QuerySet[RawObject]:
        return queryset.filter(kind=self.value()) if self.value() else queryset


@register(RawObject, site=console)
class RawObjectAdmin(MirrorAdmin):
    """Objects of kinds that no table has columns for, whole."""

    list_display = ("id_shown", "kind", "customer_id", "created")
    search_fields = ("id", "customer_id")
    search_help_text = gettext_lazy("Object id or customer id")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[RawObject], search_term: str
    ) -> tuple[QuerySet[RawObject], bool]:
        term = search_term.strip()
        return (queryset.filter(Q(id=term) | Q(customer_id=term)) if term else queryset), False

    leafed_by = ("pk",)
    list_filter = (RawKindFilter,)
    list_filter_submit = True

    def facts_shown(self, row: RawObject) -> list[tuple[Any, Any]]:
        return [(_("Kind"), row.kind), (_("Customer"), row.customer_id or "–")]


def kinds(request: HttpRequest) -> HttpResponse:
    """The page that counts what is mirrored of each kind, and what is kept raw."""
    found = counts()
    with_table = [entry for entry in found if entry.kind.model is not None]
    there = sorted((entry for entry in with_table if entry.rows), key=lambda entry: -entry.rows)
    raw = sorted((entry for entry in found if entry.rows and entry.kind.model is None), key=lambda entry: -entry.rows)
    context = {
        **console.each_context(request),
        "title": _("Kinds of objects"),
        "mirrored": [(entry, list_of(entry)) for entry in there],
        "absent": sorted(entry.kind.name for entry in with_table if not entry.rows),
        "raw": [(entry, raw_list(entry.kind.name)) for entry in raw],
    }
    return TemplateResponse(request, "ops/kinds.html", context)


def list_of(entry: KindCount) -> str:
    model = entry.kind.model
    if model is None or not console.is_registered(model):
        return ""
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def raw_list(kind: str) -> str:
    return f"{reverse('admin:billing_rawobject_changelist')}?kind={kind}"
