"""What the functions of a template say, as far as the template itself tells. Pure.

AWS docs, "Intrinsic function reference" and "Pseudo parameters reference". Conditions are not read.
"""

import re
from collections.abc import Mapping
from typing import Any

from ops.rules.resources import DESTINATION

VARIABLE = re.compile(r"\$\{(!?)\s*([^${}]+?)\s*\}")
# Kinds whose ARN follows from their name: the property with the name, and the form.
NAMED = {
    "AWS::SQS::Queue": ("QueueName", "arn:{partition}:sqs:{region}:{account}:{name}"),
    "AWS::SNS::Topic": ("TopicName", "arn:{partition}:sns:{region}:{account}:{name}"),
    "AWS::StepFunctions::StateMachine": (
        "StateMachineName",
        "arn:{partition}:states:{region}:{account}:stateMachine:{name}",
    ),
    "AWS::Events::EventBus": ("Name", "arn:{partition}:events:{region}:{account}:event-bus/{name}"),
}
ARN_BY_REF = ("AWS::SNS::Topic", "AWS::StepFunctions::StateMachine")
ARN_ATTRIBUTES = ("Arn", "TopicArn")


class Unresolved(ValueError):
    """The template alone does not say the value. The message says what is missing."""


class Resolver:
    """Reads values of one template. `values` are those of parameters, pseudo parameters (AWS::Region) included."""

    def __init__(self, template: Mapping[str, Any], values: Mapping[str, str]) -> None:
        self.resources = as_mapping(template.get("Resources"))
        self.parameters = as_mapping(template.get("Parameters"))
        self.values = {"AWS::Partition": "aws", **values}

    def read(self, value: Any) -> Any:
        """Return the value with every function in it carried out. Raises Unresolved, or RecursionError in a circle."""
        if isinstance(value, list):
            return [self.read(inner) for inner in value]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            [(name, argument)] = value.items()
            if name == "Ref" and isinstance(argument, str):
                return self.ref(argument)
            if name.startswith("Fn::"):
                return self.function(name, argument)
        return {key: self.read(inner) for key, inner in value.items()}

    def function(self, name: str, argument: Any) -> Any:
        match name, argument:
            case "Fn::GetAtt", str():
                return self.attribute(*argument.partition(".")[::2])
            case "Fn::GetAtt", [str() as resource, str() as attribute]:
                return self.attribute(resource, attribute)
            case "Fn::Sub", str():
                return self.filled(argument, {})
            case "Fn::Sub", [str() as text, dict() as more]:
                return self.filled(text, more)
            case "Fn::Join", [str() as between, list() as parts]:
                return between.join(str(self.read(part)) for part in parts)
        raise Unresolved(f"{name} is not read here; write the value itself")

    def filled(self, text: str, more: Mapping[str, Any]) -> str:
        def value(found: re.Match[str]) -> str:
            literal, name = found.groups()
            if literal:
                return f"${{{name}}}"
            if name in more:
                return str(self.read(more[name]))
            resource, dot, attribute = name.partition(".")
            return str(self.attribute(resource, attribute) if dot else self.ref(name))

        return VARIABLE.sub(value, text)

    def ref(self, name: str) -> Any:
        if name in self.values:
            return self.values[name]
        if name in self.parameters:
            default = as_mapping(self.parameters[name]).get("Default")
            if default is None:
                raise Unresolved(f"the parameter {name} has no value; give it: --parameter {name}=…")
            return default
        resource = as_mapping(self.resources.get(name))
        if resource.get("Type") in ARN_BY_REF:
            return self.arn(name, resource)
        if resource.get("Type") == "AWS::Events::EventBus":
            return self.name_of(name, resource, "Name")
        if name.startswith("AWS::"):
            raise Unresolved(f"give --parameter {name}=…")
        raise Unresolved(f"what {name} will be is only known on AWS; write its name or ARN itself")

    def attribute(self, name: str, attribute: str) -> str:
        resource = as_mapping(self.resources.get(name))
        if attribute in ARN_ATTRIBUTES and resource.get("Type") == "AWS::Events::ApiDestination":
            return DESTINATION + self.name_of(name, resource, "Name")
        if attribute in ARN_ATTRIBUTES and resource.get("Type") in NAMED:
            return self.arn(name, resource)
        raise Unresolved(f"what {name}.{attribute} will be is only known on AWS; write the ARN itself")

    def arn(self, name: str, resource: Mapping[str, Any]) -> str:
        key, form = NAMED[str(resource["Type"])]
        return form.format(
            name=self.name_of(name, resource, key),
            partition=self.ref("AWS::Partition"),
            region=self.ref("AWS::Region"),
            account=self.ref("AWS::AccountId"),
        )

    def name_of(self, name: str, resource: Mapping[str, Any], key: str) -> str:
        said = as_mapping(resource.get("Properties")).get(key)
        if said is None:
            raise Unresolved(f"{name} has no {key}; AWS makes one up")
        return str(self.read(said))


def as_mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
