"""A customer's credit balance and the transactions that moved it. Negative: credit, which lowers the next invoice;
positive: owed, which raises it. It is a promise, not money, and stands in no ledger.
Source: Stripe docs, "Customer credit balance".
"""

from typing import Any

from sandbox import objects
from sandbox.context import Context
from sandbox.errors import ApiError
from sandbox.kinds import Doc, kind

TRANSACTION = kind(
    "customer_balance_transaction",
    prefix="cbtxn",
    label="customer balance transaction",
    indexed=("customer", "invoice"),
    expandable={
        "checkout_session": "checkout.session",
        "credit_note": "credit_note",
        "customer": "customer",
        "invoice": "invoice",
    },
)


def move(ctx: Context, customer: Doc, amount: int, type: str, **more: Any) -> Doc:
    """The customer after `amount` (negative: credit) was added to their balance. Nothing happens for 0. `type` is the
    API's; `more` may give invoice, credit_note, description, metadata and currency."""
    if amount == 0:
        return customer
    currency = more.get("currency") or _currency(ctx, customer, more.get("invoice"))
    balance = customer["balance"] + amount
    nothing = dict.fromkeys(("checkout_session", "credit_note", "customer_account", "description", "invoice"))
    objects.create(
        ctx,
        "customer_balance_transaction",
        nothing
        | {
            "amount": amount,
            "currency": currency,
            "customer": customer["id"],
            "ending_balance": balance,
            "metadata": {},
            "type": type,
        }
        | {name: value for name, value in more.items() if name != "currency"},
    )
    changes = {"balance": balance, "currency": customer["currency"] or currency}
    return objects.update(ctx, customer, changes, event="customer.updated")


def _currency(ctx: Context, customer: Doc, invoice: str | None) -> str:
    placed = objects.find(ctx, "invoice", invoice)
    return str((placed or {}).get("currency") or customer["currency"] or "usd")


def checked_currency(customer: Doc, currency: str) -> str:
    """Raises when the customer's balance is in another currency."""
    if customer["currency"] not in (None, currency):
        raise ApiError(
            f"The customer's currency is {customer['currency']}, so a balance in {currency} cannot be given.",
            param="currency",
        )
    return currency
