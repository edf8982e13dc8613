"""JSON as Step Functions writes and compares it."""

import json
from typing import Any

Json = Any
LARGEST_PAYLOAD = 262_144  # bytes of a state's input or output (Step Functions docs, "Quotas": 256 KiB)


def written(value: Json) -> str:
    """Return a value as compact JSON."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def size(value: Json) -> int:
    """Return how many bytes a value has as JSON. What is surely small is not written for it."""
    if value is None or isinstance(value, bool | int | float):
        return 20
    return len(written(value).encode())


def same_json(left: Json, right: Json) -> bool:
    """Say whether two values are the same JSON: true is not 1, and 1 is 1.0."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same_json(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same_json, left, right))
    return type_of(left) == type_of(right) and bool(left == right)


def type_of(value: Json) -> str:
    """Return the JSON type of a value, in the words of Step Functions' causes."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"
