"""`/_sandbox/faults`: ask for trouble, see how often it struck, end it. JSON or a form; no key."""

from dataclasses import asdict
from typing import Any

from sandbox import faults, keys
from sandbox.context import Context
from sandbox.errors import ApiError, missing
from sandbox.faults import OF_DELIVERIES, Effect, Rule
from sandbox.kinds import Doc
from sandbox.routes import PageRequest, page

OF_BOTH = ("effect", "rate", "count", "after", "seed", "seconds", "key", "scope")
FIELDS = {
    True: (*OF_BOTH, "endpoint", "types", "copies", "attempts"),
    False: (*OF_BOTH, "method", "path", "when"),
}
"""By whether the fault is one of deliveries."""
NUMBERS = {"count": int, "after": int, "seed": int, "copies": int, "attempts": int, "rate": float, "seconds": float}


@page("GET", "/_sandbox/faults")
def list_faults(ctx: Context, request: PageRequest) -> Doc:
    """The rules in force, each with how many things it has seen and struck."""
    return {"data": [shown(rule) for rule in faults.rules(ctx.tx)]}


@page("POST", "/_sandbox/faults")
def add_fault(ctx: Context, request: PageRequest) -> Doc:
    """A new rule: {"effect", "rate"?, "count"?, "after"?, "seed"?, "seconds"?, "key"?, and for deliveries "endpoint"?,
    "types"?, "copies"?, "attempts"?, for calls "method"?, "path"?, "when"?}."""
    given = {name: value for name, value in request.form.items() if value not in ("", None) and name != "back"}
    effect = _effect(given)
    for name in given:
        if name not in FIELDS[effect in OF_DELIVERIES]:
            raise ApiError(f"A fault of the kind {effect} has no {name}.", code="parameter_unknown", param=name)
    return shown(faults.add(ctx.tx, effect, _spec(ctx, given)))


def shown(rule: Rule) -> Doc:
    return {name: value for name, value in asdict(rule).items() if value is not None} | {"types": list(rule.types)}


def _effect(given: dict[str, Any]) -> Effect:
    if "effect" not in given:
        raise missing("effect")
    try:
        return Effect(given.pop("effect"))
    except ValueError:
        known = ", ".join(effect.value for effect in Effect)
        raise ApiError(f"Invalid effect: must be one of {known}.", param="effect") from None


def _spec(ctx: Context, given: dict[str, Any]) -> Doc:
    spec: Doc = {name: _number(name, value) for name, value in given.items() if name in NUMBERS}
    if "key" in given:
        spec["scope"] = str(keys.identify(f"Bearer {given['key']}", ctx.tx).scope)
    spec |= {name: str(given[name]) for name in ("scope", "endpoint", "path") if name in given}
    if spec.get("endpoint", "").startswith("we_") and ctx.tx.locate("webhook_endpoint", spec["endpoint"]) is None:
        raise ApiError(f"No such webhook endpoint: '{spec['endpoint']}'", status=404, param="endpoint")
    if "method" in given:
        spec["method"] = str(given["method"]).upper()
    if "types" in given:
        types = given["types"]
        spec["types"] = types.split(",") if isinstance(types, str) else [str(type) for type in types]
    if given.get("when", "before") not in ("before", "after"):
        raise ApiError("Invalid when: must be one of before, after.", param="when")
    return spec | ({"when": given["when"]} if "when" in given else {})


def _number(name: str, value: Any) -> int | float:
    try:
        number: int | float = NUMBERS[name](value)
    except (TypeError, ValueError):
        raise ApiError(f"Invalid {name}: {value} is not a number.", param=name) from None
    if number < 0 and name != "seed":
        raise ApiError(f"Invalid {name}: {value} is less than nothing.", param=name)
    if name == "rate" and number > 1:
        raise ApiError(f"Invalid rate: {value} is more than always, which is 1.", param=name)
    if name == "copies" and number < 1:
        raise ApiError(f"Invalid copies: {value} would be a lost delivery; ask for that.", param=name)
    return number


@page("DELETE", "/_sandbox/faults/{id}")
def end_fault(ctx: Context, request: PageRequest, id: str) -> Doc:
    """End one rule."""
    if not ctx.tx.sql("DELETE FROM faults WHERE id=?", id).rowcount:
        raise ApiError(f"No such fault: '{id}'", status=404)
    return {"deleted": True, "id": int(id)}


@page("DELETE", "/_sandbox/faults")
def end_faults(ctx: Context, request: PageRequest) -> Doc:
    """End all rules; what was already queued stays as it was drawn."""
    return {"ended": ctx.tx.sql("DELETE FROM faults").rowcount}


@page("POST", "/_sandbox/faults/end")
def end_from_form(ctx: Context, request: PageRequest) -> Doc:
    """The same for a form: {"id"} ends one rule, nothing ends all."""
    id = request.form.get("id")
    clause, values = (" WHERE id=?", (id,)) if id else ("", ())
    return {"ended": ctx.tx.sql(f"DELETE FROM faults{clause}", *values).rowcount}  # noqa: S608
