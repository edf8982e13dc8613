"""What a thread is made of."""

from dataclasses import dataclass
from datetime import datetime

GOOD = "good"
WAITING = "waiting"
ATTENTION = "attention"
STOPPED = "stopped"


@dataclass(frozen=True)
class Moment:
    """Something that happened, or will: `at` is None when it waits for somebody and no date is set."""

    at: datetime | None
    title: str
    detail: str = ""
    tone: str = ""


@dataclass(frozen=True)
class Now:
    """What is so: `title` large, `reason` below it, `word` for a state pill; `tone` is one of the four meanings."""

    title: str
    reason: str
    tone: str
    word: str
