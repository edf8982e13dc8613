"""An invoice as a PDF file."""

from sandbox.hosted import invoice_sums
from sandbox.hosted.paper import Paper, Row, bill_to, written
from sandbox.hosted.words import tools
from sandbox.kinds import Doc


def invoice_pdf(invoice: Doc, *, seller: str, language: str, livemode: bool) -> bytes:
    """The file. `invoice` is a stored document that was finalised."""
    words = tools(language)
    _, day = words["_"], words["day"]
    paid_at = invoice["status_transitions"]["paid_at"]
    lines = invoice["lines"]["data"]
    paper = Paper(
        name=_("Invoice"),
        title=_("Invoice %(number)s", number=invoice["number"]),
        seller=seller,
        currency=invoice["currency"],
        facts=[
            (_("Invoice number"), invoice["number"]),
            (_("Date"), day(invoice["effective_at"] or invoice["created"])),
            (_("Due"), day(invoice["due_date"]) if invoice["due_date"] and not paid_at else None),
            (_("Paid on"), day(paid_at) if paid_at else None),
        ],
        customer=bill_to(invoice),
        rows=[Row(line["description"] or "", line["quantity"], line["amount"]) for line in lines],
        sums=invoice_sums.rows(invoice, words),
    )
    return written(paper, words, livemode=livemode)
