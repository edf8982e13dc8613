"""What every matcher is asked: the shared vectors. Imports nothing of the portal: ministack's own Python reads it."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

AGAIN = 20


@dataclass(frozen=True)
class Cases:
    judged: list[tuple[str, str, bool | str]]  # pattern, event, verdict
    single: list[tuple[str, str]]  # pattern, event: those of `judged` that are no refusals
    rules: list[tuple[str, dict[str, Any]]]  # id, pattern
    events: list[dict[str, Any]]
    expected: list[set[str]]  # ids of rules, by event


def read_cases(folder: Path) -> Cases:
    rows = [row for row in lines(folder / "event_patterns.jsonl") if row["kind"] == "match"]
    judged = [(row["pattern_text"], row["event_text"], row["expect"]) for row in rows]
    bench = folder / "bench"
    return Cases(
        judged=judged,
        single=[(pattern, event) for pattern, event, expect in judged if expect != "error"],
        rules=[(row["id"], row["pattern"]) for row in lines(bench / "rules_1000.jsonl")],
        events=list(lines(bench / "events_200.jsonl")),
        expected=[set(row["rules"]) for row in lines(bench / "expected_matches.jsonl")],
    )


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def judged(cases: Cases, one_verdict: Callable[[str, str], bool | str]) -> int:
    """Return how many verdicts are right."""
    return sum(one_verdict(pattern, event) == expect for pattern, event, expect in cases.judged)


def verdict(ask: Callable[..., bool], *arguments: Any) -> bool | str:
    try:
        return ask(*arguments)
    except Exception:  # a peer's way to refuse, or to fail
        return "error"


def ask_all(single: list[tuple[Callable[..., bool], tuple[Any, ...]]]) -> None:
    """Ask each pattern about its event AGAIN times in a row, as a pattern in use is asked about many."""
    for ask, arguments in single:
        for _ in range(AGAIN):
            verdict(ask, *arguments)
