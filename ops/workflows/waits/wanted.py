"""What is waited for: the input of the activity `await-event`, and under which keys a wait is filed. Pure.

A wait is filed under values of which every event that fits has one, so that an event asks after a handful of keys and
not after every wait. The more of an id a pattern names, the less it costs.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any

import msgspec

from ops.rules.compiled import CompiledBranch, Pattern
from ops.rules.envelopes import STRIPE, Received
from ops.rules.fields import Node, tree_of
from ops.rules.gathering import gather
from ops.rules.patterns import compile_pattern

Json = Any
ARN = "arn:aws:states:local:000000000000:activity:await-event"
OBJECT = "object"  # the name of the key that an Object is: what the inbox says that an event is about
ANY = ""  # the name, and the key, of waits that no value narrows
LONGEST_KEY = 512


class Wanted(msgspec.Struct, rename="pascal", forbid_unknown_fields=True):
    """`pattern`: an event pattern. `object`: a Stripe id, or what another source's event names first among its
    resources; only events about it count. `since`: events that arrived before do not count. `account`: the name of the
    configured Stripe account whose events count, where it is not that of the event which began the execution.
    """

    pattern: dict[str, Any]
    object: Annotated[str, msgspec.Meta(max_length=255)] = ""
    since: datetime | None = None
    account: Annotated[str, msgspec.Meta(max_length=32)] | None = None


class InvalidWait(ValueError):
    """The input of `await-event` cannot be waited for. The text says why, for `Cause`."""


def read_wanted(arguments: Json) -> Wanted:
    """Read the activity's input. Raises InvalidWait; for the pattern itself InvalidPattern."""
    try:
        wanted = msgspec.convert(arguments, Wanted)
    except msgspec.ValidationError as error:
        raise InvalidWait(str(error)) from None
    if wanted.since and wanted.since.tzinfo is None:
        raise InvalidWait("Since must say its time zone, as in 2026-03-01T12:00:00Z.")
    compile_pattern(wanted.pattern)
    return wanted


@dataclass(frozen=True, slots=True)
class Wait:
    """One wait, as far as events are asked about it."""

    pk: int
    pattern: str  # JSON
    object_id: str
    since: datetime
    not_event: str  # the id of the event that began the execution: it is no answer
    # Whose events of Stripe's count: a configured account's, in one mode. None: nobody said so when it began.
    owner: str = ""
    livemode: bool | None = None

    def is_met_by(self, row: Received, form: dict[str, Any]) -> bool:
        """Whether an event, in one of its envelopes, is what is waited for."""
        if row.received_at < self.since or row.external_id == self.not_event:
            return False
        if row.source == STRIPE and not self.is_of(row.owner, livemode=row.livemode):
            return False
        return self.object_id in ("", row.object_id) and compiled(self.pattern).matches(form)

    def is_of(self, owner: str, *, livemode: bool) -> bool:
        """Whether what an account has, in one mode, counts."""
        return self.livemode is None or (self.owner, self.livemode) == (owner, livemode)


@lru_cache(maxsize=4096)
def compiled(pattern: str) -> Pattern:
    return compile_pattern(pattern)


def keys_of(pattern: Pattern, object_id: str) -> tuple[str, list[str]]:
    """Return the name and the keys under which a wait is filed: every event that meets it has one of the keys."""
    if object_id:
        return OBJECT, [key_of(OBJECT, object_id)]
    named = [texts_by_name(branch) for branch in pattern.branches]
    shared = set.intersection(*(set(texts) for texts in named)) if named else set()
    if not shared:
        return ANY, [ANY]
    name = max(shared, key=lambda name: (telling(name, named), name))
    return name, sorted({key_of(name, text) for texts in named for text in texts[name]})


def texts_by_name(branch: CompiledBranch) -> dict[str, list[str]]:
    """The names at which a branch wants one of some texts, with these."""
    return {
        demand.name: [alternative.argument for alternative in demand.alternatives]
        for demand in branch.demands
        if demand.name != OBJECT and all(alternative.kind == "text" for alternative in demand.alternatives)
    }


def telling(name: str, named: Iterable[Mapping[str, Sequence[str]]]) -> int:
    """How few events have such a value: ids have digits and are long, types are one of hundreds, sources of a few."""
    if name in ("source", "detail.object", "account", "region"):
        return 0
    texts = [text for texts in named for text in texts[name]]
    if all(len(text) >= 8 and any(map(str.isdigit, text)) for text in texts):
        return 3
    return 2 if name in ("detail-type", "detail.type") else 1


def key_of(name: str, value: str) -> str:
    return f"{name}={value}"[:LONGEST_KEY].replace("\x00", "\ufffd")


class Keys:
    """Reads the keys of events, for the names under which waits are filed."""

    def __init__(self, names: Iterable[str]) -> None:
        named = sorted(names)
        self.by_object, self.any = OBJECT in named, ANY in named
        self._names = [name for name in named if name not in (OBJECT, ANY)]
        self._tree: Node = tree_of(self._names)

    @property
    def inside(self) -> bool:
        """Whether the event's own text has to be looked into."""
        return bool(self._names)

    def around(self, row: Received) -> Iterator[str]:
        """The keys that an inbox row has by its columns."""
        if self.any:
            yield ANY
        if self.by_object and row.object_id:
            yield key_of(OBJECT, row.object_id)

    def of(self, form: dict[str, Any]) -> Iterator[str]:
        """The keys that an event has in this envelope."""
        gathered = gather(form, self._tree, len(self._names))
        for name, value in zip(self._names, gathered.values, strict=True):
            for one in value if isinstance(value, list) else (value,):
                if isinstance(one, str):
                    yield key_of(name, one)
