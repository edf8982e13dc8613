"""The rows below an invoice's lines, as the page and the PDF show them."""

from typing import Any

from sandbox.kinds import Doc


def rows(invoice: Doc, words: dict[str, Any]) -> list[tuple[str, int]]:
    """Names in the reader's language, amounts in the minor unit; those that are nothing are left out."""
    _ = words["_"]
    gross = sum(line["amount"] for line in invoice["lines"]["data"])
    taken = sum(one["amount"] for one in invoice["total_discount_amounts"])
    added = sum(tax["amount"] for tax in invoice["total_taxes"] if tax["tax_behavior"] == "exclusive")
    held = sum(tax["amount"] for tax in invoice["total_taxes"] if tax["tax_behavior"] == "inclusive")
    credited = invoice["pre_payment_credit_notes_amount"]
    made = [(_("Subtotal"), gross)]
    made += [(_("Discount"), -taken)] if taken else []
    made += [(_("Shipping"), invoice["amount_shipping"])] if invoice["amount_shipping"] else []
    made += [(_("Tax"), added)] if added else []
    made.append((_("Total"), invoice["total"]))
    made += [(_("Tax included"), held)] if held else []
    made += [(_("Credit note"), -credited)] if credited else []
    applied = invoice["amount_due"] + credited - invoice["total"]
    made += [(_("Credit applied"), applied)] if applied else []
    made.append((_("Amount due"), invoice["amount_due"]))
    made += [(_("Amount paid"), invoice["amount_paid"])] if invoice["amount_paid"] else []
    partly = invoice["amount_paid"] and invoice["amount_remaining"]
    return [*made, (_("Amount remaining"), invoice["amount_remaining"])] if partly else made
