"""Stripe's search language: `email:'a@b.c' AND -metadata['plan']:'pro'` → clauses → a condition in SQL.

Source: Stripe docs, "Search query language": a field, `:` (equal), `~` (contains), `>`, `<`, `>=`, `<=` (numbers), a
value in quotes, a number or null; `-` before a clause turns it round; up to ten are joined by AND, which a space means
too, or all by OR. A field is a token (equal alone), a string (contains too) or numeric (compared too); a string equals
a value that has all of its words, in their order.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sandbox import search_index
from sandbox.errors import ApiError

CLAUSE = re.compile(
    r"""\s*(?P<minus>-?)\s*(?P<field>[a-z_][\w.]*)(\[(?P<quote>["'])(?P<key>.*?)(?P=quote)\])?"""
    r"""\s*(?P<operator>>=|<=|[:~<>])\s*"""
    r"""(?P<value>null|true|false|-?\d+(\.\d+)?|"(\\.|[^"\\])*"|'(\\.|[^'\\])*')"""
    r"""(?P<joint>\s*(?:AND|OR)\b|\s*$|\s+)""",
    re.IGNORECASE,
)
MIN_SUBSTRING = 3
MOST_CLAUSES = 10
BOOLEANS = ("active", "disputed", "shippable")
COMPARISONS = (">", "<", ">=", "<=")
STORED = {
    "created": "c.created",
    "subscription": "json_extract(t.body, '$._subscription')",
    "refunded": "CASE WHEN json_extract(t.body, '$.refunded') THEN 'true' "
    "WHEN json_extract(t.body, '$.amount_refunded') > 0 THEN 'false' END",
    "last_finalization_error_code": "json_extract(t.body, '$.last_finalization_error.code')",
    "last_finalization_error_type": "json_extract(t.body, '$.last_finalization_error.type')",
}
"""Where a field lies that is not found under its own name. A charge is `refunded` wholly (true), in part (false), or
not at all (null)."""
IDS = ("_subscription", "customer", "product")
"""Fields that hold ids, which are compared letter by letter where the index knows them."""
TRUTH = {"true": 1, "false": 0}


class Type(StrEnum):
    """What a field can be asked."""

    TOKEN = "token"  # noqa: S105
    STRING = "string"
    NUMERIC = "numeric"


OPERATORS = {Type.TOKEN: (":",), Type.STRING: (":", "~"), Type.NUMERIC: (":", *COMPARISONS)}


@dataclass(frozen=True)
class Clause:
    """`value` is None for null; `key` is set for metadata."""

    field: str
    type: Type
    key: str | None
    operator: str
    value: str | None
    negated: bool

    def sql(self) -> tuple[str, list[Any]]:
        """A condition on `t`, a row of the objects, and `c`, its place in the list; and its values. What is absent fits
        nothing but null."""
        held, values = self._held()
        if self.value is None:
            condition, values = f"{held} IS NULL", values
        elif self.operator == "~":
            condition, values = f"instr(folded({held}), ?) > 0", [*values, self.value.lower()]
        elif self.operator in COMPARISONS:
            condition, values = f"{held} {self.operator} ?", [*values, _number(self.value)]
        elif self.type == Type.STRING and self.words:
            condition, values = f"instr(worded({held}), ?) > 0", [*values, search_index.spaced(self.value)]
        elif self.field in BOOLEANS and self.value.lower() in TRUTH:
            condition, values = f"{held} = ?", [*values, TRUTH[self.value.lower()]]
        else:
            condition = f"({held} IS NOT NULL AND folded({held}) = ?)"
            values = [*values, *values, self.value.lower()]
        return (f"NOT coalesce({condition}, 0)" if self.negated else condition), values

    @property
    def words(self) -> list[str]:
        return search_index.words(self.value)

    def entry(self, kind: str, indexed: Collection[str]) -> tuple[str, str] | None:
        """The entry of the index that this clause asks for, if there is one."""
        value, field = self.value or "", {"subscription": "_subscription"}.get(self.field, self.field)
        if self.key is not None:
            return search_index.metadata(self.key), search_index.fold(value)
        if field in search_index.WORDS[kind]:
            return (search_index.word(field), max(self.words, key=len)) if self.words else None
        if field not in indexed:
            return None
        return field, value if field in IDS else value.lower()

    def _held(self) -> tuple[str, list[Any]]:
        if self.key is not None:
            return "(SELECT value FROM json_each(t.body, '$.metadata') WHERE key=?)", [self.key]
        if self.field in STORED:
            return STORED[self.field], []
        return "json_extract(t.body, ?)", [f"$.{self.field}"]


def _number(text: str) -> float | int:
    return float(text) if "." in text else int(text)


@dataclass(frozen=True)
class Query:
    clauses: tuple[Clause, ...]
    every: bool

    def sql(self) -> tuple[str, list[Any]]:
        """The condition of the whole query, and its values."""
        conditions = [clause.sql() for clause in self.clauses]
        joint = " AND " if self.every else " OR "
        return joint.join(condition for condition, _ in conditions), [
            value for _, values in conditions for value in values
        ]

    def entry(self, kind: str, indexed: Collection[str]) -> tuple[str, str] | None:
        """The entry of the index that everything found has, the rarest first; None when there is no such. `indexed`
        are the fields by which lists filter."""
        sure = [one for one in self.clauses if one.operator == ":" and one.value is not None and not one.negated]
        if not (self.every or len(self.clauses) == 1):
            return None
        entries = [one.entry(kind, indexed) for one in sure]
        return min((entry for entry in entries if entry), key=lambda entry: _rank(entry[0]), default=None)


def _rank(field: str) -> int:
    """Words and metadata are rarer than customers, those rarer than states."""
    return 0 if field.startswith("~") else 1 if field in IDS else 2


def parse(text: str, fields: Mapping[str, Type], resource: str) -> Query:
    """Raises ApiError for what is no query, for a field that cannot be searched or not so, for more than ten clauses
    and for AND mixed with OR."""
    clauses: list[Clause] = []
    joints: set[str] = set()
    position = 0
    while position < len(text) or not clauses:
        found = CLAUSE.match(text, position)
        if found is None:
            raise _refused("We were unable to parse your search query. Try using the format `metadata[\"key\"]:"
                           "\"value\"` to query for metadata or key:\"value\" to query for other fields.")  # fmt: skip
        clauses.append(_clause(found, fields, resource))
        position = found.end()
        joint = found["joint"].strip().upper()
        joints.add(joint or ("AND" if position < len(text) else ""))
        if joint and position == len(text):
            raise _refused("We were unable to parse your search query: it ends where another clause is expected.")
    if len(clauses) > MOST_CLAUSES:
        raise _refused(f"You can combine up to {MOST_CLAUSES} clauses in a search query; this one has {len(clauses)}.")
    if {"AND", "OR"} <= joints:
        raise _refused("You can't combine AND and OR in the same search query.")
    return Query(tuple(clauses), every="OR" not in joints)


def _clause(found: re.Match[str], fields: Mapping[str, Type], resource: str) -> Clause:
    field, operator, value = found["field"], found["operator"], found["value"]
    if field not in fields or (field == "metadata") != (found["key"] is not None):
        raise _refused(
            f"Field `{field}` is an unsupported search field for resource `{resource}`. See "
            f"https://stripe.com/docs/search#query-fields-for-{resource.replace('_', '-')} for a list of supported "
            "fields."
        )
    type = fields[field]
    if operator not in OPERATORS[type]:
        raise _refused(f"The operator `{operator}` is not supported for the field `{field}`, which is of type {type}.")
    quoted = value[0] in "\"'"
    given = re.sub(r"\\(.)", r"\1", value[1:-1]) if quoted else value
    if operator == "~" and len(given) < MIN_SUBSTRING:
        raise _refused(f"The substring search value must be at least {MIN_SUBSTRING} characters long.")
    if operator in COMPARISONS and not re.fullmatch(r"-?\d+(\.\d+)?", given):
        raise _refused(f"The operator {operator} can only be used with a number, not with {value}.")
    empty = not quoted and value.lower() == "null"
    return Clause(field, type, found["key"], operator, None if empty else given, negated=bool(found["minus"]))


def _refused(message: str) -> ApiError:
    return ApiError(message, param="query")
