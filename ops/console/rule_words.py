"""What the console says about patterns: why one is refused and where, why an event does not fit, how a rule stands."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ops.console.display import Tone, pill
from ops.models import DeliveryState, Rule, RuleState
from ops.rules.explain import Explanation, Failure
from ops.rules.patterns import InvalidPattern
from ops.rules.places import Place, place_at, place_of

RULE_TONES: Mapping[str, Tone] = {
    RuleState.ON: Tone.GOOD,
    RuleState.TRIAL: Tone.WAITING,
    RuleState.OFF: Tone.STOPPED,
}
DELIVERY_TONES: Mapping[str, Tone] = {
    DeliveryState.DUE: Tone.WAITING,
    DeliveryState.DONE: Tone.GOOD,
    DeliveryState.DEAD: Tone.ATTENTION,
    DeliveryState.TRIED: Tone.STOPPED,
}
SHOWN_VALUES = 5


@dataclass(frozen=True)
class Refused:
    """Why a pattern is refused: in a sentence, at which path, where in the text, and what would be right."""

    reason: str
    path: str
    place: Place | None
    example: str


@dataclass(frozen=True)
class Verdict:
    """Whether an event fits, in a sentence; `path` is the first key that fails, with what is wanted and was found."""

    fits: bool
    title: str
    path: str = ""
    wanted: str = ""
    found: str = ""
    met: tuple[str, ...] = ()
    note: str = ""


def rule_pill(rule: Rule) -> SafeString:
    return pill(rule.get_state_display(), RULE_TONES[rule.state])


def delivery_pill(state: str) -> SafeString:
    return pill(str(DeliveryState(state).label), DELIVERY_TONES[state])


def refused(error: InvalidPattern, text: str) -> Refused:
    place = place_of(text, error.path)
    if "line" in error.values:  # it is no JSON: the reader says where
        place = place_at(text, offset_of(text, error.values["line"], error.values["column"]))
    return Refused(_(error.sentence) % error.values, error.path, place, error.example)


def offset_of(text: str, line: int, column: int) -> int:
    lines = text.split("\n")[: line - 1]
    return min(sum(map(len, lines)) + len(lines) + column - 1, len(text))


def verdict(explanation: Explanation) -> Verdict:
    if explanation.matches:
        return Verdict(True, _("This event fits."), met=explanation.met)
    note = ""
    if explanation.branches > 1:
        note = _("“$or” leaves %(n)d ways; this is the one that came furthest.") % {"n": explanation.branches}
    return Verdict(
        fits=False,
        title=failure_words(explanation),
        path=explanation.path,
        wanted=values_words(explanation.wanted),
        found=values_words(explanation.found),
        met=explanation.met,
        note=note,
    )


def failure_words(explanation: Explanation) -> str:
    match explanation.failure:
        case Failure.MISSING:
            return _("It does not fit: the event has no value there.")
        case Failure.PRESENT:
            return _("It does not fit: the event has a value where there should be none.")
        case Failure.APART:
            return _("It does not fit: no single element of the array has all of this at once: %(keys)s.") % {
                "keys": ", ".join(explanation.together)
            }
    return _("It does not fit: the value there is another.")


def values_words(values: Sequence[Any]) -> str:
    """Write JSON values side by side; of many, the first."""
    shown = ", ".join(json.dumps(value, ensure_ascii=False, default=str) for value in values[:SHOWN_VALUES])
    more = len(values) - SHOWN_VALUES
    if more <= 0:
        return shown
    return ngettext("%(shown)s and %(n)d more", "%(shown)s and %(n)d more", more) % {"shown": shown, "n": more}


def parsed(text: str) -> Any:
    """Return the JSON in a text; the text itself where it is none."""
    try:
        return json.loads(text)
    except ValueError:
        return text
