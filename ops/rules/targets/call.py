"""One call of a target, as every kind of target is given it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any


@dataclass(frozen=True, slots=True)
class TargetCall:
    rule_name: str
    target_name: str
    kind: str
    arn: str
    input: str  # JSON text, or lines of it
    parameters: Mapping[str, Any]  # EventBridge's own: SqsParameters, HttpParameters
    key: str
    depth: int
    event_id: str
    event_type: str
    customer_id: str
    now: datetime

    @property
    def short_key(self) -> str:
        """The key in 64 characters that every service takes: letters and digits."""
        return sha256(self.key.encode()).hexdigest()

    def group(self) -> str:
        """The message group of FIFO queues and topics: what the rule says, else the customer, whose order is kept."""
        given = self.parameters.get("SqsParameters", {}).get("MessageGroupId", "")
        return str(given or self.customer_id or self.rule_name)[:128]
