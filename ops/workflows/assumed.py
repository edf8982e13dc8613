"""What effects are assumed to answer where an execution is walked through without calling anything."""

from collections.abc import Mapping
from typing import Any

Json = Any
# {} where nothing is said.
ASSUMED: Mapping[str, Json] = {
    "send-email": {"sent": 1, "refused": 0},
    "restore-access": {"restored": 1},
    "cancel-subscription": {"status": "canceled", "cancel_at_period_end": False},
    "void-invoice": {"status": "void"},
    "ask-approval": {"approved": False, "by": "", "reason": "assumed", "at": ""},
}
