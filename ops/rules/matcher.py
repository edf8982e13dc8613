"""Many rules against one event."""

from collections.abc import Hashable, Mapping
from typing import Any, Generic, TypeVar

from ops.rules.compiled import Pattern

Id = TypeVar("Id", bound=Hashable)


class Matcher(Generic[Id]):
    """The rules that one event matches. It never changes, and threads may share it."""

    def __init__(self, rules: Mapping[Id, Pattern]) -> None:
        self.rules = dict(rules)

    def match(self, event: dict[str, Any]) -> set[Id]:
        """Return the ids of the rules whose patterns the event matches."""
        return {rule for rule, pattern in self.rules.items() if pattern.matches(event)}
