"""Rules: every one with its state, its matches day by day and its errors; written, switched and restored here."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

from django.contrib import messages
from django.contrib.admin import register
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter
from unfold.decorators import display

from accounts.models import User
from billing.numerals import whole_number
from ops.console import rule_backtest, rule_editor, rule_replay, rule_try
from ops.console.difference import difference
from ops.console.display import NOTHING, ago
from ops.console.replay import ReasonForm
from ops.console.rule_days import days_of
from ops.console.rule_words import rule_pill
from ops.console.site import console
from ops.console.written import WrittenAdmin
from ops.models import Delivery, DeliveryState, Match, Rule, RuleState, RuleVersion
from ops.rules.building import written_pattern
from ops.rules.documents import KEYS, Document
from ops.rules.edit import Saved, delete_rule, restore_version, set_state
from ops.rules.validate import InvalidRule

VERSIONS = 50
SEE, CHANGE, SEE_EVENTS = "ops.view_rule", "ops.change_rule", "billing.view_inboxevent"
SWITCH = {  # in words: the act, and what it means
    RuleState.ON: (
        gettext_lazy("Switch on"),
        gettext_lazy("Each event that fits and comes from now on calls the targets. Events of the past do not."),
    ),
    RuleState.TRIAL: (
        gettext_lazy("Put on trial"),
        gettext_lazy("Matches are recorded from now on, with what would have been called. Nothing is called."),
    ),
    RuleState.OFF: (
        gettext_lazy("Switch off"),
        gettext_lazy("It matches nothing from now on. Calls that are due already are still made."),
    ),
}


class OriginFilter(DropdownFilter):
    """Whether a rule comes from a file or was made in the console."""

    title = gettext_lazy("origin")
    parameter_name = "origin"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("code", gettext_lazy("Code")), ("console", gettext_lazy("Console"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Rule]) -> QuerySet[Rule]:
        match self.value():
            case "code":
                return queryset.exclude(path="")
            case "console":
                return queryset.filter(path="")
        return queryset


class RuleList(ChangeList):
    """The list with the days of the rules that it shows: one query for all of them."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        rules = list(self.result_list)
        now = timezone.now()
        days = days_of([rule.pk for rule in rules], now)
        for rule in rules:
            rule.days, rule.seen_at = days[rule.pk], now
        self.result_list = rules


