"""A condition in SQL that every stored event which fits a pattern meets: less to read, and no match lost.

It only leaves out what surely does not fit; whether the rest fits is the pattern's own word. The type is in a column.
For the payload one jsonpath is made of what the pattern demands (PostgreSQL docs, "The SQL/JSON Path Language", lax
mode). What jsonpath sees otherwise than the pattern does, arrays in arrays and keys with dots, lets an event pass.
"""

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from ops.rules.alternatives import Alternative, NumberRange
from ops.rules.compiled import CompiledBranch, Pattern
from ops.rules.envelopes import STRIPE
from ops.rules.fields import Demand, Node

MOST_TESTS = 200  # of a pattern; one with more is narrowed by type alone
DETAIL_TYPE = "detail-type"
DETAIL = "detail"


@dataclass(frozen=True)
class Narrowing:
    """`sql` goes into a WHERE clause over the inbox; `values` are its parameters, whose names begin with `narrow_`."""

    sql: str
    values: dict[str, Any]


def narrow(pattern: Pattern, types: Sequence[str]) -> Narrowing:
    """Return what an inbox row must meet. `types`: all that the rows to be looked at have in their `type` column."""
    values: dict[str, Any] = {}
    arms = [
        arm
        for make in (of_stripe, of_the_bus, of_others)
        if (arm := make(pattern, types, lambda value: named(values, value)))
    ]
    return Narrowing(" OR ".join(f"({arm})" for arm in arms) or "false", values)


def named(values: dict[str, Any], value: Any) -> str:
    name = f"narrow_{len(values)}"
    values[name] = value
    return f"%({name})s"


def of_stripe(pattern: Pattern, types: Sequence[str], value: Callable[[Any], str]) -> str:
    """Stripe's events under Stripe's name: the envelope is made of the columns, `detail` is the payload."""
    fitting = [branch for branch in pattern.branches if asks(branch, "source", [STRIPE])]
    by_type = grouped(fitting, lambda branch: asks(branch, DETAIL_TYPE, asks(branch, f"{DETAIL}.type", types)))
    return within("source = 'stripe.com'", typed(by_type, value, root=(DETAIL,)))


def of_the_bus(pattern: Pattern, types: Sequence[str], value: Callable[[Any], str]) -> str:
    """Stripe's events as a bus called them: its envelope, kept beside the payload, says source and type itself."""
    by_type = grouped(pattern.branches, lambda branch: asks(branch, f"{DETAIL}.type", types))
    detail = typed(by_type, value, root=(DETAIL,))
    around = " OR ".join(unique(envelope_test(branch, value) for branch in pattern.branches))
    dotted = """bus_envelope::text ~ '"detail[.]'"""
    told = f"(({detail}) AND ({around})) OR {dotted}" if detail else dotted
    return within("source = 'stripe.com' AND bus_envelope IS NOT NULL", told)


def of_others(pattern: Pattern, types: Sequence[str], value: Callable[[Any], str]) -> str:
    """Events of other sources: the payload is the whole envelope."""
    by_type = grouped(pattern.branches, lambda branch: asks(branch, DETAIL_TYPE, types))
    return within("source <> 'stripe.com'", typed(by_type, value, root=()))


def within(which: str, condition: str) -> str:
    return f"{which} AND ({condition})" if condition else ""


def asks(branch: CompiledBranch, name: str, values: Sequence[str]) -> list[str]:
    """Return those of the values that the branch takes at a name where each event has exactly one."""
    demand = demand_at(branch, name)
    return list(values) if demand is None else [value for value in values if demand.holds(value)]


def demand_at(branch: CompiledBranch, name: str) -> Demand | None:
    place = branch.places.get(name)
    return None if place is None else branch.demands[place]


Grouped = list[tuple[tuple[str, ...], list[CompiledBranch]]]


def grouped(branches: Iterable[CompiledBranch], types_of: Callable[[CompiledBranch], Sequence[str]]) -> Grouped:
    """Put the branches that take the same types together, so that a payload is opened once for all of them."""
    groups: dict[tuple[str, ...], list[CompiledBranch]] = {}
    for branch in branches:
        if types := tuple(types_of(branch)):
            groups.setdefault(types, []).append(branch)
    return list(groups.items())


def typed(groups: Grouped, value: Callable[[Any], str], *, root: tuple[str, ...]) -> str:
    """The condition of one kind of row: its type is one of a group's, and its payload meets what the group demands."""
    arms = []
    for types, branches in groups:
        path = path_of(branches, root)
        inside = f" AND payload @? {value(path)}::jsonpath" if path else ""
        arms.append(f"(type = ANY({value(list(types))}){inside})")
    return " OR ".join(arms)


def envelope_test(branch: CompiledBranch, value: Callable[[Any], str]) -> str:
    """What the envelope of a bus must say of source and type; anything that is no text there passes."""
    tests = []
    for name in ("source", DETAIL_TYPE):
        demand = demand_at(branch, name)
        texts = texts_of(demand.alternatives) if demand else None
        if texts is not None:
            tests.append(
                f"(jsonb_typeof(bus_envelope -> '{name}') IS DISTINCT FROM 'string'"
                f" OR bus_envelope ->> '{name}' ^@ ANY({value(texts)}))"
            )
    return " AND ".join(tests) or "true"


def texts_of(alternatives: Sequence[Alternative]) -> list[str] | None:
    """Return beginnings of which a text must have one, or None where the alternatives do not say any."""
    if any(alternative.kind not in ("text", "prefix") for alternative in alternatives):
        return None
    return [without_quote(alternative) for alternative in alternatives]


