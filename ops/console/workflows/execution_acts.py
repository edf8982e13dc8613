"""The buttons above an execution: what each would do is said, a reason is asked for, then it is done and recorded."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast
from uuid import uuid4

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import User
from billing.numerals import whole_number
from ops.console.replay import ReasonForm
from ops.console.site import console
from ops.console.workflows.on_aws import is_child, may_redrive
from ops.console.workflows.trying import read_json
from ops.console.written import MONO, text
from ops.models import CallState, Execution, Status, TaskCall
from ops.workflows import acts
from ops.workflows.acts import REDRIVABLE, CannotAct
from ops.workflows.asl.written import LARGEST_PAYLOAD
from ops.workflows.aws import acts as acts_on_aws
from ops.workflows.machines import NoVersion


class ResultForm(ReasonForm):
    """A result in place of what did not come, and why."""

    result = forms.CharField(
        label=gettext_lazy("Result"),
        help_text=gettext_lazy(
            "JSON: what the call would have answered. The state's own fields decide what becomes of it."
        ),
        max_length=LARGEST_PAYLOAD,
        initial="{}",
        widget=text(8, **MONO),
    )
    field_order = ("result", "reason")

    def clean_result(self) -> Any:
        return read_json(self.cleaned_data["result"])


@dataclass(frozen=True)
class Act:
    """One button: its words, what it means, and when it is there."""

    title: Any
    sentence: Any
    done: Any
    statuses: Sequence[str]
    run: Callable[[Execution, User, dict[str, Any]], object]
    form: type[ReasonForm] = ReasonForm
    paused: bool | None = None  # only where it is so
    danger: bool = False
    on_aws: bool = False  # AWS has such an act, too


def engine_of(row: Execution) -> Any:
    """Whose acts an execution has: this engine's, or those of Step Functions."""
    return acts_on_aws if row.arn else acts


# Whoever repairs a state has seen it fail: not another that failed since.
GONE_ON = gettext_lazy(
    "The execution has gone on since you opened this page, and nothing was done now. Look at where it stands, then "
    "decide anew."
)


def now() -> Any:
    return timezone.now()


ACTS: dict[str, Act] = {
    "pause": Act(
        gettext_lazy("Pause"),
        gettext_lazy("It rests where it stands. A call under way is still answered; the answer waits."),
        gettext_lazy("It is paused."),
        [Status.RUNNING],
        lambda row, actor, data: acts.pause(row, actor, reason=data["reason"], now=now()),
        paused=False,
    ),
    "resume": Act(
        gettext_lazy("Resume"),
        gettext_lazy("It goes on where it stands. What has become due meanwhile is done now."),
        gettext_lazy("It goes on."),
        [Status.RUNNING],
        lambda row, actor, data: acts.resume(row, actor, reason=data["reason"], now=now()),
        paused=True,
    ),
    "redrive": Act(
        gettext_lazy("Redrive from the failed state"),
        gettext_lazy(
            "Each state that failed or was broken off is tried again with the input that it had. States, branches and "
            "items that succeeded do not run again. Mend the cause first, or it fails as before."
        ),
        gettext_lazy("It goes on from the state that failed."),
        REDRIVABLE,
        lambda row, actor, data: engine_of(row).redrive(row, actor, reason=data["reason"], now=now()),
        on_aws=True,
    ),
    "result": Act(
        gettext_lazy("Give the state's result"),
        gettext_lazy("It goes on as if the state that failed had been answered this. Nothing is called for it."),
        gettext_lazy("It goes on with the result that you gave."),
        REDRIVABLE,
        lambda row, actor, data: acts.give_result(row, data["result"], actor, reason=data["reason"], now=now()),
        form=ResultForm,
    ),
    "skip": Act(
        gettext_lazy("Skip the state"),
        gettext_lazy(
            "It goes on after the state that failed, whose input becomes its output. What it should do is not done."
        ),
        gettext_lazy("It goes on after the state that failed."),
        REDRIVABLE,
        lambda row, actor, data: acts.skip(row, actor, reason=data["reason"], now=now()),
    ),
    "again": Act(
        gettext_lazy("Start again"),
        gettext_lazy(
            "Another execution begins with the same input, in the version of today. Its calls have keys of their own: "
            "what this execution has done already is done once more."
        ),
        gettext_lazy("Another execution was started."),
        [status for status in Status.values if status != Status.RUNNING],
        lambda row, actor, data: engine_of(row).start_again(row, data["name"], actor, reason=data["reason"], now=now()),
        danger=True,
        on_aws=True,
    ),
    "stop": Act(
        gettext_lazy("Stop"),
        gettext_lazy(
            "It ends here, and nothing more is called. What it has done already stays done: no refund or cancellation "
            "is taken back. It can be redriven from this state."
        ),
        gettext_lazy("It is stopped."),
        [Status.RUNNING],
        lambda row, actor, data: engine_of(row).stop(row, actor, reason=data["reason"], now=now()),
        danger=True,
        on_aws=True,
    ),
}


