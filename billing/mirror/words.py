"""What waiting events say of their objects: from inbox rows to the gate's words. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

import orjson

from billing.inbox.claim import Waiting
from billing.mirror.gate import Gate, Says, Word
from billing.mirror.kinds import Ref, kind_for
from billing.mirror.shapes import is_cut_short
from billing.reactions import Step

Data = dict[str, Any]

# How far an event's `created` may lie from its arrival and still be of the time in which Stripe answers questions.
# In test mode alone: test clocks make events of other times (Stripe docs: "Test clocks").
LATE, EARLY = timedelta(hours=1), timedelta(minutes=5)

# Objects that go on being there after an event that is called "deleted" (`customer.subscription.deleted`).
LIVE_ON = frozenset({"subscription"})

# Objects that change without events of their own, so that their payloads prove nothing: an invoice item has one when it
# is made and none when an invoice takes it up (Stripe docs: "Types of events"; see `echoes.py`).
SILENT = frozenset({"invoiceitem"})


@dataclass(frozen=True)
class Told:
    """One event with what it says."""

    event: Waiting
    word: Word


@dataclass(frozen=True)
class Story:
    """All that waits about one object, oldest first."""

    ref: Ref
    told: tuple[Told, ...]

    @cached_property
    def words(self) -> list[Word]:
        return [told.word for told in self.told]

    @property
    def pks(self) -> list[int]:
        return [told.event.pk for told in self.told]

    @property
    def newest(self) -> Waiting:
        return self.told[-1].event

    @cached_property
    def last_shown(self) -> Data | None:
        """The whole object that the newest event has with it, be it of another version, or the object's end."""
        newest = self.told[-1]
        if newest.word.data is not None:
            return dict(newest.word.data)  # read already
        return None if newest.event.object_json is None else orjson.loads(newest.event.object_json)

    def says(self, data: Data | None) -> bool:
        """Whether one of the events tells just this state (None: that the object is gone)."""
        if data is None:
            return any(word.says is Says.GONE for word in self.words)
        return any(word.data == data for word in self.words)

    def steps(self, gate: Gate | None, *, until: int) -> tuple[Step, ...]:
        """The states that the object went through since `gate` and before the second `until`, where they are plain.

        Two events of one second are left out: nothing says which came first.
        """
        since = gate.high if gate else -1
        seconds = [told.word.created for told in self.told]
        return tuple(
            Step(dict(told.word.data), told.event.occurred_at)
            for told in self.told
            if told.word.data is not None
            and since < told.word.created < until
            and seconds.count(told.word.created) == 1
        )


def stories(events: Sequence[Waiting], *, api_version: str) -> dict[Ref, Story]:
    """Gather events by object; within an object they stand in Stripe's order, as far as seconds tell it."""
    gathered: dict[Ref, list[Told]] = {}
    for event in sorted(events, key=lambda event: (event.occurred_at, event.pk)):
        ref = Ref(event.object_kind, event.object_id)
        gathered.setdefault(ref, []).append(Told(event, word_of(event, api_version=api_version)))
    return {ref: Story(ref, tuple(told)) for ref, told in gathered.items()}


def word_of(event: Waiting, *, api_version: str) -> Word:
    created, timely = int(event.occurred_at.timestamp()), is_timely(event)
    kind = kind_for(event.object_kind)
    if event.type.endswith(".deleted") and event.object_kind not in LIVE_ON:
        return Word(created, Says.GONE, None, timely)
    if event.object_json is None or event.api_version != api_version or kind.expand or kind.name in SILENT:
        return Word(created, Says.NOTHING, None, timely)
    if kind.gathered and not event.livemode:  # a test clock dates one of its events, and the machine's clock another
        return Word(created, Says.NOTHING, None, timely)
    data: Data = orjson.loads(event.object_json)
    if is_cut_short(data) or data.get("deleted"):
        return Word(created, Says.NOTHING, None, timely)
    return Word(created, Says.STATE, data, timely)


def is_timely(event: Waiting) -> bool:
    return event.livemode or event.received_at - LATE <= event.occurred_at <= event.received_at + EARLY
