"""How workflows are said to people: states of executions, of steps and of calls as pills, resources by short names."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ops.console.display import Tone, pill
from ops.models import CallState, Status, TaskCall
from ops.workflows.asl.reasons import Reason
from ops.workflows.steps import Outcome

STATUS_TONES: Mapping[str, Tone] = {
    Status.RUNNING: Tone.WAITING,
    Status.SUCCEEDED: Tone.GOOD,
    Status.FAILED: Tone.ATTENTION,
    Status.TIMED_OUT: Tone.ATTENTION,
    Status.ABORTED: Tone.STOPPED,
}
OUTCOMES: Mapping[Outcome, tuple[Any, Tone]] = {
    Outcome.DONE: (gettext_lazy("Done"), Tone.GOOD),
    Outcome.CAUGHT: (gettext_lazy("Failed, caught"), Tone.ATTENTION),
    Outcome.RUNNING: (gettext_lazy("Here now"), Tone.WAITING),
    Outcome.FAILED: (gettext_lazy("Failed"), Tone.ATTENTION),
    Outcome.STOPPED: (gettext_lazy("Stopped"), Tone.STOPPED),
}
CALL_TONES: Mapping[str, Tone] = {
    CallState.DUE: Tone.WAITING,
    CallState.WAITING: Tone.WAITING,
    CallState.ANSWERED: Tone.GOOD,
    CallState.TAKEN: Tone.GOOD,
    CallState.DROPPED: Tone.STOPPED,
}


def status_pill(status: str, paused_at: datetime | None = None) -> SafeString:
    if status == Status.RUNNING and paused_at:
        return pill(_("Paused"), Tone.STOPPED)
    return pill(str(Status(status).label), STATUS_TONES[status])


def outcome_word(outcome: Outcome) -> str:
    return str(OUTCOMES[outcome][0])


def outcome_pill(outcome: Outcome) -> SafeString:
    word, tone = OUTCOMES[outcome]
    return pill(str(word), tone)


def call_pill(call: TaskCall) -> SafeString:
    if call.state in (CallState.ANSWERED, CallState.TAKEN) and isinstance(call.answer, dict) and "error" in call.answer:
        return pill(_("Failed"), Tone.ATTENTION)
    return pill(str(CallState(call.state).label), CALL_TONES[call.state])


def reason_words(reason: Reason) -> str:
    """Why something is refused, in the viewer's language; what a library found out stays in its words."""
    return _(reason.sentence) % reason.values


def short_resource(arn: str) -> str:
    """A resource by what it does: `refund-invoice`, `ec2:stopInstances`, `sqs:sendMessage.waitForTaskToken`."""
    if ":states:::" in arn:
        return arn.partition(":states:::")[2].removeprefix("aws-sdk:")
    return arn.rpartition(":")[2] if arn.startswith("arn:") else arn
