"""Words by which objects are searched, as entries of the index: folded, so that large and small letters are one. Pure.

An exact search (`email:'alice@example.com'`, `metadata['order']:'7'`) looks an entry up instead of reading every
document; a field that is words has one for each. The entry's field begins with "~", so that lists, which tell large
letters from small ones, do not meet it.
"""

from typing import Any

WORDS: dict[str, tuple[str, ...]] = {
    "charge": (),
    "customer": ("email", "name", "phone"),
    "invoice": ("number", "receipt_number"),
    "payment_intent": (),
    "price": ("lookup_key",),
    "product": ("description", "name", "url"),
    "subscription": (),
}
"""The kinds that can be searched, and their fields that are words. Metadata is searched in all of them."""


def entries(kind: str, doc: dict[str, Any]) -> set[tuple[str, str]]:
    """(field, folded value) of a document; nothing for kinds that cannot be searched."""
    if kind not in WORDS:
        return set()
    found = {(word(name), one) for name in WORDS[kind] for one in words(doc.get(name))}
    held = doc.get("metadata") or {}
    return found | {(metadata(key), fold(value)) for key, value in held.items()} if held else found


def word(field: str) -> str:
    return f"~{field}"


def metadata(key: str) -> str:
    return f"~metadata[{key}]"


def fold(value: Any) -> str:
    return str(value).lower()


def is_words(field: str) -> bool:
    """Whether the entries of this field are single words."""
    return field.startswith("~") and not field.startswith("~metadata[")


def spaced(value: Any) -> str:
    """The words of a field with a space before, between and behind them, so that a run of words is found whole."""
    return f" {' '.join(words(value))} "


def words(value: Any) -> list[str]:
    """The words of a field, in their order; none of None."""
    return [] if value is None else fold(value).split()
