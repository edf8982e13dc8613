"""Documents as values: ids, order of fields, what is shown, metadata. No reading or writing here."""

import secrets
import string
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from sandbox.context import Context
from sandbox.errors import ApiError
from sandbox.kinds import KINDS, Doc
from sandbox.params import MOST_METADATA

BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
LETTERS = bytes(ord(BASE62[byte % 62]) for byte in range(256))
UNEVEN = bytes(range(256 - 256 % 62, 256))
FIRST_PAGE = 10
PAYMENT_KINDS = {"payment_intent", "charge", "refund", "balance_transaction"}


def new_document(ctx: Context, kind: str, fields: Doc) -> Doc:
    """The fields with id, object, created and livemode (as far as the kind has them), in Stripe's order."""
    known = KINDS[kind]
    doc: Doc = {"object": kind, "created": ctx.now, "livemode": ctx.livemode, **fields}
    doc["id"] = fields.get("id") or new_id(ctx, kind)
    for name in known.without:
        doc.pop(name, None)
    if "created" in known.without:
        doc["_created"] = ctx.now
    return ordered(doc)


def new_id(ctx: Context, kind: str) -> str:
    """`cus_` and 14 random letters, or `pi_` with a digit, the time, the account and 8 random letters."""
    known = KINDS[kind]
    if known.random_length is not None:
        body = random_text(known.random_length)
    else:
        lead = "3" if kind in PAYMENT_KINDS else "1"
        body = lead + _base62(ctx.now)[-5:] + ctx.account.removeprefix("acct_")[-10:].rjust(10, "0") + random_text(8)
    return f"{known.prefix}_{body}" if known.prefix else body


def unforeseeable(length: int) -> str:
    """Every letter as likely as any other: bytes that 62 does not divide evenly are left out."""
    letters = ""
    while len(letters) < length:
        letters += secrets.token_bytes(length + 8).translate(LETTERS, UNEVEN).decode()
    return letters[:length]


class _Source:
    """Where random letters come from."""

    draw: Callable[[int], str] = staticmethod(unforeseeable)


def random_text(length: int) -> str:
    return _Source.draw(length)


@contextmanager
def drawing_from(source: Callable[[int], str]) -> Iterator[None]:
    """Random letters from somewhere else, in the whole process: for what must come out the same each time."""
    _Source.draw = staticmethod(source)
    try:
        yield
    finally:
        _Source.draw = staticmethod(unforeseeable)


def ordered(doc: Doc) -> Doc:
    """Stripe's order of fields: id, object, then the alphabet."""
    return {name: doc[name] for name in _in_order(tuple(doc))}


@lru_cache(4096)
def _in_order(names: tuple[str, ...]) -> tuple[str, ...]:
    """Documents of a kind are made in the same few ways, so the order is known mostly."""
    return tuple(sorted(names, key=lambda name: (name != "id", name != "object", name)))


def render(doc: Doc) -> Doc:
    """As the API shows it: without the sandbox's own fields, which begin with "_", long lists by their beginning."""
    shown = dict(doc)
    for name in doc:
        if name[0] == "_":
            del shown[name]
    known = KINDS.get(doc.get("object", ""))
    return _first_pages(shown, known.pages) if known and known.pages else shown


def _first_pages(shown: Doc, names: tuple[str, ...]) -> Doc:
    """A preview keeps its lists whole: there is no address where the rest could be asked for."""
    kept = not shown.get("id", "upcoming_").startswith("upcoming_")
    for name in names if kept else ():
        if name in shown and len(shown[name]["data"]) > FIRST_PAGE:
            shown[name] = shown[name] | {"data": shown[name]["data"][:FIRST_PAGE], "has_more": True}
    return shown


def merge_metadata(old: Doc | None, given: Any) -> Doc:
    """Keys are set one by one, an empty value takes a key away, an empty `metadata` (None) takes all away. Raises
    ApiError when there would be more than 50. Source: Stripe docs, "Metadata"."""
    if given is None:
        return {}
    merged = {**(old or {}), **given}
    kept = {key: value for key, value in merged.items() if value != ""}
    if len(kept) > MOST_METADATA:
        message = f"Metadata can have up to {MOST_METADATA} keys, but you passed in {len(kept)} keys."
        raise ApiError(message, param="metadata")
    return kept


def _base62(number: int) -> str:
    digits = ""
    while number:
        number, rest = divmod(number, 62)
        digits = BASE62[rest] + digits
    return digits.rjust(6, "0")
