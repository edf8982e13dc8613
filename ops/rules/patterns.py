"""EventBridge's event patterns: compile one, ask it about an event, have it explained why not. Pure.

The language is that of https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html; where the
documentation is silent, aws/event-ruler, the engine behind EventBridge, decides.
"""

import json
from json import JSONDecodeError
from typing import Any

from ops.rules import refusals
from ops.rules.compiled import Pattern
from ops.rules.explain import Explanation, Failure, explain
from ops.rules.grammar import DEEPEST, Notice, meaning_of
from ops.rules.reading import read_event, read_pattern_text
from ops.rules.refusals import InvalidPattern

__all__ = ["Explanation", "Failure", "InvalidPattern", "Notice", "Pattern", "compile_pattern", "explain", "read_event"]

LONGEST = 4096


def compile_pattern(pattern: dict[str, Any] | str) -> Pattern:
    """Compile a pattern, given as JSON text or as what `json.loads` makes of it. Raises InvalidPattern."""
    try:
        text = pattern if isinstance(pattern, str) else compact(pattern)
        if len(text) > LONGEST:
            raise InvalidPattern("", refusals.TOO_LONG, length=len(text), limit=LONGEST)
        tree = read_pattern_text(pattern) if isinstance(pattern, str) else pattern
    except RecursionError:
        raise InvalidPattern("", refusals.TOO_DEEP, limit=DEEPEST) from None
    except JSONDecodeError as error:
        raise InvalidPattern("", refusals.NOT_JSON, line=error.lineno, column=error.colno) from None
    return Pattern(pattern, meaning_of(tree))


def compact(pattern: dict[str, Any]) -> str:
    """The pattern as it would be sent to AWS."""
    return json.dumps(pattern, ensure_ascii=False, separators=(",", ":"), default=str)
