"""Credit notes: what is taken back from a finalised invoice, and how the money goes back.

Before payment a credit note lowers what an open invoice still asks; after payment it is refunded, credited to the
customer's balance or settled elsewhere. `drafted` is the note as a value, which a preview shows; `issue` makes it true.
Sources: Stripe docs, "Credit notes", API reference "The Credit Note object".
"""

from decimal import Decimal
from typing import Any

from sandbox import objects
from sandbox.billing import balances, collection, invoicing
from sandbox.billing.reckoning import Rate, Row, reckon
from sandbox.billing.tiers import rounded
from sandbox.context import Context
from sandbox.documents import merge_metadata, new_document, random_text, render
from sandbox.errors import ApiError, no_such
from sandbox.kinds import Doc
from sandbox.money import in_words
from sandbox.pagination import list_object
from sandbox.resources import refunds, tax_rates


def drafted(ctx: Context, invoice: Doc, params: dict[str, Any]) -> Doc:
    """The credit note with its lines and sums. Raises when it would take back more than there is."""
    if invoice["status"] not in ("open", "paid"):
        raise ApiError(
            f"You can only create a credit note for an open or paid invoice. This invoice is {invoice['status']}.",
            param="invoice",
        )
    shipping = _shipping(ctx, invoice, params)
    lines = _lines(ctx, invoice, params)
    net = sum(line["amount"] - line["discount_amount"] + _added(line) for line in lines)
    total = net + shipping["amount_shipping"]
    if total <= 0:
        raise ApiError("One of `amount`, `lines` or `shipping_cost` must be provided.", param="lines")
    note = new_document(ctx, "credit_note", _fields(ctx, invoice, params) | shipping | _sums(lines, total))
    note["lines"] = list_object(lines, url=f"/v1/credit_notes/{note['id']}/lines")
    return note | _ways(invoice, params, total)


def _shipping(ctx: Context, invoice: Doc, params: dict[str, Any]) -> Doc:
    """The invoice's shipping, when it is taken back; that is possible once."""
    if "shipping_cost" not in params:
        return {"amount_shipping": 0, "shipping_cost": None}
    cost = invoice["shipping_cost"] or {}
    if cost.get("shipping_rate") != params["shipping_cost"]["shipping_rate"]:
        raise ApiError("The shipping rate must be the invoice's.", param="shipping_cost[shipping_rate]")
    notes = objects.query(ctx, "credit_note", invoice=invoice["id"])
    if any(note["shipping_cost"] for note in notes if note["status"] == "issued"):
        raise ApiError("The shipping of this invoice was credited already.", param="shipping_cost")
    return {"amount_shipping": invoice["amount_shipping"], "shipping_cost": cost}


def _lines(ctx: Context, invoice: Doc, params: dict[str, Any]) -> list[Doc]:
    if "amount" not in params and "lines" not in params and "shipping_cost" in params:
        return []
    if ("amount" in params) == bool(params.get("lines")):
        raise ApiError("You must specify exactly one of `amount` or `lines`.", param="lines")
    if "amount" in params:
        given = {"description": None, "unit_amount": params["amount"], "quantity": 1}
        return [_custom(ctx, given, "lines[0]")]
    return [
        _custom(ctx, given, f"lines[{number}]")
        if given["type"] == "custom_line_item"
        else _of_invoice(ctx, invoice, given, f"lines[{number}]")
        for number, given in enumerate(params["lines"])
    ]


def _custom(ctx: Context, given: dict[str, Any], path: str) -> Doc:
    quantity = given.get("quantity") or 1
    unit = given.get("unit_amount_decimal") or given.get("unit_amount")
    if unit is None:
        raise ApiError("You must pass `unit_amount` for a custom line item.", param=f"{path}[unit_amount]")
    rates = tax_rates.named(ctx, given.get("tax_rates"), f"{path}[tax_rates]")
    amount = rounded(Decimal(unit) * quantity)
    known = tuple(Rate(rate["id"], Decimal(str(rate["percentage"])), rate["inclusive"]) for rate in rates)
    [done] = reckon([Row(amount, rates=known)])
    taxes = [
        _tax(tax.rate, tax.amount, tax.taxable, "inclusive" if tax.inclusive else "exclusive") for tax in done.taxes
    ]
    return _line(
        ctx, type="custom_line_item", amount=amount, description=given.get("description"), quantity=quantity,
        tax_rates=rates, taxes=taxes, unit_amount=int(unit), unit_amount_decimal=str(unit),
    )  # fmt: skip


