"""The table of everything the sandbox answers. A resource file fills it when it is imported.

    @route("POST", "/v1/customers/{id}", params=UPDATE)
    def update_customer(ctx: Context, params: dict[str, Any], id: str) -> Doc: ...

A route's handler is a plain function; it runs in a thread, inside a transaction (a write for POST and DELETE, a
snapshot for GET), gets checked parameters, and returns a document. `publishable=True` lets publishable keys in.

    @page("GET", "/c/{id}")
    def show(ctx: Context, request: PageRequest, id: str) -> Response: ...

A page has no key: it enters the scope of the object that its address names (`ctx.enter(ctx.tx.locate(...))`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.params import Array, Param, Str

Handler = Callable[..., Any]
EXPAND = Array(Str())


@dataclass(frozen=True)
class Route:
    method: str
    path: str
    handler: Handler
    params: Mapping[str, Param]
    publishable: bool = False
    makes: Callable[[Mapping[str, str]], bool] | None = None
    """For a GET that makes something when its path's values are such."""

    @property
    def parts(self) -> tuple[str, ...]:
        return tuple(self.path.strip("/").split("/"))

    @property
    def resource(self) -> str:
        """The word that restricted keys' permissions speak of: "customers"."""
        return self.parts[1] if len(self.parts) > 1 else ""

    def writes(self, values: Mapping[str, str]) -> bool:
        return self.method != "GET" or (self.makes is not None and self.makes(values))


@dataclass(frozen=True)
class PageRequest:
    """What a browser sent: query, form fields, the address of the sandbox, the languages it asks for."""

    query: Mapping[str, Any]
    form: Mapping[str, Any]
    base_url: str
    languages: str = ""


ROUTES: list[Route] = []
PAGES: list[Route] = []
ACTS: list[Route] = []
"""The pages that need more than one transaction: their handlers are given the engine instead of a context."""
_BY_LENGTH: dict[tuple[str, int], list[Route]] = {}


def route(
    method: str,
    path: str,
    *,
    params: Mapping[str, Param] | None = None,
    publishable: bool = False,
    makes: Callable[[Mapping[str, str]], bool] | None = None,
) -> Callable[[Handler], Handler]:
    def register(handler: Handler) -> Handler:
        _add(ROUTES, Route(method, path, handler, {"expand": EXPAND, **(params or {})}, publishable, makes))
        return handler

    return register


def page(method: str, path: str) -> Callable[[Handler], Handler]:
    def register(handler: Handler) -> Handler:
        _add(PAGES, Route(method, path, handler, {}))
        return handler

    return register


def act(method: str, path: str) -> Callable[[Handler], Handler]:
    """A page whose handler is a function (engine, request, **path values) → JSON."""

    def register(handler: Handler) -> Handler:
        ACTS.append(Route(method, path, handler, {}))
        _add(PAGES, ACTS[-1])
        return handler

    return register


def match(method: str, path: str) -> tuple[Route, dict[str, str]] | None:
    """The route for an address and the values in its braces. A literal segment wins over a brace."""
    parts = path.strip("/").split("/")
    for candidate in _BY_LENGTH.get((method, len(parts)), ()):
        values = _values(candidate.parts, parts)
        if values is not None:
            return candidate, values
    return None


def _add(table: list[Route], new: Route) -> None:
    table.append(new)
    same = _BY_LENGTH.setdefault((new.method, len(new.parts)), [])
    same.append(new)
    same.sort(key=lambda known: [part.startswith("{") for part in known.parts])


def _values(pattern: tuple[str, ...], parts: list[str]) -> dict[str, str] | None:
    values: dict[str, str] = {}
    for expected, given in zip(pattern, parts, strict=True):
        if expected.startswith("{"):
            if not given:
                return None
            values[expected.strip("{}")] = given
        elif expected != given:
            return None
    return values
