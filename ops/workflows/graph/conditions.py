"""The conditions of a Choice in few signs: `$.amount > 5000 and not $.refunded = true`. Pure."""

import json
from collections.abc import Mapping
from typing import Any

Json = Any
SIGNS = {
    "Equals": "=",
    "LessThan": "<",
    "GreaterThan": ">",
    "LessThanEquals": "≤",
    "GreaterThanEquals": "≥",
    "Matches": "matches",
}
KINDS = ("String", "Numeric", "Boolean", "Timestamp")


def condition_words(rule: Mapping[str, Json], *, jsonata: bool) -> str:
    """Say when a rule of a Choice applies."""
    if jsonata:
        text = rule["Condition"]
        return text.removeprefix("{%").removesuffix("%}").strip() if isinstance(text, str) else json.dumps(text)
    return rule_words(rule)


def rule_words(rule: Mapping[str, Json]) -> str:
    if "Not" in rule:
        return f"not {bracketed(rule['Not'])}"
    for name in ("And", "Or"):
        if name in rule:
            return f" {name.lower()} ".join(bracketed(inner) for inner in rule[name])
    variable = str(rule.get("Variable", ""))
    operator = next((name for name in rule if name not in ("Variable", "Next", "Comment", "Assign", "Output")), "")
    return f"{variable} {comparison(operator, rule.get(operator))}"


def bracketed(rule: Mapping[str, Json]) -> str:
    words = rule_words(rule)
    return f"({words})" if "And" in rule or "Or" in rule else words


def comparison(operator: str, value: Json) -> str:
    if operator.startswith("Is"):
        word = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in operator[2:]).strip()
        return f"is {word}" if value else f"is not {word}"
    name = operator.removesuffix("Path")
    for kind in KINDS:
        name = name.removeprefix(kind)
    shown = value if operator.endswith("Path") else json.dumps(value, ensure_ascii=False)
    return f"{SIGNS.get(name, name)} {shown}"
