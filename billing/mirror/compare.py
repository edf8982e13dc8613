"""The mirror's object beside Stripe's, field by field. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

LONGEST_PATH = 255
# What Stripe writes anew into each answer: Stripe docs, "The Invoice object" and "The Charge object" (addresses with
# a token in them that expires).
OF_THE_ANSWER = {
    "invoice": frozenset({"hosted_invoice_url", "invoice_pdf"}),
    "charge": frozenset({"receipt_url"}),
    "file_link": frozenset({"url"}),
}
# What changes without an event of its own: the number that the next invoice will have is counted on by each invoice.
COUNTED_ON = {"customer": frozenset({"next_invoice_sequence"})}

# Objects that Stripe copies into others, and that have rows and events of their own: when a price is withdrawn, the
# subscriptions that show it change without an event. Inside another object only their ids are compared.
COPIED = frozenset({"price", "plan", "coupon", "tax_rate"})


@dataclass(frozen=True)
class Difference:
    """One field that differs. `path` is empty where one side has the object and the other has not."""

    path: str
    ours: Any
    theirs: Any


def differences(kind: str, ours: Any, theirs: Any) -> list[Difference]:
    """What differs between the object as the mirror has it and as Stripe has it; None for a side without it."""
    if ours is None or theirs is None:
        return [] if ours is theirs else [Difference("", summary(ours), summary(theirs))]
    left_out = OF_THE_ANSWER.get(kind, frozenset()) | COUNTED_ON.get(kind, frozenset())
    found = list(differing("", without(ours, left_out), without(theirs, left_out)))
    return sorted(found, key=lambda difference: difference.path)


def without(data: Any, names: frozenset[str]) -> Any:
    return {name: value for name, value in data.items() if name not in names}


def differing(path: str, ours: Any, theirs: Any) -> Iterator[Difference]:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        if path and ours.get("object") in COPIED:
            ours, theirs = {"id": ours.get("id")}, {"id": theirs.get("id")}
        for name in ours.keys() | theirs.keys():
            yield from differing(f"{path}.{name}" if path else name, ours.get(name), theirs.get(name))
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for number, (our, their) in enumerate(zip(ours, theirs, strict=True)):
            yield from differing(f"{path}[{number}]", our, their)
    elif ours != theirs or isinstance(ours, bool) is not isinstance(theirs, bool):
        yield Difference(path[:LONGEST_PATH], ours, theirs)


def summary(data: Any) -> Any:
    """Of an object that the other side lacks, what it is; not all of it."""
    return None if data is None else {name: data[name] for name in ("id", "object", "created") if name in data}