@dataclass(frozen=True)
class Button:
    title: str
    url: str
    danger: bool = False


def acts_on(row: Execution, calls: Sequence[TaskCall]) -> list[Button]:
    """The buttons that an execution has as it stands; calls that wait for somebody can be answered in their place."""
    found = [
        Button(str(act.title), address(row, name), act.danger)
        for name, act in ACTS.items()
        if row.status in act.statuses and act.paused in (None, row.paused_at is not None) and is_offered(row, name, act)
        if name != "redrive" or not acts.is_of_a_map(row)
    ]
    if row.status == Status.RUNNING:
        waiting = [call for call in calls if call.state == CallState.WAITING and not hasattr(call, "approval")][:3]
        found[:0] = [Button(answer_title(call, waiting), address(row, f"answer-{call.number}")) for call in waiting]
    return found


def is_offered(row: Execution, name: str, act: Act) -> bool:
    """On AWS, an item of a Map Run does not start or go on alone; nor does what AWS would refuse to redrive."""
    if not row.arn:
        return True
    if name == "redrive":
        return may_redrive(row, now())
    return act.on_aws and not (name == "again" and is_child(row))


def answer_title(call: TaskCall, waiting: Sequence[TaskCall]) -> str:
    """Which call a button answers: of several of one state, by its number."""
    told = {"state": call.state_name, "n": call.number}
    if sum(other.state_name == call.state_name for other in waiting) > 1:
        return _("Answer for %(state)s, call %(n)d") % told
    return _("Answer for %(state)s") % told


def address(row: Execution, act: str) -> str:
    return reverse("admin:ops_execution_act", args=[row.pk, act])


def act_named(name: str) -> Act:
    """The act of a name; `answer-3` answers the third call. Raises Http404."""
    word, _dash, number = name.partition("-")
    call = whole_number(number)
    if word == "answer" and call is not None:
        return Act(
            gettext_lazy("Answer in their place"),
            gettext_lazy("The execution goes on as if the call that it waits for had been answered this."),
            gettext_lazy("It goes on with the answer that you gave."),
            [Status.RUNNING],
            lambda row, actor, data: acts.answer_call(
                row, call, data["result"], actor, reason=data["reason"], now=now()
            ),
            form=ResultForm,
        )
    if name not in ACTS:
        raise Http404
    return ACTS[name]


def failed_words(row: Execution) -> str:
    """Where an execution ended and why, for who is about to repair it."""
    told = {"state": row.standing.partition("\n")[0] or "–", "error": row.error or row.get_status_display()}
    return _("It ended in “%(state)s”: %(error)s") % told


def say_not_now(row: Execution) -> str:
    """What is said to whoever opens an act's page by its address, and the execution does not stand so."""
    told = {"state": row.get_status_display().lower()}
    return _("The execution is %(state)s: this cannot be done with it.") % told


def ask(request: HttpRequest, row: Execution, act: str) -> HttpResponse:
    """Say what the act means and ask why; then do it."""
    chosen = act_named(act)
    form = chosen.form(request.POST if request.method == "POST" else None)
    back = reverse("admin:ops_execution_change", args=[row.pk])
    if request.method != "POST" and row.status not in chosen.statuses:
        messages.warning(request, say_not_now(row))
        return redirect(back)
    # Named before it is asked for, so that a button pressed twice starts one.
    name = request.POST.get("name", "")[:80] or f"{row.name[:60]}-again-{uuid4().hex[:8]}"
    if request.method == "POST" and form.is_valid():
        try:
            if chosen.statuses is REDRIVABLE and request.POST.get("events", str(row.events)) != str(row.events):
                raise CannotAct(GONE_ON)
            done = chosen.run(row, cast(User, request.user), form.cleaned_data | {"name": name})
        except (CannotAct, NoVersion) as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, str(chosen.done))
            return redirect("admin:ops_execution_change", done.pk) if isinstance(done, Execution) else redirect(back)
    context = {
        **console.each_context(request),
        "title": chosen.title,
        "subject": f"{row.machine.name} · {row.name}",
        "sentence": chosen.sentence,
        "about": failed_words(row) if chosen.statuses is REDRIVABLE and row.status in REDRIVABLE else "",
        "form": form,
        "fields": [field for field in form if field.name != "reason"],
        "hidden": {"name": name, "events": request.POST.get("events", str(row.events))},
        "back": back,
        "opts": Execution._meta,
    }
    return TemplateResponse(request, "ops/reason.html", context)
