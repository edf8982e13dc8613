"""Every movement of money, twice-entered: what left one account arrived in another, so the sums always balance.

Accounts are words: `customer:cus_…` (the outside), `balance` (ours at Stripe). Amounts are positive integers of
the currency's minor unit.
"""

from enum import StrEnum

from sandbox.context import Context


class Entry(StrEnum):
    CHARGE = "charge"
    """Money taken from a customer."""
    REFUND = "refund"
    """Money given back."""
    REFUND_FAILURE = "refund_failure"
    """A refund that came back to us."""


def record(ctx: Context, entry: Entry, *, amount: int, currency: str, customer: str | None, cause: str) -> None:
    """`cause` is the id of the charge or refund. The request's id and idempotency key are kept with it."""
    outside, ours = f"customer:{customer or 'guest'}", "balance"
    debit, credit = (ours, outside) if entry == Entry.REFUND else (outside, ours)
    ctx.tx.sql(
        "INSERT INTO ledger (scope, at, entry, debit, credit, amount, currency, customer, cause, request, "
        "idempotency_key) VALUES (?,?,?,?,?,?,?,?,?,?,?)",
        ctx.scope, ctx.now, entry.value, debit, credit, amount, currency, customer, cause,
        ctx.request_id, ctx.idempotency_key,
    )  # fmt: skip
