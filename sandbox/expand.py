"""`expand[]=customer&expand[]=data.latest_invoice.payments`: ids become objects, hidden fields appear.

What may be expanded is declared with each kind (kinds.py). Up to four words between the dots, a list's `data` among
them, so that `latest_invoice.payments.data.payment.payment_intent` is too deep. Source: Stripe docs, "Expanding
Responses".
"""

from typing import Any

from sandbox.context import Context
from sandbox.documents import render
from sandbox.empty_links import EMPTY_LINKS
from sandbox.errors import ApiError
from sandbox.kinds import KINDS, Doc
from sandbox.older_shapes import dressed, expandable

MAX_DEPTH = 4


def expand(ctx: Context, answer: Doc, paths: list[str]) -> Doc:
    """The rendered answer with the paths expanded; a search's answer can be asked for how many there are in all. Raises
    ApiError for a path that cannot be."""
    count_all = answer.pop("_total_count", None)
    for path in paths:
        if path == "total_count" and count_all:
            answer["total_count"] = count_all()
            continue
        parts = path.split(".")
        if len(parts) > MAX_DEPTH:
            raise ApiError(
                f"You cannot expand more than {MAX_DEPTH} levels of a property. Property: {path}",
                param="expand",
            )
        _walk(ctx, answer, parts, path)
    return answer


def _walk(ctx: Context, node: Any, parts: list[str], path: str) -> None:
    if not parts or not isinstance(node, dict):
        return
    if node.get("object") in ("list", "search_result"):
        if parts[0] != "data":
            raise _not_expandable(path, hint="data." + path if "data" not in path.split(".") else "")
        for item in node["data"]:
            _walk(ctx, item, parts[1:], path)
        return
    if node.get("deleted") is not True:
        _walk_object(ctx, node, parts, path)


def _walk_object(ctx: Context, node: Doc, parts: list[str], path: str, holder: Any = None, passed: int = 0) -> None:
    """Follow hashes inside the object, and lists of them, until a field that is an id, a hidden field or an object is
    reached. `holder` is where that came to after `passed` words."""
    kind = KINDS.get(node.get("object", ""))
    holder = node if holder is None else holder
    for length in range(passed + 1, len(parts) + 1):
        dotted, rest = ".".join(parts[:length]), parts[length:]
        value, known = _reached(ctx, node, holder, dotted)
        if isinstance(value, dict) and "object" in value:
            return _walk(ctx, value, rest, path)
        if isinstance(value, list) and rest and (known or _leads_somewhere(ctx, kind, parts)):
            for one in value:
                _walk(ctx, one, rest, path) if known else _walk_object(ctx, node, parts, path, one, length)
            return None
        if known:
            return None
        if not isinstance(value, dict):
            break
        holder = value
    if value is None and _leads_somewhere(ctx, kind, parts):
        return None
    raise _not_expandable(path)


def _reached(ctx: Context, node: Doc, holder: Any, dotted: str) -> tuple[Any, bool]:
    """What is at a place in an object, which is filled in, and whether that is where a path may end."""
    kind, name = KINDS.get(node.get("object", "")), dotted.rpartition(".")[2]
    included = bool(kind and dotted in kind.includable)
    if kind and included and name not in holder:
        holder[name] = dressed(ctx, kind.includable[dotted](ctx, node))
    targets = {**kind.expandable, **expandable(ctx, kind.name)} if kind else {}
    value, target = holder.get(name), targets.get(dotted)
    if target and isinstance(value, str):
        value = holder[name] = _fetch(ctx, target, value)
    elif target and isinstance(value, list):
        value = holder[name] = [_fetch(ctx, target, one) if isinstance(one, str) else one for one in value]
    return value, bool(target or included)


def _leads_somewhere(ctx: Context, kind: Any, parts: list[str]) -> bool:
    """True when the path is right and only this object has nothing there."""
    if kind is None:
        return False
    known = {*kind.expandable, *kind.includable, *expandable(ctx, kind.name), *EMPTY_LINKS.get(kind.name, ())}
    return any(".".join(parts[:length]) in known for length in range(1, len(parts) + 1))


def _fetch(ctx: Context, kind: str, id: str) -> Any:
    doc = ctx.tx.get_any(ctx.scope, id) if kind == "*" else ctx.tx.read(ctx.scope, kind, id)
    return dressed(ctx, render(doc)) if doc else id


def _not_expandable(path: str, *, hint: str = "") -> ApiError:
    message = f"This property cannot be expanded ({path})."
    if hint:
        message += f" You may want to try expanding '{hint}' instead."
    return ApiError(message)
