"""What a target's ARN names. Pure.

AWS docs, "Event bus targets". The portal's own resources have region `local` and account `000000000000`:
effects are Step Functions activities, API destinations are EventBridge's.
"""

import re
from dataclasses import dataclass

from ops.rules.envelopes import ACCOUNT, REGION

ARN = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):(?P<service>[a-z0-9-]+):(?P<region>[a-z0-9-]*):(?P<account>\d{12}):(?P<rest>.+)"
)
EFFECT = f"arn:aws:states:{REGION}:{ACCOUNT}:activity:"
DESTINATION = f"arn:aws:events:{REGION}:{ACCOUNT}:api-destination/"
STATE_MACHINE = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:"
# Effects that stand among the kinds of targets by themselves: what operators look for most.
ACTIVITY_ARN, FINDING_ARN = f"{EFFECT}publish-activity", f"{EFFECT}open-finding"
# By service and what follows the account: the kind, and the name in its own words.
FORMS = (
    ("bus", "events", re.compile(r"event-bus/(?P<name>[/.\-_A-Za-z0-9]{1,256})")),
    ("destination", "events", re.compile(r"api-destination/(?P<name>[.\-_A-Za-z0-9]{1,64})(/[0-9a-f-]{36})?")),
    ("topic", "sns", re.compile(r"(?P<name>[A-Za-z0-9_-]{1,256}(\.fifo)?)")),
    ("queue", "sqs", re.compile(r"(?P<name>[A-Za-z0-9_-]{1,80}(\.fifo)?)")),
    ("state-machine", "states", re.compile(r"stateMachine:(?P<name>[^\s:]{1,80})(:[^\s:]{1,80})?")),
    ("effect", "states", re.compile(r"activity:(?P<name>[^\s:]{1,80})")),
)


@dataclass(frozen=True, slots=True)
class Resource:
    """`kind` is one of `TargetKind`."""

    kind: str
    name: str
    region: str
    account: str

    @property
    def is_local(self) -> bool:
        return self.region == REGION

    @property
    def is_fifo(self) -> bool:
        return self.name.endswith(".fifo")


def resource_of(arn: str) -> Resource:
    """Return what the ARN of a saved target names. Raises ValueError where that is nothing a rule can call."""
    resource = read_arn(arn)
    if resource is None:
        raise ValueError(f"{arn} names nothing that a rule can call.")
    return resource


def read_arn(arn: str) -> Resource | None:
    """Return what the ARN names; None where it is none that a rule can have as its target."""
    parts = ARN.fullmatch(arn)
    if parts is None:
        return None
    for kind, service, form in FORMS:
        found = form.fullmatch(parts["rest"]) if parts["service"] == service else None
        if found:
            special = {ACTIVITY_ARN: "activity", FINDING_ARN: "finding"}
            return Resource(special.get(arn, kind), found["name"], parts["region"], parts["account"])
    return None
