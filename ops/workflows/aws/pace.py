"""How much AWS is asked, and how fast: what a round may do, and how long AWS is left in peace after trouble.

Step Functions docs, "Quotas related to API action throttling": each action of an account and region has a bucket that
fills again by some calls a second (ListExecutions 5, DescribeExecution 10, GetExecutionHistory 5 in small regions).
Others of the account draw from the same buckets.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

MOST_CALLS = 200  # of one round, all machines together
AT_ONCE = 50  # then one by one
CALLS_A_SECOND = 4.0
FIRST_REST, LONGEST_REST = timedelta(minutes=1), timedelta(hours=1)


@dataclass
class Allowance:
    """How many calls a round may still make."""

    left: int = MOST_CALLS
    sleep: Callable[[float], None] = time.sleep
    made: int = 0

    def take(self) -> bool:
        """Whether one more call may be made; waits for its time."""
        if self.left <= 0:
            return False
        self.left -= 1
        self.made += 1
        if self.made > AT_ONCE:
            self.sleep(1 / CALLS_A_SECOND)
        return True


@dataclass
class Tally:
    """What a round did."""

    listed: int = 0
    events: int = 0
    ended: int = 0
    redriven: int = 0
    children: int = 0  # of distributed Maps, as rows


def rest_after(troubles: int) -> timedelta:
    """How long AWS is left in peace after so many rounds in a row that came to trouble."""
    return min(FIRST_REST * 2.0 ** min(max(troubles - 1, 0), 10), LONGEST_REST)
