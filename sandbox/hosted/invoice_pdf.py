"""An invoice as a PDF file."""

from typing import Any

from sandbox.billing.pdf import HEIGHT, Page, document, width
from sandbox.hosted import invoice_sums
from sandbox.hosted.words import tools
from sandbox.kinds import Doc

LEFT, RIGHT, QUANTITY = 50, 545, 430
LINE = 18
LOWEST = 90


def invoice_pdf(invoice: Doc, *, seller: str, language: str, livemode: bool) -> bytes:
    """The file. `invoice` is a stored document that was finalised."""
    words = tools(language)
    _ = words["_"]
    pages = [Page()]
    y = _head(pages[0], invoice, seller, words)
    y = _columns(pages[0], y, _)
    for line in invoice["lines"]["data"]:
        for number, part in enumerate(_wrapped(line["description"] or "", QUANTITY - LEFT - 40)):
            if y < LOWEST:
                pages.append(Page())
                y = _columns(pages[-1], HEIGHT - 70, _)
            pages[-1].text(LEFT, y, part)
            if number == 0:
                pages[-1].text_right(QUANTITY, y, str(line["quantity"] or ""))
                pages[-1].text_right(RIGHT, y, words["money"](line["amount"], invoice["currency"]))
            y -= LINE
    if y < LOWEST + 9 * LINE:
        pages.append(Page())
        y = HEIGHT - 70
    _sums(pages[-1], y, invoice, words)
    _feet(pages, _, livemode=livemode)
    return document(pages, title=_("Invoice %(number)s", number=invoice["number"]))


def _head(page: Page, invoice: Doc, seller: str, words: dict[str, Any]) -> float:
    _, day = words["_"], words["day"]
    page.text(LEFT, HEIGHT - 70, _("Invoice"), size=22, bold=True)
    page.text_right(RIGHT, HEIGHT - 66, seller, size=12, bold=True)
    y = HEIGHT - 110.0
    paid_at = invoice["status_transitions"]["paid_at"]
    facts = [
        (_("Invoice number"), invoice["number"]),
        (_("Date"), day(invoice["effective_at"] or invoice["created"])),
        (_("Due"), day(invoice["due_date"]) if invoice["due_date"] and not paid_at else None),
        (_("Paid on"), day(paid_at) if paid_at else None),
    ]
    for name, value in facts:
        if value:
            page.text(LEFT, y, name)
            page.text(LEFT + 110, y, value)
            y -= 15
    y -= 15
    page.text(LEFT, y, _("Bill to"), bold=True)
    address = invoice["customer_address"] or {}
    lines = [invoice["customer_name"], invoice["customer_email"]]
    lines += [address.get(name) for name in ("line1", "line2", "city", "postal_code", "country")]
    for line in filter(None, lines):
        y -= 15
        page.text(LEFT, y, line)
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


def _sums(page: Page, y: float, invoice: Doc, words: dict[str, Any]) -> None:
    money, currency, rows = words["money"], invoice["currency"], invoice_sums.rows(invoice, words)
    page.line(LEFT, y + 6, RIGHT)
    for name, amount in rows:
        y -= LINE
        bold = name == rows[-1][0]
        page.text_right(QUANTITY, y, name, bold=bold)
        page.text_right(RIGHT, y, money(amount, currency), bold=bold)


def _feet(pages: list[Page], _: Any, *, livemode: bool) -> None:
    for number, page in enumerate(pages, start=1):
        page.text_right(RIGHT, 40, _("Page %(page)s of %(pages)s", page=number, pages=len(pages)), size=8)
        if not livemode:
            page.text(LEFT, 40, _("Test mode: no real money."), size=8)
