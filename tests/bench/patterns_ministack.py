"""Ministack's matcher on the same cases, run with its own Python; prints one line of JSON for tests.bench.patterns."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from ministack.services import eventbridge

from tests.bench.patterns_cases import AGAIN, ask_all, judged, read_cases, verdict


def main() -> None:
    cases = read_cases(Path(sys.argv[1]))
    single = [
        (eventbridge._matches_pattern, (pattern, eventbridge._event_from_test_payload(json.loads(event))))
        for pattern, event in cases.single
    ]
    rules = [(rule, json.dumps(pattern)) for rule, pattern in cases.rules]
    events = [eventbridge._event_from_test_payload(event) for event in cases.events[:50]]

    def one_verdict(pattern: str, event: str) -> bool | str:
        if eventbridge._event_pattern_error(pattern):
            return "error"
        payload = eventbridge._event_from_test_payload(json.loads(event))
        return verdict(lambda: bool(eventbridge._matches_pattern(pattern, payload)))

    def match_each(event: dict) -> list[str]:
        view = eventbridge._pattern_event_view(event)
        return [rule for rule, pattern in rules if eventbridge._matches_pattern_view(pattern, view)]

    measured = {
        "single": per_second(lambda: ask_all(single), len(single) * AGAIN),
        "thousand": per_second(lambda: [match_each(event) for event in events], len(events)),
        "right": judged(cases, one_verdict),
    }
    print(json.dumps(measured))


def per_second(work: Callable[[], object], size: int) -> float:
    work()  # warm: it compiles each pattern once
    began = time.process_time()
    work()
    return size / (time.process_time() - began)


if __name__ == "__main__":
    main()
