"""The page on which a rule is written: as text, on an event of the past, with a backtest beside it."""

from typing import Any, cast

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import User
from ops.console.rule_backtest import PeriodForm
from ops.console.rule_days import days_of
from ops.console.rule_form import RuleForm, TargetForms, document_from, rule_initial, show_problems, target_initial
from ops.console.rule_try import TARGETS, event_context, try_pattern
from ops.console.rule_words import rule_pill
from ops.console.site import console
from ops.console.workflows.origins import targets_of
from ops.console.written import seen_version
from ops.models import Delivery, DeliveryState, Match, Rule, RuleState
from ops.rules.edit import ChangedMeanwhile, save_rule
from ops.rules.validate import InvalidRule, problems_of

SAVED = {
    RuleState.ON: gettext_lazy("Saved. It is on: events that come from now on call its targets."),
    RuleState.TRIAL: gettext_lazy("Saved. It is in trial: matches are recorded from now on, nothing is called."),
    RuleState.OFF: gettext_lazy("Saved. It is off: nothing is matched."),
}


def edit(request: HttpRequest, rule: Rule | None) -> HttpResponse:
    """Show the editor, or save what was typed; whatever is wrong, what was typed stays."""
    if request.method != "POST":
        targets = [target_initial(target) for target in rule.targets.all()] if rule else []
        form = RuleForm(initial=rule_initial(rule) | given_pattern(request))
        return page(request, rule, form, TargetForms(initial=targets, prefix=TARGETS))
    if not request.user.has_perm("ops.change_rule"):
        raise PermissionDenied
    form, targets_form = RuleForm(request.POST), TargetForms(request.POST, prefix=TARGETS)
    saved = save(request, rule, form, targets_form)
    if saved is None:
        return page(request, rule, form, targets_form, status=422)
    messages.success(request, str(SAVED[RuleState(saved.state)]))
    return redirect("admin:ops_rule_change", saved.pk)


def given_pattern(request: HttpRequest) -> dict[str, str]:
    """An address may bring a pattern along: other pages lead here with one."""
    return {"pattern": request.GET["pattern"]} if request.GET.get("pattern") else {}


def save(request: HttpRequest, rule: Rule | None, form: RuleForm, targets: Any) -> Rule | None:
    """Return the saved rule; None when something is wrong, which then stands in the forms."""
    right = form.is_valid() and targets.is_valid()
    document = document_from(form.cleaned_data, targets)
    if not right:
        form_errors = set(form.errors)
        problems = [problem for problem in problems_of(document) if problem.path != "Name" or "name" not in form_errors]
        show_problems(problems, form, targets)
        return None
    try:
        saved = save_rule(
            document,
            rule=rule,
            actor=cast(User, request.user),
            reason=form.cleaned_data["reason"],
            now=timezone.now(),
            seen_version=seen_version(request),
        )
    except InvalidRule as error:
        show_problems(error.problems, form, targets)
        return None
    except ChangedMeanwhile:
        form.add_error(
            None,
            _(
                "Somebody else has changed this rule since you opened it. What you typed is still here: look at their "
                "version in the history, then save again to put yours on top."
            ),
        )
        return None
    return saved.rule


def page(request: HttpRequest, rule: Rule | None, form: RuleForm, targets: Any, *, status: int = 200) -> HttpResponse:
    now = timezone.now()
    text = str(form["pattern"].value() or "")
    context = {
        **console.each_context(request),
        **event_context(request, first=last_match_of(rule), pattern=text),
        "title": rule.name if rule else _("New rule"),
        "rule": rule,
        "original": rule,
        "pill": rule_pill(rule) if rule else "",
        "form": form,
        "targets": targets,
        "period": PeriodForm(request.POST if request.method == "POST" else None),
        "may_change": request.user.has_perm("ops.change_rule"),
        "may_see_events": request.user.has_perm("billing.view_inboxevent"),
        "opts": Rule._meta,
    }
    context |= {"tried": try_pattern(text, context["event"]), "text": text}
    if rule:
        context |= {"days": days_of([rule.pk], now, days=30)[rule.pk], "counts": counts_of(rule)}
        context["machines"] = targets_of(rule)
        context["latest"] = rule.versions.select_related("changed_by").first()
    return TemplateResponse(request, "ops/rules/editor.html", context, status=status)


def last_match_of(rule: Rule | None) -> str:
    """Return the key of the event that the rule matched last: what it is tried on until another is chosen."""
    matches = Match.objects.filter(rule=rule).order_by("-matched_at") if rule else Match.objects.none()
    found = matches.values_list("inbox_id", flat=True).first()
    return "" if found is None else str(found)


def counts_of(rule: Rule) -> dict[str, Any]:
    """What the rule came to: its last match, calls by state."""
    states = Delivery.objects.filter(rule_name=rule.name).values_list("state").annotate(n=Count("pk"))
    by_state = dict(states.order_by())
    last = Match.objects.filter(rule=rule).order_by("-matched_at").values_list("matched_at", flat=True).first()
    return {
        "last": last,
        "dead": by_state.get(DeliveryState.DEAD, 0),
        "due": by_state.get(DeliveryState.DUE, 0),
        "done": by_state.get(DeliveryState.DONE, 0),
        "tried": by_state.get(DeliveryState.TRIED, 0),
    }
