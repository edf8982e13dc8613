"""The parts of deployed workflows as AWS has them: read, made, changed and deleted, one class a kind.

Each part is a JSON value in the same form whether it is wanted or found, so that a difference between them is the plan.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any, Protocol
from urllib.parse import unquote

from botocore.exceptions import ClientError

from ops.effects import aws
from ops.workflows.aws.places import ALIAS, TAG, TAGS, Place, log_group_name, role_name

Json = Any
POLICY = "calls"
PATIENCE_SECONDS = (1, 2, 4, 8, 16)  # a role that was just made is known everywhere after some seconds
GONE = (
    "NoSuchEntity",
    "ResourceNotFound",
    "ResourceNotFoundException",
    "StateMachineDoesNotExist",
    "ActivityDoesNotExist",
)


class Kind(Protocol):
    """One kind of part, by the name of the machine (or effect) that it serves."""

    word: str

    def read(self, name: str) -> Json | None: ...
    def make(self, name: str, wanted: Json) -> None: ...
    def change(self, name: str, wanted: Json) -> None: ...
    def delete(self, name: str) -> None: ...


class NotOurs(Exception):
    """Something of this name is there, and was not made from here."""


def code_of(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def found_or_none(ask: Callable[[], Json]) -> Json | None:
    try:
        return ask()
    except ClientError as error:
        if code_of(error) in GONE:
            return None
        raise


def check_ours(what: str, tags: dict[str, str]) -> None:
    if TAG not in tags:
        raise NotOurs(f"{what} is there and was not made from here. Rename one of them, or tag it {TAG}=workflows.")


class Roles:
    word = "role"

    def __init__(self, place: Place) -> None:
        self.iam = aws.patient("iam", place.region)

    def read(self, name: str) -> Json | None:
        role = found_or_none(lambda: self.iam.get_role(RoleName=role_name(name))["Role"])
        if role is None:
            return None
        tags = {tag["Key"]: tag["Value"] for tag in self.iam.list_role_tags(RoleName=role_name(name))["Tags"]}
        check_ours(f"A role named {role_name(name)}", tags)
        policy = found_or_none(
            lambda: self.iam.get_role_policy(RoleName=role_name(name), PolicyName=POLICY)["PolicyDocument"]
        )
        return {"trust": document(role["AssumeRolePolicyDocument"]), "policy": document(policy)}

    def make(self, name: str, wanted: Json) -> None:
        self.iam.create_role(
            RoleName=role_name(name),
            AssumeRolePolicyDocument=json.dumps(wanted["trust"]),
            Description=f"What the state machine {name} may do.",
            Tags=[{"Key": key, "Value": value} for key, value in TAGS.items()],
        )
        self.put_policy(name, wanted)

    def change(self, name: str, wanted: Json) -> None:
        self.iam.update_assume_role_policy(RoleName=role_name(name), PolicyDocument=json.dumps(wanted["trust"]))
        self.put_policy(name, wanted)

    def put_policy(self, name: str, wanted: Json) -> None:
        text = json.dumps(wanted["policy"])
        self.iam.put_role_policy(RoleName=role_name(name), PolicyName=POLICY, PolicyDocument=text)

    def delete(self, name: str) -> None:
        self.iam.delete_role_policy(RoleName=role_name(name), PolicyName=POLICY)
        self.iam.delete_role(RoleName=role_name(name))


def document(value: Json) -> Json:
    """Policies come as objects from boto3, as quoted texts from some others."""
    return json.loads(unquote(value)) if isinstance(value, str) else value


class LogGroups:
    word = "log group"

    def __init__(self, place: Place) -> None:
        self.logs = aws.patient("logs", place.region)

    def read(self, name: str) -> Json | None:
        group = log_group_name(name)
        listed = self.logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
        found = next((each for each in listed if each["logGroupName"] == group), None)
        return {"retention_days": found.get("retentionInDays")} if found else None

    def make(self, name: str, wanted: Json) -> None:
        self.logs.create_log_group(logGroupName=log_group_name(name), tags=TAGS)
        self.change(name, wanted)

    def change(self, name: str, wanted: Json) -> None:
        self.logs.put_retention_policy(logGroupName=log_group_name(name), retentionInDays=wanted["retention_days"])

    def delete(self, name: str) -> None:
        self.logs.delete_log_group(logGroupName=log_group_name(name))


class Activities:
    word = "activity"

    def __init__(self, place: Place) -> None:
        self.place, self.states = place, aws.patient("stepfunctions", place.region)

    def read(self, name: str) -> Json | None:
        arn = self.place.activity(name)
        found = found_or_none(lambda: self.states.describe_activity(activityArn=arn))
        return {"arn": found["activityArn"]} if found else None

    def make(self, name: str, wanted: Json) -> None:
        self.states.create_activity(name=name, tags=listed(TAGS))

    def change(self, name: str, wanted: Json) -> None:
        raise AssertionError("An activity has nothing but its name.")

    def delete(self, name: str) -> None:
        self.states.delete_activity(activityArn=self.place.activity(name))

    def ours(self) -> Iterator[str]:
        """The names of all that were made from here."""
        for page in self.states.get_paginator("list_activities").paginate():
            for each in page["activities"]:
                if TAG in tags_of(self.states, each["activityArn"]):
                    yield each["name"]


class Machines:
    """A state machine with its versions and the alias that starts each by its share.

    Its value: {"head": the definition of those who start it without the alias, "versions": [{"weight", "definition",
    "role", "logging"}, …]}, the versions in the order of `ordered`.
    """

    word = "state machine"

    def __init__(self, place: Place, *, sleep: Callable[[float], None]) -> None:
        self.place, self.states = place, aws.patient("stepfunctions", place.region)
        self.sleep = sleep

    def read(self, name: str) -> Json | None:
        arn = self.place.machine(name)
        head = found_or_none(lambda: self.states.describe_state_machine(stateMachineArn=arn))
        if head is None:
            return None
        check_ours(f"A state machine named {name}", tags_of(self.states, arn))
        return {"head": json.loads(head["definition"]), "versions": [version for _, version in self.routed(name)]}

    def routed(self, name: str) -> list[tuple[str, Json]]:
        """The versions that the alias starts, each with its ARN."""
        alias = f"{self.place.machine(name)}:{ALIAS}"
        found = found_or_none(lambda: self.states.describe_state_machine_alias(stateMachineAliasArn=alias))
        by_arn = {}
        for route in found["routingConfiguration"] if found else []:
            made = self.states.describe_state_machine(stateMachineArn=route["stateMachineVersionArn"])
            by_arn[route["stateMachineVersionArn"]] = {
                "weight": route["weight"],
                "definition": json.loads(made["definition"]),
                "role": made["roleArn"],
                "logging": made.get("loggingConfiguration"),
            }
        return sorted(by_arn.items(), key=lambda item: order(item[1]))

    def make(self, name: str, wanted: Json) -> None:
        first, *others = wanted["versions"]
        given = {"name": name, "type": "STANDARD", "tags": listed(TAGS), "publish": True}
        made = self.patiently(lambda: self.states.create_state_machine(**given, **written(first)))
        routes = [route(made["stateMachineVersionArn"], first), *(self.publish(name, each) for each in others)]
        self.set_alias(name, routes, is_there=False)
        self.set_head(name, wanted)

    def change(self, name: str, wanted: Json) -> None:
        known = self.routed(name)
        routes = []
        for version in wanted["versions"]:
            arn = next((arn for arn, there in known if without_weight(there) == without_weight(version)), None)
            routes.append(route(arn, version) if arn else self.publish(name, version))
        self.set_alias(name, routes, is_there=bool(known))
        self.set_head(name, wanted)

    def publish(self, name: str, version: Json) -> Json:
        arn = self.place.machine(name)
        made = self.patiently(
            lambda: self.states.update_state_machine(stateMachineArn=arn, publish=True, **written(version))
        )
        return route(made["stateMachineVersionArn"], version)

    def set_alias(self, name: str, routes: list[Json], *, is_there: bool) -> None:
        if is_there:
            alias = f"{self.place.machine(name)}:{ALIAS}"
            self.states.update_state_machine_alias(stateMachineAliasArn=alias, routingConfiguration=routes)
        else:
            self.states.create_state_machine_alias(name=ALIAS, routingConfiguration=routes)

    def set_head(self, name: str, wanted: Json) -> None:
        arn = self.place.machine(name)
        there = json.loads(self.states.describe_state_machine(stateMachineArn=arn)["definition"])
        if there != wanted["head"]:
            version = next(each for each in wanted["versions"] if each["definition"] == wanted["head"])
            self.states.update_state_machine(stateMachineArn=arn, **written(version))

    def patiently(self, call: Callable[[], Json]) -> Json:
        """Call, again while AWS does not yet know the role, and at last in earnest."""
        for seconds in PATIENCE_SECONDS:
            try:
                return call()
            except ClientError as error:
                if code_of(error) != "AccessDeniedException":
                    raise
            self.sleep(seconds)
        return call()

    def delete(self, name: str) -> None:
        self.states.delete_state_machine(stateMachineArn=self.place.machine(name))

    def ours(self) -> Iterator[str]:
        """The names of all that were made from here."""
        for page in self.states.get_paginator("list_state_machines").paginate():
            for each in page["stateMachines"]:
                if TAG in tags_of(self.states, each["stateMachineArn"]):
                    yield each["name"]

    def is_there(self, name: str) -> bool:
        arn = self.place.machine(name)
        return found_or_none(lambda: self.states.describe_state_machine(stateMachineArn=arn)) is not None

    def is_running(self, name: str) -> bool:
        """Whether executions run, which would end with the machine."""
        given = {"stateMachineArn": self.place.machine(name), "statusFilter": "RUNNING", "maxResults": 1}
        return bool(self.states.list_executions(**given)["executions"])


def ordered(versions: list[Json]) -> list[Json]:
    """Versions in one order, however they came."""
    return sorted(versions, key=order)


def order(version: Json) -> tuple[int, str]:
    return -version["weight"], json.dumps(version["definition"], sort_keys=True)


def without_weight(version: Json) -> Json:
    return {**version, "weight": None}


def written(version: Json) -> dict[str, Any]:
    definition = json.dumps(version["definition"], ensure_ascii=False)
    return {"definition": definition, "roleArn": version["role"], "loggingConfiguration": version["logging"]}


def route(arn: str, version: Json) -> dict[str, Any]:
    return {"stateMachineVersionArn": arn, "weight": version["weight"]}


def listed(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in tags.items()]


def tags_of(states: Any, arn: str) -> dict[str, str]:
    tags = states.list_tags_for_resource(resourceArn=arn).get("tags", [])
    return {tag["key"]: tag["value"] for tag in tags}
