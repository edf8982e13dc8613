"""What the official library declares of each kind of object, and where a document differs from it.

The library's classes are made from Stripe's published schema: which fields there are, which may be null, which values
an enumeration has. They are read as source, for their annotations cannot all be evaluated.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import stripe

from tests.sandbox import published

HOME = Path(stripe.__file__).parent
NO_FIELDS = ("OBJECT_NAME", "_inner_class_types")
PLAIN: dict[str, Any] = {"str": str, "int": int, "float": (int, float), "bool": bool}
BESIDE = ("list", "v2.core.event", "search_result", "payment_page")
"""Kinds that are declared otherwise: lists by what is in them, thin events one by one, a page's own object nowhere."""
FREE = ("Any", "StripeObject", "UntypedStripeObject", "Decimal", "Dict", "Mapping")


@dataclass
class Declared:
    """A class: its fields with their annotations, and the classes inside."""

    fields: dict[str, ast.expr] = field(default_factory=dict)
    inner: dict[str, "Declared"] = field(default_factory=dict)
    outer: "Declared | None" = None

    def find(self, name: str) -> "Declared | None":
        return self.inner.get(name) or (self.outer.find(name) if self.outer else None)


@cache
def kinds() -> dict[str, Declared]:
    """By the name that stands in an object's `object`."""
    found = {}
    for path in HOME.rglob("_*.py"):
        if {"params", "events"} & set(path.parts) or path.name.endswith("_service.py"):
            continue
        for node in ast.parse(path.read_text()).body:
            name = _object_name(node) if isinstance(node, ast.ClassDef) else None
            if name and isinstance(node, ast.ClassDef):
                found[name] = _declared(node, None)
    return found


def _object_name(node: ast.ClassDef) -> str | None:
    for line in node.body:
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name) and line.target.id == "OBJECT_NAME":
            words = [one.value for one in ast.walk(line) if isinstance(one, ast.Constant)]
            return str(words[0]) if words else None
    return None


def _declared(node: ast.ClassDef, outer: Declared | None) -> Declared:
    made = Declared(outer=outer)
    for line in node.body:
        if isinstance(line, ast.ClassDef):
            made.inner[line.name] = _declared(line, made)
        elif isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name) and line.target.id not in NO_FIELDS:
            made.fields[line.target.id] = line.annotation
    return made


def misfits(answer: dict[str, Any]) -> list[str]:
    """The differences in an answer of the API, in each object of a list that it may be."""
    docs = answer["data"] if isinstance(answer.get("data"), list) else [answer]
    return [difference for doc in docs if isinstance(doc, dict) for difference in differences(doc)]


def differences(doc: dict[str, Any], path: str = "") -> Iterator[str]:
    """Each difference as `path: what`. An object of an unknown kind is one."""
    known = kinds().get(doc.get("object", ""))
    path = path or doc.get("object", "?")
    if doc.get("deleted") is True:
        return
    if known is None and doc.get("object") not in BESIDE:
        yield f"{path}: no such kind of object"
        return
    if known and doc["object"] not in BESIDE:
        yield from _of_class(known, doc, path)
    yield from published.faults(doc.get("object", ""), doc, path)


def _of_class(known: Declared, doc: dict[str, Any], path: str) -> Iterator[str]:
    for name in doc:
        if _python_name(known, name) not in known.fields:
            yield f"{path}.{name}: not declared"
    for name, annotation in known.fields.items():
        key = name.rstrip("_") if name not in doc else name
        if key in doc:
            yield from _fits(annotation, doc[key], known, f"{path}.{key}")
        elif not _optional(annotation):
            yield f"{path}.{key}: missing"


def _python_name(known: Declared, key: str) -> str:
    """Fields whose name is a word of the language are declared with a line behind."""
    return f"{key}_" if f"{key}_" in known.fields else key


def _optional(node: ast.expr) -> bool:
    return isinstance(node, ast.Subscript) and _name(node.value) == "Optional"


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _fits(node: ast.expr, value: Any, known: Declared, path: str) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        node = ast.parse(node.value, mode="eval").body
    if isinstance(node, ast.Subscript):
        yield from _fits_generic(node, value, known, path)
    elif isinstance(value, dict) and "object" in value and not known.find(_name(node)):
        yield from differences(value, path)
    elif _name(node) in PLAIN:
        fits = isinstance(value, PLAIN[_name(node)]) and isinstance(value, bool) == (_name(node) == "bool")
        if not fits:
            yield f"{path}: {value!r} is no {_name(node)}"
    elif isinstance(value, dict) and (inner := known.find(_name(node))):
        yield from _of_class(inner, value, path)
    elif not isinstance(value, dict) and _name(node) not in FREE:
        yield f"{path}: {value!r} is no {_name(node) or ast.unparse(node)}"


def _fits_generic(node: ast.Subscript, value: Any, known: Declared, path: str) -> Iterator[str]:
    kind, inside = _name(node.value), node.slice
    if kind == "Optional":
        if value is not None:
            yield from _fits(inside, value, known, path)
    elif kind == "Union":
        yield from _fits_one(inside.elts if isinstance(inside, ast.Tuple) else [inside], value, known, path)
    elif kind == "Literal":
        if value not in _words(inside):
            yield f"{path}: {value!r} is none of {sorted(map(str, _words(inside)))[:8]}"
    elif kind == "ExpandableField":
        yield from _fits_id(value, path)
    elif kind in FREE and not isinstance(value, dict):
        yield f"{path}: {value!r} is no {ast.unparse(node)}"
    elif kind in ("List", "ListObject"):
        yield from _fits_each(kind, inside, value, known, path)


def _fits_id(value: Any, path: str) -> Iterator[str]:
    """An id, or the object itself when it was asked for."""
    if isinstance(value, dict):
        yield from differences(value, path)
    elif not isinstance(value, str):
        yield f"{path}: {value!r} is no id"


def _fits_each(kind: str, inside: ast.expr, value: Any, known: Declared, path: str) -> Iterator[str]:
    items = value.get("data") if kind == "ListObject" and isinstance(value, dict) else value
    if not isinstance(items, list):
        yield f"{path}: {value!r} is no list"
        return
    for item in items[:3]:
        yield from _fits(inside, item, known, f"{path}[]")


def _words(node: ast.expr) -> list[Any]:
    return [one.value for one in ast.walk(node) if isinstance(one, ast.Constant)]


def _fits_one(options: list[ast.expr], value: Any, known: Declared, path: str) -> Iterator[str]:
    """A closed list of words counts, though the library allows for words that it does not know yet."""
    literal = [one for one in options if isinstance(one, ast.Subscript) and _name(one.value) == "Literal"]
    tried = [list(_fits(option, value, known, path)) for option in literal or options]
    if all(tried):
        yield from min(tried, key=len)
