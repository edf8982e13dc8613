"""The state machines of a CloudFormation template as definitions at home, whoever wrote it. Pure but for `fetch`.

CloudFormation docs, "AWS::StepFunctions::StateMachine": DefinitionString, Definition or DefinitionS3Location, in which
DefinitionSubstitutions fills in `${name}`; SAM's "AWS::Serverless::StateMachine" has Definition or DefinitionUri.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ops.rules.cloudformation.resolving import Resolver, Unresolved, as_mapping
from ops.rules.cloudformation.written import read_template
from ops.workflows.aws.moving import back, each_text
from ops.workflows.aws.places import ACCOUNT, REGION, Place

Json = Any
Fetch = Callable[[Mapping[str, str]], str]  # {"path"} or {"bucket", "key", "version"} → text; raises Unresolved
MACHINE, SERVERLESS = "AWS::StepFunctions::StateMachine", "AWS::Serverless::StateMachine"
NAMES = {MACHINE: "StateMachineName", SERVERLESS: "Name"}
PLACEHOLDER = re.compile(r"\$\{([A-Za-z0-9_]+)\}")
NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]+")
# What the template leaves to AWS stands between marks that no text has, until it is known whether it must be known.
LEFT = {name: f"\ue000{name}\ue001" for name in ("AWS::Region", "AWS::AccountId", "AWS::Partition")}
MARKED = re.compile("\ue000([^\ue001]+)\ue001")
OF_TEMPLATE = Place(LEFT["AWS::Region"], LEFT["AWS::AccountId"], LEFT["AWS::Partition"])
# Kinds that a `Ref` names: the property with the name, and how their ARNs begin.
WHERE = f"{OF_TEMPLATE.region}:{OF_TEMPLATE.account}"
BY_NAME = {
    "AWS::Lambda::Function": ("FunctionName", f"arn:{OF_TEMPLATE.partition}:lambda:{WHERE}:function:"),
    "AWS::DynamoDB::Table": ("TableName", f"arn:{OF_TEMPLATE.partition}:dynamodb:{WHERE}:table/"),
}
TOO_LITTLE = (LookupError, TypeError, AttributeError, ValueError, RecursionError)


@dataclass(frozen=True)
class Told:
    """One state machine of a template."""

    name: str
    definition: dict[str, Json]
    said: list[str] = field(default_factory=list)  # what of it does not come along, in sentences


class Machines(Resolver):
    """Reads values of a template as they are at home: its machines, activities and connections by their names."""

    def __init__(self, template: Mapping[str, Json], values: Mapping[str, str]) -> None:
        super().__init__(template, {**values, **LEFT})

    def ref(self, name: str) -> Json:
        kind = self.kind(name)
        if kind in NAMES or kind == "AWS::StepFunctions::Activity":
            return self.attribute(name, "Arn")
        if kind in ("AWS::StepFunctions::StateMachineVersion", "AWS::StepFunctions::StateMachineAlias"):
            raise Unresolved(f"{name} is a version of a machine; name the machine itself")
        if kind in BY_NAME:
            return self.name_of(name, self.resources[name], BY_NAME[kind][0])
        return super().ref(name)

    def attribute(self, name: str, attribute: str) -> str:
        kind, resource = self.kind(name), as_mapping(self.resources.get(name))
        if kind in NAMES and attribute == "Name":
            return self.machine(name)
        if attribute == "Arn" and kind in NAMES:
            return OF_TEMPLATE.machine(self.machine(name))
        if attribute in ("Arn", "Name") and kind == "AWS::StepFunctions::Activity":
            activity = self.name_of(name, resource, "Name")
            return activity if attribute == "Name" else OF_TEMPLATE.activity(activity)
        if attribute == "Arn" and kind == "AWS::Events::Connection":
            return f"arn:aws:events:{REGION}:{ACCOUNT}:connection/{self.name_of(name, resource, 'Name')}"
        if attribute == "Arn" and kind in BY_NAME:
            return BY_NAME[kind][1] + self.name_of(name, resource, BY_NAME[kind][0])
        return super().attribute(name, attribute)

    def kind(self, name: str) -> str:
        return str(as_mapping(self.resources.get(name)).get("Type", ""))

    def machine(self, name: str) -> str:
        """A machine's name; that of the resource where it has none: AWS would make one up."""
        resource = self.resources[name]
        said = as_mapping(resource.get("Properties")).get(NAMES[str(resource["Type"])])
        return NOT_IN_NAMES.sub("-", str(self.read(said)) if said is not None else name)[:80]


