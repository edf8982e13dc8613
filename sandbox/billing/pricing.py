"""The sums of an invoice, with its discounts and taxes. The arithmetic is in reckoning.py; here is who has which."""

from decimal import Decimal

from sandbox import objects
from sandbox.billing import discounts
from sandbox.billing.reckoning import Off, Rate, Reckoned, Row, Tax, reckon, sums
from sandbox.context import Context
from sandbox.kinds import Doc

EXEMPT = {"exempt": "customer_exempt", "reverse": "reverse_charge"}


def totals(ctx: Context, invoice: Doc, balance: int) -> Doc:
    """The lines with what is taken off and added, and the sums of an invoice whose customer has `balance` (negative:
    credit). A negative total is no debt: it becomes the customer's credit when the invoice is finalised."""
    holders = _Holders(ctx, invoice)
    rows = [holders.row(line) for line in invoice["lines"]["data"]]
    shared = discounts.offs(ctx, invoice["discounts"], invoice["currency"], invoice=invoice.get("id"))
    made = reckon(rows, shared)
    lines = [
        _line(line, row, done, shared, invoice)
        for line, row, done in zip(invoice["lines"]["data"], rows, made, strict=True)
    ]
    whole, shipping = sums(made), invoice["amount_shipping"]
    due = max(whole.total + shipping + balance, 0)
    return {
        "amount_due": due,
        "amount_remaining": due - invoice["amount_paid"],
        "lines": invoice["lines"] | {"data": lines},
        "starting_balance": balance,
        "subtotal": whole.subtotal,
        "subtotal_excluding_tax": whole.subtotal_excluding_tax,
        "total": whole.total + shipping,
        "total_discount_amounts": _together(made),
        "total_excluding_tax": whole.total_excluding_tax + shipping,
        "total_taxes": _taxes_together(made, invoice),
    }


class _Holders:
    """Where the discounts and rates of lines stand: on invoice items, on items of the subscription."""

    def __init__(self, ctx: Context, invoice: Doc) -> None:
        self.ctx, self.invoice = ctx, invoice
        subscription = objects.find(ctx, "subscription", invoice.get("_subscription"))
        held = subscription["items"]["data"] if subscription else []
        self.items: dict[str, Doc] = {item["id"]: item for item in held}

    def row(self, line: Doc) -> Row:
        waited, sold = self._holders(line)
        own = (waited or sold).get("discounts") or []
        taken = waited.get("_taken") or {"own": {}, "shared": {}}
        rates = waited.get("tax_rates") or sold.get("tax_rates") or self.invoice["default_tax_rates"]
        return Row(
            line["amount"],
            ((line["pricing"] or {}).get("price_details") or {}).get("product"),
            line["discountable"],
            tuple(discounts.offs(self.ctx, own, self.invoice["currency"], invoice=self.invoice.get("id"))),
            tuple(self._rate(rate) for rate in rates),
            taken["own"],
            taken["shared"],
        )

    def _holders(self, line: Doc) -> tuple[Doc, Doc]:
        """The invoice item and the subscription's item behind a line; empty where there is none."""
        parent: Doc = line["parent"] or {}
        details = parent.get("invoice_item_details") or parent.get("subscription_item_details") or {}
        waited = objects.find(self.ctx, "invoiceitem", details.get("invoice_item")) or {}
        return waited, self.items.get(details.get("subscription_item") or "", {})

    def _rate(self, rate: Doc) -> Rate:
        percent = Decimal(0) if self.invoice["customer_tax_exempt"] in EXEMPT else Decimal(str(rate["percentage"]))
        return Rate(rate["id"], percent, rate["inclusive"])


def _line(line: Doc, row: Row, done: Reckoned, shared: list[Off], invoice: Doc) -> Doc:
    taken = _named(line, shared) | done.own | done.shared
    return line | {
        "discount_amounts": [{"amount": amount, "discount": id} for id, amount in taken.items()],
        "discounts": [off.id for off in row.own],
        "taxes": [_tax(tax, tax.amount, tax.taxable, invoice) for tax in done.taxes],
    }


def _named(line: Doc, shared: list[Off]) -> dict[str, int]:
    """A proration is net of discounts: they are named on it, and take nothing off (changelog 2025-09-30)."""
    details = (line["parent"] or {}).get("subscription_item_details") or {}
    return {off.id: 0 for off in shared} if details.get("proration") else {}


def _tax(tax: Tax, amount: int, taxable: int, invoice: Doc) -> Doc:
    return {
        "amount": amount,
        "tax_behavior": "inclusive" if tax.inclusive else "exclusive",
        "tax_rate_details": {"tax_rate": tax.rate},
        "taxability_reason": EXEMPT.get(invoice["customer_tax_exempt"], "not_available"),
        "taxable_amount": taxable,
        "type": "tax_rate_details",
    }


def _together(made: list[Reckoned]) -> list[Doc]:
    """What each discount took off all lines."""
    whole: dict[str, int] = {}
    for row in made:
        for id, amount in [*row.own.items(), *row.shared.items()]:
            whole[id] = whole.get(id, 0) + amount
    return [{"amount": amount, "discount": id} for id, amount in whole.items()]


def _taxes_together(made: list[Reckoned], invoice: Doc) -> list[Doc]:
    whole: dict[str, tuple[Tax, int, int]] = {}
    for tax in (tax for row in made for tax in row.taxes):
        _, amount, taxable = whole.get(tax.rate, (tax, 0, 0))
        whole[tax.rate] = tax, amount + tax.amount, taxable + tax.taxable
    return [_tax(tax, amount, taxable, invoice) for tax, amount, taxable in whole.values()]
