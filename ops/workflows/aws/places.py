"""Where a state machine stands on AWS, and what its parts are called there. Pure."""

import re
from dataclasses import dataclass
from hashlib import sha256

REGION, ACCOUNT = "local", "000000000000"
LOCAL = re.compile(r"arn:aws:states:local:0{12}:(?P<kind>activity|stateMachine):(?P<name>[^\s:\"'()]{1,80})")
LOCAL_CONNECTION = re.compile(r"arn:aws:events:local:0{12}:connection/(?P<name>[.\-_A-Za-z0-9]{1,64})")
ALIAS = "live"  # starts the versions that the portal would start, each by its share
TAG = "kessai"  # on everything that was made from here: only that is ever pruned
TAGS = {TAG: "workflows"}


@dataclass(frozen=True)
class Place:
    """A region of an account."""

    region: str
    account: str
    partition: str = "aws"

    def states(self, kind: str, name: str) -> str:
        return f"arn:{self.partition}:states:{self.region}:{self.account}:{kind}:{name}"

    def activity(self, name: str) -> str:
        return self.states("activity", name)

    def machine(self, name: str) -> str:
        return self.states("stateMachine", name)

    def role(self, name: str) -> str:
        return f"arn:{self.partition}:iam::{self.account}:role/{role_name(name)}"

    def log_group(self, name: str) -> str:
        return f"arn:{self.partition}:logs:{self.region}:{self.account}:log-group:{log_group_name(name)}:*"

    def connection(self, name: str) -> str:
        """The ARN of a connection without the random part at its end."""
        return f"arn:{self.partition}:events:{self.region}:{self.account}:connection/{name}"

    def here(self, text: str) -> str:
        """A text with the portal's own state machines and activities as they are called at this place."""
        return LOCAL.sub(lambda found: self.states(found["kind"], found["name"]), text)

    def at_home(self, text: str) -> str:
        """A text of this place with names as the portal gives them: the way back of `here`."""
        states = rf"{re.escape(self.states('', ''))[:-1]}(activity|stateMachine):([^\s:\"'()]{{1,80}})"
        text = re.sub(states, rf"arn:aws:states:{REGION}:{ACCOUNT}:\1:\2", text)
        connections = rf"{re.escape(self.connection(''))}([.\-_A-Za-z0-9]{{1,64}})/[0-9a-f-]{{36}}"
        return re.sub(connections, rf"arn:aws:events:{REGION}:{ACCOUNT}:connection/\1", text)


def place_of(arn: str) -> Place:
    """Where something of Step Functions stands."""
    _, partition, _, region, account, *_ = arn.split(":")
    return Place(region, account, partition)


# In a CloudFormation template the stack itself says where it stands.
OF_STACK = Place("${AWS::Region}", "${AWS::AccountId}", "${AWS::Partition}")


def role_name(machine: str) -> str:
    name = f"kessai-{machine}"
    return name if len(name) <= 64 else f"{name[:55]}-{sha256(name.encode()).hexdigest()[:8]}"


def log_group_name(machine: str) -> str:
    """The prefix is AWS's advice: without it, each group's policy counts against a limit (docs, "Logging")."""
    return f"/aws/vendedlogs/states/{machine}"
