"""Documents as JSON, as the store keeps them and as Stripe writes its answers."""

from typing import Any

import orjson

from sandbox.kinds import Doc


def load(body: str) -> Doc:
    doc: Doc = orjson.loads(body)
    return doc


def dumps(value: Any) -> str:
    return orjson.dumps(value).decode()


def dumps_indented(value: Any) -> str:
    """As Stripe writes its answers: a line for each field, two spaces for each level."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
