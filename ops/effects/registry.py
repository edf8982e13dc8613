"""Effects by name: each changes the world in one way, takes typed input, and answers with an Outcome.

    @effect("publish-activity", takes=Notice, errors={"NoOrganization": "The customer belongs to nobody here."})
    def publish_activity(notice: Notice, call: Call) -> Outcome: …

An effect's resource name is that of a Step Functions activity, `arn:aws:states:local:000000000000:activity:NAME`; an
export to AWS gives it a real region and account. The same call with the same key must have its effect once, however
often it is made. Input is checked against the type before anything is called.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from ops.effects.outcome import Later, Outcome, Refused

ARN = "arn:aws:states:local:000000000000:activity:"


@dataclass(frozen=True)
class Call:
    """What every call of an effect knows besides its input."""

    key: str  # the idempotency key
    now: datetime
    cause: str  # who calls, for people: the rule's or the state machine's name
    event_id: str = ""  # the event that it goes back to
    customer_id: str = ""  # the customer of that event, where it has one
    step: str = ""  # execution and state: the same however often that state tries again; empty outside a workflow
    call_id: int = 0  # the row of a workflow's call, for what answers later; 0: nobody would get an answer
    task_id: int = 0  # the same, where the workflow runs on Step Functions
    until: datetime | None = None  # how long a workflow waits for an answer; None: for ever
    depth: int = 1  # events that the effect publishes carry it: chains of rules must end


Run = Callable[[Any, Call], Outcome | Later]


@dataclass(frozen=True)
class Effect:
    """`errors` names every error that it may refuse with, each with what it means."""

    name: str
    takes: type[msgspec.Struct]
    errors: Mapping[str, str]
    meaning: str
    run: Run

    @property
    def arn(self) -> str:
        return ARN + self.name

    def call(self, text: str, call: Call) -> Outcome | Later:
        """Call it with JSON text; Refused where that is not what it takes."""
        try:
            given = msgspec.json.decode(text, type=self.takes)
        except (msgspec.DecodeError, UnicodeEncodeError) as error:
            return Refused(f"InvalidInput: {error}")
        return self.run(given, call)

    def why_not(self, text: str) -> str | None:
        """Say what is wrong with an input, None where it would be taken."""
        try:
            msgspec.json.decode(text, type=self.takes)
        except (msgspec.DecodeError, UnicodeEncodeError) as error:
            return str(error)
        return None

    @property
    def schema(self) -> dict[str, Any]:
        """What it takes, as JSON Schema."""
        return msgspec.json.schema(self.takes)


EFFECTS: dict[str, Effect] = {}


def effect(name: str, *, takes: type[msgspec.Struct], errors: Mapping[str, str] | None = None) -> Callable[[Run], Run]:
    """Register an effect under its name; the function's docstring says what it does."""

    def register(run: Run) -> Run:
        if name in EFFECTS:
            raise ValueError(f"There are two effects named {name}.")
        EFFECTS[name] = Effect(name, takes, errors or {}, (run.__doc__ or "").strip(), run)
        return run

    return register


def by_arn(arn: str) -> Effect | None:
    """Return the effect of this resource name; None for one that is not registered here."""
    return EFFECTS.get(arn.removeprefix(ARN)) if arn.startswith(ARN) else None
