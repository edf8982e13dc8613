"""CloudFormation templates as texts: JSON, or YAML with the short forms of functions. Pure.

CloudFormation docs, "Intrinsic function reference": `!Sub x` is `Fn::Sub: x`; `!Ref` and `!Condition` have no `Fn::`.
"""

import json
from typing import Any

import yaml

PLAIN = ("Ref", "Condition")


class Unreadable(ValueError):
    """The text is neither JSON nor YAML. The message says where."""


class Loader(yaml.SafeLoader):
    """YAML as CloudFormation reads it: versions that look like dates are texts."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def function(loader: Loader, name: str, node: Any) -> Any:
    """A function's short form as its long one."""
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if name == "GetAtt" and isinstance(value, str):
        value = list(value.partition(".")[::2])
    return {name if name in PLAIN else f"Fn::{name}": value}


Loader.add_multi_constructor("!", function)


def read_template(text: str) -> Any:
    """Read a template, or a definition. Raises Unreadable."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise Unreadable("It is nested too deeply.") from error
    except ValueError as not_json:
        try:
            return yaml.load(text, Loader)  # noqa: S506 - a SafeLoader
        except (yaml.YAMLError, RecursionError) as error:
            wrong = not_json if text.lstrip().startswith("{") else error
            raise Unreadable(" ".join(str(wrong).split())) from error
