"""A credit note as a PDF file: http://HOST/credit_notes/acct_…/test_…/pdf"""

from typing import Any

from starlette.responses import Response

from sandbox import objects
from sandbox.context import Context, Scope
from sandbox.hosted.missing import missing_page
from sandbox.hosted.paper import Paper, Row, bill_to, written
from sandbox.hosted.words import choose, tools
from sandbox.kinds import Doc
from sandbox.resources.account import account
from sandbox.routes import PageRequest, page


@page("GET", "/credit_notes/{account_id}/{token}/pdf")
def download_credit_note(ctx: Context, request: PageRequest, account_id: str, token: str) -> Response:
    """The credit note as a PDF file"""
    ctx.enter(str(Scope(account_id, token.startswith("live_"))))
    note = next(iter(objects.query(ctx, "credit_note", _token=token)), None)
    if note is None:
        return missing_page(request)
    invoice = objects.load(ctx, "invoice", note["invoice"])
    customer = objects.find(ctx, "customer", note["customer"])
    preferred = customer["preferred_locales"] if customer else []
    words = tools(choose(preferred[0] if preferred else None, request.languages))
    body = written(_paper(note, invoice, account(ctx)["business_profile"]["name"], words), words, livemode=ctx.livemode)
    name = f"CreditNote-{note['number']}.pdf"
    return Response(body, media_type="application/pdf", headers={"Content-Disposition": f'inline; filename="{name}"'})


def _paper(note: Doc, invoice: Doc, seller: str, words: dict[str, Any]) -> Paper:
    _, day = words["_"], words["day"]
    return Paper(
        name=_("Credit note"),
        title=_("Credit note %(number)s", number=note["number"]),
        seller=seller,
        currency=note["currency"],
        facts=[
            (_("Credit note number"), note["number"]),
            (_("Invoice number"), invoice["number"]),
            (_("Date"), day(note["effective_at"] or note["created"])),
            (_("Voided on"), day(note["voided_at"]) if note["voided_at"] else None),
        ],
        customer=bill_to(invoice),
        rows=[
            Row(line["description"] or _("Credit"), line["quantity"], line["amount"]) for line in note["lines"]["data"]
        ],
        sums=_sums(note, words),
        memo=note["memo"],
    )


def _sums(note: Doc, words: dict[str, Any]) -> list[tuple[str, int]]:
    _ = words["_"]
    added = sum(tax["amount"] for tax in note["total_taxes"] if tax["tax_behavior"] == "exclusive")
    parts = [
        (_("Discount"), -note["discount_amount"]),
        (_("Shipping"), note["amount_shipping"]),
        (_("Tax"), added),
    ]
    shown = [(name, amount) for name, amount in parts if amount]
    return [(_("Subtotal"), note["subtotal"]), *shown, (_("Total credited"), note["total"])]