def _of_invoice(ctx: Context, invoice: Doc, given: dict[str, Any], path: str) -> Doc:
    """A part of an invoice's line, with the same part of its discounts and taxes."""
    id = given.get("invoice_line_item", "")
    line = next((line for line in invoice["lines"]["data"] if line["id"] == id), None)
    if line is None:
        raise no_such("invoice line item", id, param=f"{path}[invoice_line_item]")
    whole, units = line["amount"], line["quantity"] or 1
    amount = given.get("amount", rounded(Decimal(whole) * given.get("quantity", units) / units))
    if not 0 < amount <= whole:
        raise ApiError(
            f"The amount to credit ({in_words(amount, invoice['currency'])}) must be greater than 0 and at most the "
            f"line item's amount ({in_words(whole, invoice['currency'])}).",
            param=f"{path}[amount]",
        )
    taken = [taken | {"amount": _part(taken["amount"], amount, whole)} for taken in line["discount_amounts"]]
    taxes = [
        tax | {name: _part(tax[name], amount, whole) for name in ("amount", "taxable_amount")} for tax in line["taxes"]
    ]
    return _line(
        ctx, type="invoice_line_item", amount=amount, description=line["description"], invoice_line_item=id,
        quantity=given.get("quantity", units), discount_amounts=taken, taxes=taxes,
        discount_amount=sum(one["amount"] for one in taken),
    )  # fmt: skip


def _part(value: int, of: int, whole: int) -> int:
    return rounded(Decimal(value) * of / whole)


def _tax(rate: str, amount: int, taxable: int, behavior: str) -> Doc:
    return {
        "amount": amount,
        "tax_behavior": behavior,
        "tax_rate_details": {"tax_rate": rate},
        "taxability_reason": "not_available",
        "taxable_amount": taxable,
        "type": "tax_rate_details",
    }


def _line(ctx: Context, **fields: Any) -> Doc:
    empty: Doc = {
        "discount_amount": 0, "discount_amounts": [], "metadata": {}, "pretax_credit_amounts": [], "tax_rates": [],
        "unit_amount": None, "unit_amount_decimal": None,
    }  # fmt: skip
    return render(new_document(ctx, "credit_note_line_item", empty | fields))


def _added(line: Doc) -> int:
    return sum(tax["amount"] for tax in line["taxes"] if tax["tax_behavior"] == "exclusive")


def _fields(ctx: Context, invoice: Doc, params: dict[str, Any]) -> Doc:
    known = len(objects.query(ctx, "credit_note", invoice=invoice["id"])) + 1
    token = f"{'live' if ctx.livemode else 'test'}_{random_text(48)}"
    nothing = dict.fromkeys(("customer_account", "customer_balance_transaction", "voided_at"))
    return nothing | {
        "currency": invoice["currency"],
        "customer": invoice["customer"],
        "effective_at": params.get("effective_at", ctx.now),
        "invoice": invoice["id"],
        "memo": params.get("memo"),
        "metadata": merge_metadata({}, params.get("metadata")),
        "number": f"{invoice['number']}-CN-{known:02d}",
        "pdf": f"{ctx.base_url}/credit_notes/{ctx.account}/{token}/pdf",
        "pretax_credit_amounts": [],
        "reason": params.get("reason"),
        "refunds": [],
        "status": "issued",
        "_token": token,
    }


def _sums(lines: list[Doc], total: int) -> Doc:
    taxes = [tax for line in lines for tax in line["taxes"]]
    taken: dict[str, int] = {}
    for one in (one for line in lines for one in line["discount_amounts"]):
        taken[one["discount"]] = taken.get(one["discount"], 0) + one["amount"]
    subtotal = sum(line["amount"] for line in lines)
    inclusive = sum(tax["amount"] for tax in taxes if tax["tax_behavior"] == "inclusive")
    return {
        "amount": total,
        "discount_amount": sum(taken.values()),
        "discount_amounts": [{"amount": amount, "discount": id} for id, amount in taken.items()],
        "subtotal": subtotal,
        "subtotal_excluding_tax": subtotal - inclusive,
        "total": total,
        "total_excluding_tax": total - sum(tax["amount"] for tax in taxes),
        "total_taxes": taxes,
    }


def _ways(invoice: Doc, params: dict[str, Any], total: int) -> Doc:
    """What lowers the debt and what goes back after payment, checked against what there is."""
    before = min(total, invoice["amount_remaining"]) if invoice["status"] == "open" else 0
    after, currency = total - before, invoice["currency"]
    credited = invoice["pre_payment_credit_notes_amount"] + invoice["post_payment_credit_notes_amount"]
    left = invoice["total"] - credited
    if total > left:
        raise ApiError(
            f"The credit note's amount ({in_words(total, currency)}) is greater than what is left of the invoice "
            f"({in_words(left, currency)}).",
            param="amount",
        )
    linked = sum(one.get("amount_refunded", 0) for one in params.get("refunds") or [])
    named = sum(params.get(name) or 0 for name in ("credit_amount", "out_of_band_amount", "refund_amount")) + linked
    if named != after:
        raise ApiError(
            "The sum of credit amount, refund amount and out of band amount "
            f"({in_words(named, currency)}) must equal the post payment amount of the credit note "
            f"({in_words(after, currency)}).",
        )
    return {
        "out_of_band_amount": params.get("out_of_band_amount"),
        "post_payment_amount": after,
        "pre_payment_amount": before,
        "type": "mixed" if before and after else "pre_payment" if before else "post_payment",
    }


