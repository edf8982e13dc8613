"""What AWS's TestEventPattern asks of an event before it asks the pattern. Buses and our matcher ask nothing of it."""

from typing import Any

from ops.rules.patterns import compile_pattern
from ops.rules.reading import read_event

# Its documentation names `resources` too; the service takes events without.
REQUIRED = ("id", "account", "source", "time", "region", "detail-type")


class InvalidEvent(ValueError):
    """An event that TestEventPattern refuses; `missing` names the keys of the envelope that it lacks."""

    def __init__(self, missing: tuple[str, ...] = ()) -> None:
        self.missing = missing
        super().__init__(f"The event lacks {', '.join(missing)}." if missing else "The event is not a JSON object.")


def check_event(text: str) -> dict[str, Any]:
    """Return the event in `text` if it has EventBridge's envelope. Raises InvalidEvent."""
    try:
        event = read_event(text)
    except (ValueError, RecursionError):
        raise InvalidEvent from None
    missing = tuple(name for name in REQUIRED if name not in event)
    if missing:
        raise InvalidEvent(missing)
    return event


def run_event_pattern(event: str, pattern: str) -> bool:
    """Answer as TestEventPattern does. Raises InvalidEvent or InvalidPattern."""
    return compile_pattern(pattern).matches(check_event(event))
