"""Errors of the States Language by their names (Step Functions docs, "Handling errors in workflows")."""

from dataclasses import dataclass

ALL = "States.ALL"
TASK_FAILED = "States.TaskFailed"
TIMEOUT = "States.Timeout"
HEARTBEAT_TIMEOUT = "States.HeartbeatTimeout"
RUNTIME = "States.Runtime"
QUERY = "States.QueryEvaluationError"
DATA_LIMIT = "States.DataLimitExceeded"
TOO_MANY_FAILED = "States.ExceedToleratedFailureThreshold"
ITEM_READER = "States.ItemReaderFailed"
# Neither retried nor caught, whatever a state says.
TERMINAL = frozenset({RUNTIME})
# What "States.TaskFailed" does not stand for.
NO_TASK_FAILURE = frozenset({TIMEOUT, RUNTIME, DATA_LIMIT, QUERY, TOO_MANY_FAILED})


@dataclass(frozen=True, slots=True)
class Failure:
    """What a state ended with when it failed: an error's name, and the sentence that tells why; either may be none."""

    error: str | None = None
    cause: str | None = None

    def output(self) -> dict[str, str]:
        """Return the error output that a catcher hands on."""
        given = {"Error": self.error, "Cause": self.cause}
        return {name: value for name, value in given.items() if value is not None}


class StateFailed(Exception):
    """A state failed while it was evaluated."""

    def __init__(self, error: str | None, cause: str | None, *, located: bool = True) -> None:
        super().__init__(cause)
        self.error = error
        self.cause = cause
        self.located = located  # whether the sentence wants to be told with the place where it happened
        self.map_started = False  # a Map failed after it had begun, though before its first item

    def failure(self, state: str, event_id: int) -> Failure:
        """Return the failure with its place, as Step Functions words it."""
        if not self.located or self.cause is None:
            return Failure(self.error, self.cause)
        where = f"An error occurred while executing the state '{state}' (entered at the event id #{event_id}). "
        return Failure(self.error, where + self.cause)


def runtime(cause: str) -> StateFailed:
    return StateFailed(RUNTIME, cause)


def matches(wanted: list[str], error: str | None) -> bool:
    """Say whether a retrier's or catcher's ErrorEquals names this error, or a kind that it is of (ASL, "Errors")."""
    if error in TERMINAL:
        return False
    for name in wanted:
        if name in (error, ALL):
            return True
        if name == TASK_FAILED and error not in NO_TASK_FAILURE:
            return True
        if name == TIMEOUT and error == HEARTBEAT_TIMEOUT:
            return True
    return False