def machines_of(template: Json, values: Mapping[str, str], fetch: Fetch) -> tuple[list[Told], list[str]]:
    """Return the template's state machines, and sentences about those that cannot come.

    `values` are those of parameters, pseudo parameters included. The definitions may have flaws.
    """
    resolver = Machines(as_mapping(template), {"AWS::StackName": "stack", **values})
    named = [key for key in resolver.resources if resolver.kind(key) in NAMES]
    if not named:
        return [], [f"The template holds no {MACHINE}."]
    found, flaws = [], []
    for key in named:
        try:
            found.append(machine_of(key, resolver, values, fetch))
        except TOO_LITTLE as error:
            flaws.append(f"{key} cannot come: {words_of(error)}.")
    return found, flaws


def words_of(error: Exception) -> str:
    if isinstance(error, Unresolved):
        return str(error).rstrip(".")
    if isinstance(error, RecursionError):
        return "it goes round in a circle, or is nested too deeply"
    return f"its form is none of CloudFormation's ({type(error).__name__}: {error})"


def machine_of(key: str, resolver: Machines, values: Mapping[str, str], fetch: Fetch) -> Told:
    properties = as_mapping(resolver.resources[key].get("Properties"))
    name = resolver.machine(key)
    said = []
    if properties.get(NAMES[resolver.kind(key)]) is None:
        said.append(f"{name}: it is named after its resource, for the template gives it no name.")
    if "EXPRESS" in (properties.get("StateMachineType"), properties.get("Type")):
        said.append(f"{name}: it is of type EXPRESS there; here its executions are kept with their histories.")
    definition = definition_of(properties, resolver, fetch)
    home = filled(back(definition, OF_TEMPLATE), values)
    region, account = values.get("AWS::Region"), values.get("AWS::AccountId")
    if region and account:
        home = back(home, Place(region, account, values.get("AWS::Partition", "aws")))
    return Told(name, home, said)


def definition_of(properties: Mapping[str, Json], resolver: Machines, fetch: Fetch) -> dict[str, Json]:
    """The definition with all that the template fills in. Raises Unresolved, or what an odd form raises."""
    substitutions = resolver.read(as_mapping(properties.get("DefinitionSubstitutions")))
    given = properties.get("DefinitionString")
    if given is not None:
        text = resolver.read(given)
        return parsed(substituted(text, substitutions) if isinstance(text, str) else text)
    if properties.get("Definition") is not None:
        read = resolver.read(properties["Definition"])
        return parsed(each_text(read, lambda text: substituted(text, substitutions)))
    place = place_of(properties, resolver)
    return parsed(substituted(fetch(place), substitutions))


def place_of(properties: Mapping[str, Json], resolver: Machines) -> Mapping[str, str]:
    """Where a definition stands that is not in the template."""
    where = resolver.read(properties.get("DefinitionS3Location") or properties.get("DefinitionUri"))
    if isinstance(where, str) and where.startswith("s3://"):
        bucket, _, key = where.removeprefix("s3://").partition("/")
        return {"bucket": bucket, "key": key}
    if isinstance(where, str):
        return {"path": where}
    if not isinstance(where, Mapping):
        raise Unresolved("it has no DefinitionString, Definition or DefinitionS3Location")
    version = {"version": str(where["Version"])} if where.get("Version") else {}
    return {"bucket": str(where["Bucket"]), "key": str(where["Key"]), **version}


def substituted(text: str, substitutions: Mapping[str, Json]) -> str:
    """A text with the values of DefinitionSubstitutions; names that it has no value for are left."""
    return PLACEHOLDER.sub(
        lambda found: as_text(substitutions[found[1]]) if found[1] in substitutions else found[0], text
    )


def as_text(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def parsed(value: Json) -> dict[str, Json]:
    read = read_template(value) if isinstance(value, str) else value
    if not isinstance(read, dict):
        raise Unresolved("its definition is no object")
    return read


def filled(definition: dict[str, Json], values: Mapping[str, str]) -> dict[str, Json]:
    """A definition in which nothing is left to AWS. Raises Unresolved where a region or an account must be known."""
    known = {"AWS::Partition": "aws", **values}

    def value(found: re.Match[str]) -> str:
        if found[1] not in known:
            raise Unresolved(f"what it calls depends on where it runs; give --parameter {found[1]}=…")
        return known[found[1]]

    made: dict[str, Json] = each_text(definition, lambda text: MARKED.sub(value, text))
    return made