def issue(ctx: Context, invoice: Doc, note: Doc, params: dict[str, Any]) -> Doc:
    """Store it and move what it says. The invoice is paid when nothing is left to ask for."""
    for number, one in enumerate(params.get("refunds") or []):
        _check_refund(ctx, invoice, one, f"refunds[{number}]")
    linked = [_refund(one["refund"], one["amount_refunded"]) for one in params.get("refunds") or []]
    if params.get("refund_amount"):
        made = refunds.refund(ctx, _charge(ctx, invoice), params["refund_amount"], reason=None, metadata={})
        linked.append(_refund(made["id"], made["amount"]))
    note = objects.create(ctx, "credit_note", note | {"refunds": linked})
    if params.get("credit_amount"):
        note = _to_balance(ctx, note, params["credit_amount"])
    objects.announce(ctx, "credit_note.created", note)
    _lower(ctx, invoice, before=note["pre_payment_amount"], after=note["post_payment_amount"])
    return note


def _check_refund(ctx: Context, invoice: Doc, one: dict[str, Any], path: str) -> None:
    """A refund that was made before: of a payment of this invoice, and counted once."""
    made = objects.load(ctx, "refund", one["refund"], param=f"{path}[refund]")
    paid = objects.query(ctx, "invoice_payment", invoice=invoice["id"], status="paid")
    if made["payment_intent"] not in [payment["payment"]["payment_intent"] for payment in paid]:
        raise ApiError("The refund is not of a payment of this invoice.", param=f"{path}[refund]")
    notes = [note for note in objects.query(ctx, "credit_note", invoice=invoice["id"]) if note["status"] == "issued"]
    counted = [known for note in notes for known in note["refunds"] if known["refund"] == made["id"]]
    left = made["amount"] - sum(known["amount_refunded"] for known in counted)
    if one["amount_refunded"] > left:
        raise ApiError(
            f"The amount ({in_words(one['amount_refunded'], invoice['currency'])}) is greater than what is left of the "
            f"refund ({in_words(left, invoice['currency'])}).",
            param=f"{path}[amount_refunded]",
        )


def _refund(id: str, amount: int) -> Doc:
    return {"amount_refunded": amount, "payment_record_refund": None, "refund": id, "type": "refund"}


def _charge(ctx: Context, invoice: Doc) -> Doc:
    for payment in objects.query(ctx, "invoice_payment", invoice=invoice["id"], status="paid"):
        intent = objects.load(ctx, "payment_intent", payment["payment"]["payment_intent"])
        return objects.load(ctx, "charge", intent["latest_charge"])
    raise ApiError("There is no payment on this invoice that could be refunded.", param="refund_amount")


def _to_balance(ctx: Context, note: Doc, amount: int) -> Doc:
    customer = objects.load(ctx, "customer", note["customer"])
    balances.move(ctx, customer, -amount, "credit_note", credit_note=note["id"], invoice=note["invoice"])
    moved = objects.query(ctx, "customer_balance_transaction", customer=note["customer"])[0]
    return objects.update(ctx, note, {"customer_balance_transaction": moved["id"]})


def _lower(ctx: Context, invoice: Doc, *, before: int, after: int) -> None:
    """An open invoice asks for `before` less (more when it is negative); the payment that waits does too."""
    changes = {
        "amount_due": invoice["amount_due"] - before,
        "amount_remaining": invoice["amount_remaining"] - before,
        "post_payment_credit_notes_amount": invoice["post_payment_credit_notes_amount"] + after,
        "pre_payment_credit_notes_amount": invoice["pre_payment_credit_notes_amount"] + before,
    }
    changed = objects.update(ctx, invoice, changes, event="invoice.updated")
    if not before:
        return
    if changed["amount_remaining"] == 0:
        collection.cancel_payments(ctx, changed)
        invoicing.paid(
            ctx, objects.load(ctx, "invoice", changed["id"]), amount=changed["amount_paid"], out_of_band=True
        )
        return
    collection.ask_for_rest(ctx, changed)


def void(ctx: Context, note: Doc) -> Doc:
    """The note was a mistake: an open invoice asks for the whole again."""
    invoice = objects.load(ctx, "invoice", note["invoice"])
    if note["status"] == "void":
        raise ApiError("This credit note is already void.", param="id")
    if note["type"] != "pre_payment" or invoice["status"] != "open":
        raise ApiError("You can only void a credit note that was issued before payment, of an open invoice.")
    voided = objects.update(ctx, note, {"status": "void", "voided_at": ctx.now})
    objects.announce(ctx, "credit_note.voided", voided)
    _lower(ctx, invoice, before=-note["pre_payment_amount"], after=0)
    return voided
