"""What the sandbox knows of each kind of object. A resource file declares its kinds when it is imported.

    CUSTOMER = kind("customer", prefix="cus", indexed=("email",), expandable={"default_source": "card"})

`indexed` are dotted paths in the stored document that lists filter by (a list value is indexed once per
member). `expandable` maps a dotted field that holds an id to the kind it points to ("*" = any kind).
`includable` maps a field that is absent unless expanded to a function (ctx, document) → value. `pages` names the lists
inside it of which only the first ten are shown; the rest is at the list's own address.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Doc = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    name: str
    prefix: str
    label: str
    random_length: int | None = None
    without: tuple[str, ...] = ()
    indexed: tuple[str, ...] = ()
    expandable: Mapping[str, str] = field(default_factory=dict)
    includable: Mapping[str, Callable[[Any, Doc], Any]] = field(default_factory=dict)
    pages: tuple[str, ...] = ()


KINDS: dict[str, Kind] = {}


def kind(
    name: str,
    *,
    prefix: str,
    label: str | None = None,
    random_length: int | None = None,
    without: tuple[str, ...] = (),
    indexed: tuple[str, ...] = (),
    expandable: Mapping[str, str] | None = None,
    includable: Mapping[str, Callable[[Any, Doc], Any]] | None = None,
    pages: tuple[str, ...] = (),
) -> Kind:
    """Declare a kind. `label` is the word in "No such …". Ids are `prefix_` and `random_length` random letters,
    or, when that is None, Stripe's longer form that begins with a digit, the time and the account.
    `without` names those of "created" and "livemode" that the API does not show for this kind."""
    if name in KINDS:
        raise ValueError(f"kind {name} is declared twice")
    KINDS[name] = Kind(
        name,
        prefix,
        label or name,
        random_length,
        without,
        indexed,
        dict(expandable or {}),
        dict(includable or {}),
        pages,
    )
    return KINDS[name]