def without_quote(alternative: Alternative) -> str:
    """To the engine a text ends with its quote: a prefix may end with that too, and then means the whole text."""
    text: str = alternative.argument
    return text.removesuffix('"') if alternative.kind == "prefix" else text


def path_of(branches: Sequence[CompiledBranch], root: tuple[str, ...]) -> str:
    """Return the jsonpath that every payload meets which fits one of the branches; empty where they demand nothing.

    `root`: the steps of the envelope at which the payload stands.
    """
    conditions: list[str] = []
    odd: list[str] = []
    for branch in branches:
        tests = [test for demand in branch.demands if (test := demand_test(demand, root))]
        if not tests:
            return ""
        conditions.append(" && ".join(tests))
        odd += oddities(node_at(branch.tree, root), "@")
    conditions, odd = unique(conditions), unique(odd)
    if sum(condition.count("&&") + 1 for condition in conditions) + len(odd) > MOST_TESTS:
        return ""
    return "$ ? (" + " || ".join([*(f"({condition})" for condition in conditions), *odd]) + ")"


def node_at(tree: Node, steps: tuple[str, ...]) -> Node:
    for step in steps:
        tree = tree.steps.get(step) or Node()
    return tree


def unique(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))


def demand_test(demand: Demand, root: tuple[str, ...]) -> str:
    """Return what a demand means for the payload, as a predicate of jsonpath; empty where it may mean nothing."""
    steps = tuple(demand.name.split("."))
    if demand.absent or steps[: len(root)] != root or len(steps) == len(root) or not all(map(writable, steps)):
        return ""
    if not root and steps[0] != DETAIL:
        return ""
    place = "@" + "".join(map(step_of, steps[len(root) :]))
    tests = unique(value_test(alternative) for alternative in demand.alternatives)
    return f"exists({place})" if "" in tests else f"exists({place} ? ({' || '.join(tests)}))"


def step_of(step: str) -> str:
    return f".{json.dumps(step)}"


def writable(text: str) -> bool:
    """Whether a text can stand in a jsonpath: PostgreSQL has no NUL and no half of a surrogate pair."""
    return "\x00" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def value_test(alternative: Alternative) -> str:
    """Return a predicate about `@` that every value meets which meets the alternative; empty where none is known."""
    kind, argument = alternative.kind, alternative.argument
    if kind in ("text", "prefix"):
        if not writable(argument):
            return ""
        return f"@ {'==' if kind == 'text' else 'starts with'} {json.dumps(without_quote(alternative))}"
    if kind == "suffix":
        return text_test("", argument.removeprefix('"'))
    if kind == "wildcard":
        return text_test(*argument, whole=True)
    if kind == "number":
        return number_test(NumberRange(argument, True, argument, True))
    if kind == "numeric":
        return number_test(argument)
    return f"@ == {kind}" if kind in ("true", "false", "null") else ""


PLAIN = re.compile(r"[A-Za-z0-9_ .:/@-]*")


def text_test(*parts: str, whole: bool = False) -> str:
    """Texts that have these parts in this order, up to their end; only for what needs no care in an expression."""
    if not all(map(PLAIN.fullmatch, parts)):
        return ""
    between = ".*".join(part.replace(".", "[.]") for part in parts)
    return f'@ like_regex "{"^" if whole else ""}{between}$" flag "s"'


def number_test(wanted: NumberRange) -> str:
    """The range, wider by the next double on each side: to jsonpath numbers are decimal, to the pattern doubles."""
    bottom, top = math.nextafter(wanted.bottom, -math.inf), math.nextafter(wanted.top, math.inf)
    tests = [f"@ >= {bottom!r}"] if math.isfinite(bottom) else []
    tests += [f"@ <= {top!r}"] if math.isfinite(top) else []
    return f"({' && '.join(tests)})" if tests else ""


def oddities(node: Node, place: str) -> Iterator[str]:
    """Yield what would make jsonpath look elsewhere than the pattern: keys with dots, and arrays in arrays."""
    for step in sorted(node.dotted):
        if writable(step):
            yield f"exists({place}{step_of(step)})"
    for step, child in node.steps.items():
        if writable(step):
            below = place + step_of(step)
            yield f'{below}[*].type() == "array"'
            yield from oddities(child, below)


def types_between(since: datetime, until: datetime) -> list[str]:
    """Return every type that the inbox has received in a period; each is found by one look into the index."""
    return types_where(THERE_BETWEEN, {"since": since, "until": until})


def all_types() -> list[str]:
    """Return every type that the inbox holds."""
    return types_where("true", {})


def types_where(condition: str, values: dict[str, Any]) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(f"{TYPES} AND {condition}", values)
        return [row[0] for row in cursor.fetchall()]


# PostgreSQL wiki, "Loose indexscan": DISTINCT would walk through all entries of the index.
TYPES = """
    WITH RECURSIVE there AS (
        (SELECT type FROM billing_inboxevent ORDER BY type LIMIT 1)
        UNION ALL
        SELECT (SELECT e.type FROM billing_inboxevent e WHERE e.type > there.type ORDER BY e.type LIMIT 1)
        FROM there WHERE there.type IS NOT NULL
    )
    SELECT type FROM there WHERE type IS NOT NULL
"""
THERE_BETWEEN = """EXISTS (
    SELECT 1 FROM billing_inboxevent e
    WHERE e.type = there.type AND e.received_at >= %(since)s AND e.received_at < %(until)s)"""
