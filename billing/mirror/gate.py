"""The gate before each mirrored object: what may be written, what is old news, and when Stripe must be asked. Pure.

The mirror holds of an object what Stripe said at some second between `low` and `high`, by Stripe's own clock: the
`created` of the event whose payload was written (then both are that second), or the time of an answer of the API
(then `high` is the answer's Date, and `low` lies before the question). An event tells its object's state at its
`created`; several may fall into one second, and then nothing says which came last.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

Data = Mapping[str, Any]

FAR = 2**62  # a `high` that no event's time exceeds: whatever comes, Stripe is asked


@dataclass(frozen=True, slots=True)
class Gate:
    """What the mirror holds of one object, in seconds of Stripe's time. `version` counts the writes."""

    low: int
    high: int
    version: int
    gone: bool = False

    @property
    def asked(self) -> bool:
        """Whether it was stamped by an answer of the API rather than by an event."""
        return self.low != self.high


class Says(Enum):
    """What an event tells of its object."""

    STATE = "state"  # the whole object, in our API version
    GONE = "gone"  # that it was deleted
    NOTHING = "nothing"  # only that it changed: a thin event, another API version, a list that was cut short


@dataclass(frozen=True, slots=True)
class Word:
    """One event's word on its object."""

    created: int
    says: Says
    data: Data | None
    # Whether `created` can be compared with the time of API answers: test clocks make events of other times.
    timely: bool = True


class Verdict(Enum):
    WRITE = "write"  # the newest word is newer than what the mirror holds, and undisputed
    COVERED = "covered"  # the mirror holds something that is surely newer, or the same
    ASK = "ask"  # only Stripe knows


def judge(gate: Gate | None, words: Sequence[Word], *, stored: Data | None) -> tuple[Verdict, Word | None]:
    """Decide over the waiting words on one object, at least one; the second value is the word to write.

    `stored` is what the mirror's row holds; without a gate its age is unknown.
    """
    newest = max(word.created for word in words)
    last = [word for word in words if word.created == newest]
    if gate is None:
        return (Verdict.ASK, None) if stored is not None else undisputed(last)
    if gate.asked and not all(word.timely for word in words):
        return Verdict.ASK, None
    if newest < gate.low or (newest == gate.low == gate.high and all(repeats(word, gate, stored) for word in last)):
        return Verdict.COVERED, None
    if newest <= gate.high or gate.gone:  # ids that people choose may be used again after a deletion
        return Verdict.ASK, None
    return undisputed(last)


def repeats(word: Word, gate: Gate, stored: Data | None) -> bool:
    """Whether an event of the very second says just what the mirror holds."""
    if word.says is Says.GONE:
        return gate.gone
    return word.says is Says.STATE and not gate.gone and word.data == stored


def undisputed(last: Sequence[Word]) -> tuple[Verdict, Word | None]:
    """The words of the newest second, when they all say the same; else Stripe must be asked."""
    first, *others = last
    if first.says is Says.NOTHING or any(word.says is not first.says or word.data != first.data for word in others):
        return Verdict.ASK, None
    return Verdict.WRITE, first


def may_write(gate: Gate, *, low: int, expected_version: int | None, of_one_time: bool = True) -> bool:
    """Whether a state of second `low` or later may replace what the mirror holds.

    Yes when it is surely newer, or when it was asked for after the mirror's present state had been written and
    nothing else was written since (`expected_version` is the version read before asking). Where the two are not of one
    time (a test clock's, and that of answers), only the version tells.
    """
    return expected_version == gate.version or (low > gate.high and (of_one_time or not gate.version))