@register(Rule, site=console)
class RuleAdmin(WrittenAdmin):
    list_display = ("rule", "state_shown", "days_shown", "last_shown", "errors", "scope", "origin")
    list_filter = (("state", ChoicesDropdownFilter), OriginFilter)
    list_filter_submit = True
    search_fields = ("name", "notes", "pattern")
    search_help_text = gettext_lazy("A part of the name, of the notes or of the pattern")
    ordering = ("name",)
    list_before_template = "ops/rules/list_before.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Rule]:
        last = Match.objects.filter(rule=OuterRef("pk")).order_by("-matched_at").values("matched_at")[:1]
        dead = Delivery.objects.filter(rule_name=OuterRef("name"), state=DeliveryState.DEAD).order_by()
        counted = dead.values("rule_name").annotate(n=Count("pk")).values("n")
        found: QuerySet[Rule] = super().get_queryset(request)
        return found.annotate(last_match=Subquery(last), dead=Coalesce(Subquery(counted), 0))

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return type("RuleList", (RuleList, super().get_changelist(request, **kwargs)), {})

    def write_new(self, request: HttpRequest) -> HttpResponse:
        return rule_editor.edit(request, None)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        if object_id is None:
            return super().changeform_view(request, object_id, form_url, extra_context)
        return rule_editor.edit(request, self.rule_for(request, object_id))

    def rule_for(self, request: HttpRequest, object_id: str) -> Rule:
        """Return the rule for who may see it."""
        if not request.user.has_perm(SEE):
            raise PermissionDenied
        number = whole_number(object_id)
        rule = None if number is None else rule_of(number)
        if rule is None:
            raise Http404
        return rule

    def get_urls(self) -> list[URLPattern]:
        parts = (
            ("check", rule_try.check),
            ("search", rule_try.search),
            ("choose", rule_try.choose),
            ("tick", rule_try.tick_field),
            ("preview", rule_try.preview),
            ("add_target", rule_try.add_target),
            ("backtest", rule_backtest.run),
        )
        pages: tuple[tuple[str, str, Callable[..., Any], tuple[str, ...]], ...] = (
            ("state", "state/<str:state>/", self.switch, (CHANGE,)),
            ("versions", "versions/", self.versions, (SEE,)),
            ("restore", "versions/<int:number>/restore/", self.restore, (CHANGE,)),
            ("replay", "replay/", rule_replay.ask, (CHANGE, SEE_EVENTS)),
            ("replay_see", "replay/see/", rule_replay.see, (CHANGE, SEE_EVENTS)),
            ("replay_do", "replay/do/", rule_replay.do, (CHANGE, SEE_EVENTS)),
            ("remove", "remove/", self.remove, (CHANGE,)),
        )
        return [
            *(
                path(f"try/{name}/", self.of_any(view, SEE, SEE_EVENTS), name=f"ops_rule_{name}")
                for name, view in parts
            ),
            *(
                path(f"<path:object_id>/{place}", self.of_one(view, *needed, load=rule_of), name=f"ops_rule_{name}")
                for name, place, view, needed in pages
            ),
            *super().get_urls(),
        ]

    def switch(self, request: HttpRequest, rule: Rule, state: str) -> HttpResponse:
        """Ask why, then switch a rule on, off or to trial."""
        if state not in RuleState.values:
            raise Http404
        wanted = RuleState(state)
        title, sentence = SWITCH[wanted]

        def act(reason: str) -> Saved:
            return set_state(rule, wanted, actor=cast(User, request.user), reason=reason, now=timezone.now())

        return self.ask(request, rule, str(title), str(sentence), act)

    def restore(self, request: HttpRequest, rule: Rule, number: int) -> HttpResponse:
        """Ask why, then make the rule what it was in a version."""
        get_object_or_404(RuleVersion, rule=rule, number=number)
        title = _("Restore version %(n)d") % {"n": number}
        sentence = _(
            "The rule becomes what it was in version %(n)d, its state too. That is a new version: none is lost."
        )

        def act(reason: str) -> Saved:
            return restore_version(rule, number, actor=cast(User, request.user), reason=reason, now=timezone.now())

        return self.ask(request, rule, title, sentence % {"n": number}, act)

    def remove(self, request: HttpRequest, rule: Rule) -> HttpResponse:
        """Ask why, then remove a rule with all that it matched."""
        sentence = _(
            "The rule is removed with its versions, its matches and the record of their calls; calls that are due are "
            "not made any more. What it was stays in the staff act. To stop it and keep its history, switch it off."
        )
        form = ReasonForm(request.POST if request.method == "POST" else None)
        if request.method == "POST" and form.is_valid():
            delete_rule(rule, actor=cast(User, request.user), reason=form.cleaned_data["reason"], now=timezone.now())
            messages.success(request, _("%(name)s is removed.") % {"name": rule.name})
            return redirect("admin:ops_rule_changelist")
        return self.question(request, rule, _("Remove %(name)s") % {"name": rule.name}, sentence, form)

    def ask(
        self, request: HttpRequest, rule: Rule, title: str, sentence: str, act: Callable[[str], Saved]
    ) -> HttpResponse:
        """Show the question, or act when it was answered with a reason."""
        form = ReasonForm(request.POST if request.method == "POST" else None)
        if request.method == "POST" and form.is_valid():
            try:
                saved = act(form.cleaned_data["reason"])
            except InvalidRule as error:
                form.add_error(None, _("It cannot be saved as it is: %(why)s") % {"why": error.problems[0]})
                return self.question(request, rule, title, sentence, form)
            done = rule_editor.SAVED[RuleState(saved.rule.state)]
            messages.success(request, str(done) if saved.changed else _("It was so already."))
            return redirect("admin:ops_rule_change", rule.pk)
        return self.question(request, rule, title, sentence, form)

    def question(self, request: HttpRequest, rule: Rule, title: str, sentence: str, form: ReasonForm) -> HttpResponse:
        context = {
            **console.each_context(request),
            "title": title,
            "sentence": sentence,
            "subject": rule.name,
            "form": form,
            "back": reverse("admin:ops_rule_change", args=[rule.pk]),
            "opts": self.opts,
        }
        return TemplateResponse(request, "ops/reason.html", context)

    def versions(self, request: HttpRequest, rule: Rule) -> HttpResponse:
        """Show what changed from version to version, by whom and why."""
        found = list(rule.versions.select_related("changed_by")[: VERSIONS + 1])
        context = {
            **console.each_context(request),
            "title": _("Versions of %(name)s") % {"name": rule.name},
            "rule": rule,
            "changes": list(changes_of(found)),
            "more": len(found) > VERSIONS,
            "may_change": request.user.has_perm("ops.change_rule"),
            "opts": self.opts,
        }
        return TemplateResponse(request, "ops/rules/versions.html", context)

    @display(description=gettext_lazy("rule"), ordering="name")
    def rule(self, rule: Rule) -> SafeString:
        notes = Truncator(rule.notes).chars(90, truncate=" …")
        return format_html('<span class="who">{}</span><span class="sub-line">{}</span>', rule.name, notes)

    @display(description=gettext_lazy("state"), ordering="state")
    def state_shown(self, rule: Rule) -> SafeString:
        return rule_pill(rule)

    @display(description=gettext_lazy("matches per day"))
    def days_shown(self, rule: Any) -> SafeString:
        return render_to_string("ops/rules/days_cell.html", {"rule": rule, "days": rule.days})

    @display(description=gettext_lazy("last match"), ordering="last_match")
    def last_shown(self, rule: Any) -> SafeString:
        return format_html('<span class="nowrap">{}</span>', ago(rule.last_match, rule.seen_at))

    @display(description=gettext_lazy("errors"), ordering="dead")
    def errors(self, rule: Any) -> SafeString | str:
        if not rule.dead:
            return NOTHING
        chosen = urlencode({"rule": rule.name, "state__exact": DeliveryState.DEAD.value})
        address = f"{reverse('admin:ops_delivery_changelist')}?{chosen}"
        return format_html('<a class="text-link number strong" href="{}">{}</a>', address, rule.dead)

    @display(description=gettext_lazy("looks at"))
    def scope(self, rule: Rule) -> str:
        accounts = _("all accounts") if rule.owner is None else rule.owner or _("primary account")
        return f"{accounts}, {rule.get_mode_display()}"

    @display(description=gettext_lazy("from"), ordering="path")
    def origin(self, rule: Rule) -> SafeString | str:
        if rule.path:
            folder, _slash, file = rule.path.rpartition("/")
            return format_html('<code class="wrap">{}/<wbr>{}</code>', folder, file)
        return format_html('<span class="nowrap">{}</span>', _("Console"))


def rule_of(number: int) -> Rule | None:
    return Rule.objects.prefetch_related("targets").filter(pk=number).first()


@dataclass(frozen=True)
class Change:
    """What one version changed: lines that went, came and stayed."""

    version: RuleVersion
    lines: tuple[tuple[str, str], ...]  # "gone", "new" or "same", and the line
    is_latest: bool


def changes_of(versions: list[RuleVersion]) -> Iterator[Change]:
    """Yield what each version changed in the one before it, the newest first."""
    for place, version in enumerate(versions[:VERSIONS]):
        before = versions[place + 1].document if place + 1 < len(versions) else {}
        yield Change(version, tuple(difference(written(before), written(version.document))), is_latest=place == 0)


def written(document: Document) -> list[str]:
    """Write a rule's document line by line, its pattern as people write one, always in the same order."""
    lines = []
    for key in KEYS:
        if key in document:
            value = document[key]
            pattern = key == "EventPattern" and isinstance(value, dict)
            text = written_pattern(value) if pattern else json.dumps(value, indent=2, ensure_ascii=False)
            lines += f"{key}: {text}".splitlines()
    return lines
