"""How full the budget of calls to Stripe is just now, for people who look."""

from dataclasses import dataclass
from typing import Any

from billing.nudge import nudge_redis, quietly
from billing.stripe_budget import name_of, rate_of
from billing.turns import BURST_SECONDS

LOOK = """
local time = redis.call('TIME')
local kept = redis.call('HMGET', KEYS[1], 'background', 'rest')
return {time[1] * 1000000 + time[2], tonumber(kept[1] or 0), tonumber(kept[2] or 0)}
"""


@dataclass(frozen=True)
class Fullness:
    """Of one key's budget."""

    rate: float  # calls a second
    full: float  # 0 nobody calls, 1 every call waits for its turn
    resting: float  # seconds for which Stripe has asked to be left alone

    @property
    def percent(self) -> int:
        return round(self.full * 100)


def fullness(secret_key: str) -> Fullness | None:
    """Return it, or None when Redis does not say."""
    answer: Any = quietly(lambda: nudge_redis().eval(LOOK, 1, name_of(secret_key)))
    if answer is None:
        return None
    now, background, rest = map(float, answer)
    full = min(max((background - now) / (BURST_SECONDS * 1e6), 0.0), 1.0)
    return Fullness(rate_of(secret_key), full, max(rest - now, 0.0) / 1e6)
