"""How a document of account looks on paper: what it is, facts, who it is for, rows, sums, page numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.billing.pdf import HEIGHT, Page, document, width
from sandbox.kinds import Doc

LEFT, RIGHT, QUANTITY = 50, 545, 430
LINE = 18
LOWEST = 90


@dataclass(frozen=True)
class Row:
    """`amount` in the minor unit."""

    description: str
    quantity: int | None
    amount: int


@dataclass(frozen=True)
class Paper:
    """`name` is the word at the top ("Invoice"), `title` the file's. Facts without a value are left out; the last of
    `sums` is what the reader looks for."""

    name: str
    title: str
    seller: str
    currency: str
    facts: Sequence[tuple[str, str | None]]
    customer: Sequence[str | None]
    rows: Sequence[Row]
    sums: Sequence[tuple[str, int]]
    memo: str | None = None


def bill_to(invoice: Doc) -> list[str | None]:
    """Name, e-mail and address as the invoice keeps them."""
    address = invoice["customer_address"] or {}
    names = ("line1", "line2", "city", "postal_code", "country")
    return [invoice["customer_name"], invoice["customer_email"], *(address.get(name) for name in names)]


def written(paper: Paper, words: dict[str, Any], *, livemode: bool) -> bytes:
    """The PDF file, in the language of `words`."""
    _ = words["_"]
    pages = [Page()]
    y = _columns(pages[0], _head(pages[0], paper, _), _)
    for row in paper.rows:
        for number, part in enumerate(_wrapped(row.description, QUANTITY - LEFT - 40)):
            if y < LOWEST:
                pages.append(Page())
                y = _columns(pages[-1], HEIGHT - 70, _)
            pages[-1].text(LEFT, y, part)
            if number == 0:
                pages[-1].text_right(QUANTITY, y, str(row.quantity or ""))
                pages[-1].text_right(RIGHT, y, words["money"](row.amount, paper.currency))
            y -= LINE
    if y < LOWEST + 9 * LINE:
        pages.append(Page())
        y = HEIGHT - 70
    _sums(pages[-1], y, paper, words)
    _feet(pages, _, livemode=livemode)
    return document(pages, title=paper.title)


def _head(page: Page, paper: Paper, _: Any) -> float:
    page.text(LEFT, HEIGHT - 70, paper.name, size=22, bold=True)
    page.text_right(RIGHT, HEIGHT - 66, paper.seller, size=12, bold=True)
    y = HEIGHT - 110.0
    for name, value in paper.facts:
        if value:
            page.text(LEFT, y, name)
            page.text(LEFT + 110, y, value)
            y -= 15
    y -= 15
    page.text(LEFT, y, _("Bill to"), bold=True)
    for line in filter(None, paper.customer):
        y -= 15
        page.text(LEFT, y, line)
    for part in _wrapped(paper.memo, RIGHT - LEFT) if paper.memo else ():
        y -= LINE
        page.text(LEFT, y, part)
    return y - 40


def _columns(page: Page, y: float, _: Any) -> float:
    page.text(LEFT, y, _("Description"), bold=True)
    page.text_right(QUANTITY, y, _("Qty"), bold=True)
    page.text_right(RIGHT, y, _("Amount"), bold=True)
    page.line(LEFT, y - 7, RIGHT)
    return y - 24


def _wrapped(words: str, room: float) -> list[str]:
    """Lines that fit; broken between words, or anywhere where there are none."""
    lines, current = [], ""
    for word in words.split(" "):
        for piece in _pieces(word, room):
            longer = f"{current} {piece}".strip()
            if width(longer, 10) > room and current:
                lines.append(current)
                longer = piece
            current = longer
    return [*lines, current]


def _pieces(word: str, room: float) -> list[str]:
    pieces, current = [], ""
    for letter in word:
        if width(current + letter, 10) > room:
            pieces.append(current)
            current = ""
        current += letter
    return [*pieces, current]


def _sums(page: Page, y: float, paper: Paper, words: dict[str, Any]) -> None:
    page.line(LEFT, y + 6, RIGHT)
    for name, amount in paper.sums:
        y -= LINE
        bold = name == paper.sums[-1][0]
        page.text_right(QUANTITY, y, name, bold=bold)
        page.text_right(RIGHT, y, words["money"](amount, paper.currency), bold=bold)


def _feet(pages: list[Page], _: Any, *, livemode: bool) -> None:
    for number, page in enumerate(pages, start=1):
        page.text_right(RIGHT, 40, _("Page %(page)s of %(pages)s", page=number, pages=len(pages)), size=8)
        if not livemode:
            page.text(LEFT, 40, _("Test mode: no real money."), size=8)
