"""Patterns beside their peers: one against one event, a thousand against one, how cost grows with rules, verdicts.

python -m tests.bench.patterns [--rounds 5]

Peers are moto's matcher, which is here, and ministack's, which needs a botocore of its own: it is installed into
.venv-ministack the first time. Cases are the shared vectors (see tests/vectors.py). Each round asks every one in turn.
Seconds are of the processor, so that what else a machine does counts little.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

from config.env import BASE_DIR
from tests.bench.patterns_cases import AGAIN, Cases, ask_all, judged, read_cases, verdict
from tests.vectors import VECTORS

MINISTACK = "ministack==1.5.33"
ENVIRONMENT = BASE_DIR / ".venv-ministack"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(argv)
    if not VECTORS.exists():
        print(f"Not measured: there are no vectors at {VECTORS}. Say where they lie with VECTORS_DIR.")
        return 1
    cases = read_cases(VECTORS)
    peers: dict[str, Callable[[], dict[str, Any]]] = {"moto": lambda: measure_moto(cases)}
    if python := ministack_python():
        peers["ministack"] = lambda: measure_ministack(python)
    met: dict[str, list[dict[str, Any]]] = {name: [] for name in ("kessai", *peers)}
    for _ in range(options.rounds):
        met["kessai"].append(measure_ours(cases))
        for name, measure in peers.items():
            met[name].append(measure())
    report(met, cases)
    report_growth(options.rounds)
    return 0


def ministack_python() -> Path | None:
    """Return the Python of ministack's environment, made if need be; None, with a sentence, where it cannot be."""
    python = ENVIRONMENT / "bin" / "python"
    if python.exists() and subprocess.run([python, "-c", "import ministack"], check=False).returncode == 0:
        return python
    sys.stderr.write(f"· installing {MINISTACK} into {ENVIRONMENT.name}\n")
    venv.create(ENVIRONMENT, with_pip=True)
    installed = subprocess.run([python, "-m", "pip", "install", "-qq", MINISTACK], check=False)
    if installed.returncode:
        print(f"ministack is not measured: {MINISTACK} could not be installed into {ENVIRONMENT.name}.")
        return None
    return python


def measure_ours(cases: Cases) -> dict[str, Any]:
    from ops.rules.matcher import Matcher
    from ops.rules.patterns import InvalidPattern, compile_pattern, read_event

    def one_verdict(pattern: str, event: str) -> bool | str:
        try:
            return compile_pattern(pattern).matches(read_event(event))
        except InvalidPattern:
            return "error"

    single = [(compile_pattern(pattern).matches, (read_event(event),)) for pattern, event in cases.single]
    matcher = Matcher({rule: compile_pattern(pattern) for rule, pattern in cases.rules})
    return {
        "single": per_second(lambda: ask_all(single), len(single) * AGAIN),
        "thousand": per_second(lambda: [matcher.match(event) for event in cases.events], len(cases.events)),
        "wrong events": sum(
            matcher.match(event) != expected for event, expected in zip(cases.events, cases.expected, strict=True)
        ),
        "right": judged(cases, one_verdict),
    }


def measure_moto(cases: Cases) -> dict[str, Any]:
    from moto.events.models import EventPattern

    def one_verdict(pattern: str, event: str) -> bool | str:
        return verdict(lambda: EventPattern.load(pattern).matches_event(json.loads(event)))

    single = [(EventPattern.load(pattern).matches_event, (json.loads(event),)) for pattern, event in cases.single]
    rules = [(rule, EventPattern.load(json.dumps(pattern))) for rule, pattern in cases.rules]
    few = cases.events[:5]
    return {
        "single": per_second(lambda: ask_all(single), len(single) * AGAIN),
        "thousand": per_second(lambda: [[rule for rule, p in rules if p.matches_event(event)] for event in few], 5),
        "right": judged(cases, one_verdict),
    }


def measure_ministack(python: Path) -> dict[str, Any]:
    answer = subprocess.run(
        [python, "-m", "tests.bench.patterns_ministack", VECTORS], cwd=BASE_DIR, check=True, capture_output=True
    )
    measured: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    return measured


def per_second(work: Callable[[], object], size: int) -> float:
    work()  # warm
    began = time.process_time()
    work()
    return size / (time.process_time() - began)


def report(met: dict[str, list[dict[str, Any]]], cases: Cases) -> None:
    print(f"{'':<12}{'one pattern, one event':>26}{'1,000 rules, one event':>26}{'verdicts right':>22}")
    for name, rounds in met.items():
        single, thousand = (statistics.median(one[kind] for one in rounds) for kind in ("single", "thousand"))
        right = f"{rounds[0]['right']:,} of {len(cases.judged):,}"
        print(f"{name:<12}{single:>22,.0f}/s  {thousand:>15,.0f} events/s{right:>22}")
    ours = met.pop("kessai")
    for name, rounds in met.items():
        ratios = [
            statistics.median(mine[kind] / theirs[kind] for mine, theirs in zip(ours, rounds, strict=True))
            for kind in ("single", "thousand")
        ]
        print(
            f"kessai is {ratios[0]:.1f} times as fast as {name} on one pattern, {ratios[1]:,.0f} times on 1,000 rules."
        )
    wrong = ours[0]["wrong events"]
    print(f"Events of {len(cases.events)} for which the 1,000 rules found are not those expected: {wrong}.")


def report_growth(rounds: int) -> None:
    """Rules of one shape, of which one matches: what an event costs among 100 and among 10,000 of them."""
    from ops.rules.matcher import Matcher
    from ops.rules.patterns import compile_pattern

    took: dict[int, list[float]] = {100: [], 1000: [], 10_000: []}
    matchers = {}
    for count in took:
        rules = {n: compile_pattern(rule_of_tenant(n)) for n in range(count)}
        began = time.process_time()
        matchers[count] = Matcher(rules)
        print(f"An index of {count:,} rules is built in {(time.process_time() - began) * 1000:,.0f} ms.")
    for _ in range(rounds * 4):
        for count, matcher in matchers.items():
            took[count].append(1e6 / per_second(lambda: [matcher.match(EVENT) for _ in range(500)], 500))  # noqa: B023
    medians = {count: statistics.median(times) for count, times in took.items()}
    told = ", ".join(f"{micro:.1f} µs among {count:,}" for count, micro in medians.items())
    print(f"An event that one rule matches costs {told}: × {medians[10_000] / medians[100]:.2f} from 100 to 10,000.")


TYPES = ("invoice.paid", "invoice.payment_failed", "customer.subscription.updated", "charge.refunded")
EVENT = {
    "source": "aws.partner/stripe.com/ed_1",
    "detail-type": "invoice.paid",
    "detail": {"data": {"object": {"currency": "jpy", "amount": 5000, "metadata": {"tenant": "t-00040"}}}},
}


def rule_of_tenant(number: int) -> dict[str, Any]:
    concerns = {
        "currency": ["jpy"],
        "metadata": {"tenant": [f"t-{number:05}"]},
        "amount": [{"numeric": [">", 100 + number % 7]}],
    }
    return {
        "source": [{"prefix": "aws.partner/stripe.com"}],
        "detail-type": [TYPES[number % len(TYPES)]],
        "detail": {"data": {"object": concerns}},
    }


if __name__ == "__main__":
    sys.exit(main())
