"""Moments as people type them: `2026-01-31`, `2026-01-31T12:00`, `36h`, `7d`. Pure."""

import re
from datetime import UTC, datetime, timedelta

AGO = re.compile(r"(\d{1,6})([mhd])")
UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def moment_of(text: str, *, now: datetime) -> datetime:
    """Return the moment that is meant; without a zone it is UTC. Raises ValueError with a sentence."""
    if ago := AGO.fullmatch(text.strip()):
        try:
            return now - timedelta(**{UNITS[ago[2]]: int(ago[1])})
        except OverflowError:
            raise ValueError(f"{text!r} ago is before all time.")
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"{text!r} is no moment: write 2026-01-31, 2026-01-31T12:00, 90m, 36h or 7d.")
    return at if at.tzinfo else at.replace(tzinfo=UTC)
