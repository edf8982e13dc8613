"""The pattern language against a file of cases whose verdicts are known: one JSON object a line.

A case has `id`, `group`, `kind` (`match`, or `api` for TestEventPattern's checks of the envelope), `event_text`,
`pattern_text` and `expect`: true, false, or "error" where the pattern (for `api`, the event) is refused.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ops.rules.envelope import run_event_pattern
from ops.rules.patterns import compile_pattern, read_event


@dataclass(frozen=True)
class Wrong:
    id: str
    expect: bool | str
    got: bool | str


@dataclass
class Score:
    """`groups` maps the name of a group to how many of its cases are right, and how many there are."""

    wrong: list[Wrong] = field(default_factory=list)
    groups: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def right(self) -> int:
        return sum(right for right, _ in self.groups.values())

    @property
    def total(self) -> int:
        return sum(total for _, total in self.groups.values())

    def add(self, case: dict[str, Any], got: bool | str) -> None:
        is_right = got == case["expect"]
        right, total = self.groups.get(case["group"], (0, 0))
        self.groups[case["group"]] = (right + is_right, total + 1)
        if not is_right:
            self.wrong.append(Wrong(case["id"], case["expect"], got))


def score_patterns(lines: Iterable[str]) -> Score:
    """Judge the cases, which come as lines of JSON. Raises ValueError or KeyError for a line that is no case."""
    score = Score()
    for line in lines:
        if line.strip():
            case = json.loads(line)
            score.add(case, verdict_on(case))
    return score


def verdict_on(case: dict[str, Any]) -> bool | str:
    try:
        if case.get("kind") == "api":
            return run_event_pattern(case["event_text"], case["pattern_text"])
        return compile_pattern(case["pattern_text"]).matches(read_event(case["event_text"]))
    except ValueError:  # InvalidPattern, InvalidEvent, or an event that is no JSON object
        return "error"
    except RecursionError as fault:  # ours, and one wrong verdict; the other cases go on
        return type(fault).__name__
