"""What Stripe changes in silence: one object's event tells that another has changed, which has no event of its own.

An invoice takes up invoice items, a dispute makes its charge a disputed one (Stripe docs: "Types of events" knows no
`invoiceitem.updated`, and a dispute sends no `charge.updated`). Whoever writes the one looks whether the mirror's row
of the other shows it; where it does not, Stripe is asked about the other before the event counts as mirrored. Pure.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from billing.mirror.kinds import Ref
from billing.mirror.shapes import Data, id_of, inner, listed


@dataclass(frozen=True)
class Echo:
    """An object that another one says something of: it must show this value in this field. Without a field, it has
    changed, and only Stripe knows how.
    """

    ref: Ref
    field: str = ""
    value: Any = None

    def heard(self, data: Data | None) -> bool:
        """Whether the object as the mirror has it (None: not at all) shows it. What is deleted shows no more."""
        if data is None:
            return not self.field
        return bool(data.get("deleted") or (self.field and data.get(self.field) == self.value))


def echoes(ref: Ref, data: Data | None, *before: Data | None) -> list[Echo]:
    """What follows for others from an object's state (None: it is gone) and from how it was known to be before."""
    found = ECHOES.get(ref.kind)
    return list(found(ref.id, data or {}, [state for state in before if state])) if found else []


def of_invoice(invoice_id: str, data: Data, before: Sequence[Data]) -> Iterator[Echo]:
    """It takes items up. Those that are no longer on it are free, or on another one, or gone with it."""
    items = items_on(data)
    for item in sorted(items):
        yield Echo(Ref("invoiceitem", item), "invoice", invoice_id)
    for line in listed(data.get("lines")):
        if (item := item_of(line)) and "description" in line:  # whoever changes the line changes the item
            yield Echo(Ref("invoiceitem", item), "description", line["description"])
    if not inner(data.get("lines")).get("has_more"):
        for item in sorted({item for state in before for item in items_on(state)} - items):
            yield Echo(Ref("invoiceitem", item))


def items_on(invoice: Data) -> set[str]:
    """The invoice items that its lines were made of."""
    return {item for line in listed(invoice.get("lines")) if (item := item_of(line))}


def item_of(line: Data) -> str:
    parent = inner(line.get("parent"))
    details = inner(parent.get("invoice_item_details")) or inner(parent.get("subscription_item_details"))
    return id_of(details.get("invoice_item"))


def of_dispute(_dispute_id: str, data: Data, _before: Sequence[Data]) -> Iterator[Echo]:
    if charge := id_of(data.get("charge")):
        yield Echo(Ref("charge", charge), "disputed", True)


def of_review(review_id: str, data: Data, _before: Sequence[Data]) -> Iterator[Echo]:
    """An open review stands on its payment."""
    for kind in ("charge", "payment_intent"):
        if object_id := id_of(data.get(kind)):
            ref = Ref(kind, object_id)
            yield Echo(ref, "review", review_id) if data.get("open") else Echo(ref)


ECHOES: dict[str, Callable[[str, Data, Sequence[Data]], Iterator[Echo]]] = {
    "dispute": of_dispute,
    "invoice": of_invoice,
    "review": of_review,
}


def unheard(told: Iterable[Echo], known: Mapping[Ref, Data]) -> set[Ref]:
    """The objects that do not show yet what was told of them, as far as their states are `known`."""
    return {echo.ref for echo in told if not echo.heard(known.get(echo.ref))}
