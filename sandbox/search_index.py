"""Words by which objects are searched, as entries of the index: folded, so that large and small letters are one. Pure.

An exact search (`email:'alice@example.com'`, `metadata['order']:'7'`) looks an entry up instead of reading every
document. The entry's field begins with "~", so that lists, which tell large letters from small ones, do not meet it.
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
    words = {(word(name), fold(doc[name])) for name in WORDS[kind] if doc.get(name) is not None}
    held = doc.get("metadata") or {}
    return words | {(metadata(key), fold(value)) for key, value in held.items()} if held else words


def word(field: str) -> str:
    return f"~{field}"


def metadata(key: str) -> str:
    return f"~metadata[{key}]"


def fold(value: Any) -> str:
    return str(value).lower()
