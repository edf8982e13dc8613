"""Stripe's search language, as values: `email:'a@b.c' AND -metadata['plan']:'pro'` → clauses → yes or no.

Source: Stripe docs, "Search query language": a field, `:` (equal), `~` (contains), `>`, `<`, `>=`, `<=` (numbers), a
value in quotes, a number or null; `-` before a clause turns it round; all are joined by AND or all by OR.
"""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from sandbox.errors import ApiError
from sandbox.kinds import Doc

CLAUSE = re.compile(
    r"""\s*(?P<minus>-?)\s*(?P<field>[a-z_][\w.]*)(\[(?P<quote>["'])(?P<key>.*?)(?P=quote)\])?"""
    r"""\s*(?P<operator>>=|<=|[:~<>])\s*"""
    r"""(?P<value>null|true|false|-?\d+(\.\d+)?|"(\\.|[^"\\])*"|'(\\.|[^'\\])*')\s*(?P<joint>AND|OR|$)""",
    re.IGNORECASE,
)
MIN_SUBSTRING = 3
NUMBERS: dict[str, Callable[[float, float], bool]] = {
    ">": lambda held, wanted: held > wanted,
    "<": lambda held, wanted: held < wanted,
    ">=": lambda held, wanted: held >= wanted,
    "<=": lambda held, wanted: held <= wanted,
}


@dataclass(frozen=True)
class Clause:
    """`value` is None for null; `key` is set for metadata."""

    field: str
    key: str | None
    operator: str
    value: str | None
    negated: bool

    def fits(self, doc: Doc) -> bool:
        return self._holds(_held(doc, self.field, self.key)) != self.negated

    def _holds(self, held: Any) -> bool:
        if held is None or self.value is None:
            return held is None and self.value is None
        text = str(held).lower()
        if self.operator == "~":
            return self.value.lower() in text
        if self.operator == ":":
            return text == self.value.lower()
        return isinstance(held, int | float) and NUMBERS[self.operator](held, float(self.value))


@dataclass(frozen=True)
class Query:
    clauses: tuple[Clause, ...]
    every: bool

    def fits(self, doc: Doc) -> bool:
        return (all if self.every else any)(clause.fits(doc) for clause in self.clauses)


def parse(text: str, fields: Collection[str], resource: str) -> Query:
    """Raises ApiError for what is no query, for a field that cannot be searched and for AND mixed with OR."""
    clauses: list[Clause] = []
    joints: set[str] = set()
    position = 0
    while position < len(text) or not clauses:
        found = CLAUSE.match(text, position)
        if found is None:
            raise _refused("We were unable to parse your search query. Try using the format `metadata[\"key\"]:"
                           "\"value\"` to query for metadata or key:\"value\" to query for other fields.")  # fmt: skip
        clauses.append(_clause(found, fields, resource))
        joints.add(found["joint"].upper())
        position = found.end()
        if found["joint"] and position == len(text):
            raise _refused("We were unable to parse your search query: it ends where another clause is expected.")
    if {"AND", "OR"} <= joints:
        raise _refused("You can't combine AND and OR in the same search query.")
    return Query(tuple(clauses), every="OR" not in joints)


def _clause(found: re.Match[str], fields: Collection[str], resource: str) -> Clause:
    field, operator, value = found["field"], found["operator"], found["value"]
    if field not in fields or (field == "metadata") != (found["key"] is not None):
        raise _refused(
            f"Field `{field}` is an unsupported search field for resource `{resource}`. See "
            f"https://stripe.com/docs/search#query-fields-for-{resource.replace('_', '-')} for a list of supported "
            "fields."
        )
    quoted = value[0] in "\"'"
    given = re.sub(r"\\(.)", r"\1", value[1:-1]) if quoted else value
    if operator == "~" and len(given) < MIN_SUBSTRING:
        raise _refused(f"The substring search value must be at least {MIN_SUBSTRING} characters long.")
    if operator in NUMBERS and not re.fullmatch(r"-?\d+(\.\d+)?", given):
        raise _refused(f"The operator {operator} can only be used with a number, not with {value}.")
    empty = not quoted and value.lower() == "null"
    return Clause(field, found["key"], operator, None if empty else given, negated=bool(found["minus"]))


def _refused(message: str) -> ApiError:
    return ApiError(message, param="query")


def _held(doc: Doc, field: str, key: str | None) -> Any:
    value: Any = doc
    for part in [*field.split("."), *([key] if key is not None else [])]:
        value = value.get(part) if isinstance(value, dict) else None
    return value
