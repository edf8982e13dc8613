"""Finding customers and subscriptions for the front page, a page at a time, newest first."""

from dataclasses import dataclass

from sandbox.context import Context
from sandbox.hosted.index_words import STATES
from sandbox.kinds import Doc
from sandbox.page_query import Cursor

PER_PAGE = 15
MOST_MATCHES = 500
"""Customers that a search for subscriptions follows."""


@dataclass(frozen=True)
class Found:
    docs: list[Doc]
    after: str | None
    """The id that the next page comes after."""


def find(ctx: Context, kind: str, text: str, after: str) -> Found:
    """`kind` is customer or subscription; without a text everything."""
    place = ctx.tx.cursor(ctx.scope, kind, after) if after else None
    if not text:
        docs = ctx.tx.page(ctx.scope, kind, after=place, limit=PER_PAGE + 1)
    elif kind == "customer":
        docs = _customers(ctx, text, place, PER_PAGE + 1)
    else:
        docs = _subscriptions(ctx, text, place)
    shown = docs[:PER_PAGE]
    return Found(shown, shown[-1]["id"] if len(docs) > PER_PAGE else None)


def _customers(ctx: Context, text: str, place: Cursor | None, limit: int) -> list[Doc]:
    """By id or e-mail from an index, else by any part of the name, the e-mail or the rest of the object."""
    named = ctx.tx.get(ctx.scope, "customer", text)
    if named:
        return [] if named.get("deleted") else [named]
    same = ctx.tx.page(ctx.scope, "customer", {"email": text}, after=place, limit=limit)
    return same or _containing(ctx, "customer", text, place, limit)


def _containing(ctx: Context, kind: str, text: str, place: Cursor | None, limit: int) -> list[Doc]:
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    before = "AND (created, seq) < (?,?) " if place else ""
    rows = ctx.tx.sql(
        f"SELECT id FROM objects WHERE scope=? AND kind=? AND deleted=0 {before}AND body LIKE ? ESCAPE '\\' "  # noqa: S608
        "ORDER BY created DESC, seq DESC LIMIT ?",
        ctx.scope, kind, *((place.created, place.seq) if place else ()), f"%{escaped}%", limit,
    ).fetchall()  # fmt: skip
    return [doc for (id,) in rows if (doc := ctx.tx.get(ctx.scope, kind, id))]


def _subscriptions(ctx: Context, text: str, place: Cursor | None) -> list[Doc]:
    """By id, by status (`past_due`), or by their customers."""
    named = ctx.tx.get(ctx.scope, "subscription", text)
    if named:
        return [named]
    status = text.strip().lower().replace(" ", "_")
    if status in STATES:
        return ctx.tx.page(ctx.scope, "subscription", {"status": status}, after=place, limit=PER_PAGE + 1)
    owners = [customer["id"] for customer in _customers(ctx, text, None, MOST_MATCHES)]
    if not owners:
        return []
    wanted = owners[0] if len(owners) == 1 else owners
    return ctx.tx.page(ctx.scope, "subscription", {"customer": wanted}, after=place, limit=PER_PAGE + 1)
