"""What an answer means: done, again, or refused for good. Pure."""

import json
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

from ops.effects.destinations.wire import Answer, Failure
from ops.effects.outcome import Done, Outcome, Refused, Retry

# AWS docs, "API destination error codes": 401, 407, 409, 429 and 5xx are tried again; a 401 only where it may be due to
# a token that has been refreshed since. 425 says "too early" (RFC 8470).
AGAIN = frozenset({407, 408, 409, 425, 429})
LONGEST_WAIT = timedelta(hours=1)  # whatever Retry-After asks for
STOP = timedelta(seconds=-1)


def outcome_of(came: Answer | Failure, *, now: datetime, said: Any = None) -> Outcome:
    """Return what an answer means for who called. `said` is the result where it was done."""
    if isinstance(came, Failure):
        return Refused(came.error) if came.final else Retry(came.error)
    if 200 <= came.status < 300:
        return Done(said)
    error = f"Http{came.status}: The destination answered {came.status} {phrase(came.status)}."
    if came.status in AGAIN or came.status >= 500:
        wait = retry_after(came.header("retry-after"), now=now)
        return Refused(f"{error[:-1]}, and asks not to be called again.") if wait == STOP else Retry(error, wait)
    if 300 <= came.status < 400:
        return Refused(f"{error[:-1]}: a redirect that is not followed.")
    return Refused(error)


def phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "(a status without a name)"


def retry_after(text: str | None, *, now: datetime) -> timedelta | None:
    """Read Retry-After, in seconds or as a date: at most an hour. None: nothing is said; STOP: a negative number.

    AWS docs, "API destination error codes": a negative value ends the tries.
    """
    if not text:
        return None
    try:
        wait = timedelta(seconds=min(float(text), LONGEST_WAIT.total_seconds()))
    except (ValueError, OverflowError):
        return until(text, now=now)
    return STOP if wait < timedelta() else wait


def until(text: str, *, now: datetime) -> timedelta | None:
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=now.tzinfo)
    return min(max(at - now, timedelta()), LONGEST_WAIT)


def is_alive(came: Answer | Failure) -> bool:
    """Whether the destination is there and works, whatever it thinks of the request: for the circuit breaker."""
    return isinstance(came, Answer) and came.status < 500


def is_unauthorized(came: Answer | Failure) -> bool:
    """AWS docs, "Authorization methods for connections": tokens are refreshed after 401 and 407."""
    return isinstance(came, Answer) and came.status in (401, 407)


def result_of(answer: Answer, text: str) -> dict[str, Any]:
    """Return what is told of an answer that was good: its status, and its body, read where it is JSON."""
    return {"status": answer.status, "body": text if answer.cut else read_json(text)}


def read_json(text: str) -> Any:
    """Return what a text says as PostgreSQL's jsonb can hold it; a text that is no JSON stays text."""
    try:
        return storable(json.loads(text, parse_constant=str))
    except (ValueError, RecursionError):
        return text


def storable(value: Any) -> Any:
    """Return JSON without what jsonb refuses: NUL, and halves of characters."""
    text = json.dumps(value, ensure_ascii=False).encode(errors="replace").decode()
    return json.loads(text.replace("\\u0000", "\\u2400"))
