"""Time zones as people choose them."""

import zoneinfo
from datetime import datetime
from functools import lru_cache

ABSENT = "UTC"
REGIONS = (
    "Africa/",
    "America/",
    "Antarctica/",
    "Arctic/",
    "Asia/",
    "Atlantic/",
    "Australia/",
    "Europe/",
    "Indian/",
    "Pacific/",
)


@lru_cache(maxsize=1)
def known_zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def zone_or_utc(name: str) -> str:
    """Return the IANA name if it is one, else UTC; what a browser says is not to be trusted."""
    return name if name in known_zones() else ABSENT


def zone_choices(*, now: datetime, chosen: str) -> list[tuple[str, str]]:
    """Return (name, label) of UTC and every place, with its distance from UTC at `now`; the chosen one is always in."""
    places = {name for name in known_zones() if name.startswith(REGIONS)}
    return [
        (name, label_zone(name, now=now)) for name in [ABSENT, *sorted((places | {zone_or_utc(chosen)}) - {ABSENT})]
    ]


def label_zone(name: str, *, now: datetime) -> str:
    offset = now.astimezone(zoneinfo.ZoneInfo(name)).strftime("%z")
    return f"{name.replace('_', ' ')} (UTC{offset[:3]}:{offset[3:5]})" if name != ABSENT else ABSENT
