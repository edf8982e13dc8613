"""Every movement of money, twice-entered: what left one account arrived in another, so the sums always balance.

Accounts are words:

    customer:cus_…   the outside: the customer's purse and banks
    cash:cus_…       what a customer has sent to us and not yet spent (the cash balance)
    payment:pi_…     what is set aside for a payment that is not yet whole
    balance          ours at Stripe
    fees             what Stripe keeps

Amounts are positive integers of the currency's minor unit.
"""

from enum import StrEnum

from sandbox.context import Context
from sandbox.store import Transaction


class Entry(StrEnum):
    CHARGE = "charge"
    """Money taken from a customer."""
    REFUND = "refund"
    """Money given back."""
    REFUND_FAILURE = "refund_failure"
    """A refund that came back to us."""
    FUNDING = "funding"
    """A bank transfer into a customer's cash balance."""
    APPLIED = "applied"
    """Cash set aside for a payment that waits for it."""
    UNAPPLIED = "unapplied"
    """Cash given back by a payment that was given up."""
    RETURN = "return"
    """Cash sent back to the customer's bank."""
    RETURN_FAILURE = "return_failure"
    """Cash that the customer's bank sent back, or that nobody told where to send."""
    DISPUTE = "dispute"
    """Money that a bank took back for its cardholder."""
    DISPUTE_REVERSAL = "dispute_reversal"
    """Money that a bank gave us again."""
    FEE = "fee"
    """What Stripe takes for a dispute."""
    FEE_REFUND = "fee_refund"
    """A fee that came back."""


BALANCE, FEES = "balance", "fees"
OUT = (Entry.REFUND, Entry.DISPUTE)
"""What goes from our balance to the customer; the rest of what needs no accounts named comes in."""


def outside(customer: str | None) -> str:
    return f"customer:{customer or 'guest'}"


def cash(customer: str) -> str:
    return f"cash:{customer}"


def set_aside(intent: str) -> str:
    return f"payment:{intent}"


def record(ctx: Context, entry: Entry, *, amount: int, currency: str, customer: str | None, cause: str) -> None:
    """Between the customer and our balance. `cause` is the id of the charge, refund or dispute."""
    there = outside(customer)
    debit, credit = (BALANCE, there) if entry in OUT else (there, BALANCE)
    move(ctx, entry, debit, credit, amount=amount, currency=currency, customer=customer, cause=cause)


def move(
    ctx: Context,
    entry: Entry,
    debit: str,
    credit: str,
    *,
    amount: int,
    currency: str,
    customer: str | None,
    cause: str,
) -> None:
    """From `debit` to `credit`. The request's id and idempotency key are kept with it. Nothing is written for 0."""
    if amount == 0:
        return
    ctx.tx.sql(
        "INSERT INTO ledger (scope, at, entry, debit, credit, amount, currency, customer, cause, request, "
        "idempotency_key) VALUES (?,?,?,?,?,?,?,?,?,?,?)",
        ctx.scope, ctx.now, entry.value, debit, credit, amount, currency, customer, cause,
        ctx.request_id, ctx.idempotency_key,
    )  # fmt: skip


def standing(
    tx: Transaction, *, account: str | None = None, entry: str | None = None, currency: str | None = None
) -> dict[str, dict[str, int]]:
    """What stands in each account of an API account (`acct_…`, or one mode of it) or of all, by currency: what came
    less what went. It is kept with every movement, so only a few rows are added up here. The accounts that each
    customer or payment has are one: `customer:*`, `cash:*`, `payment:*`."""
    rows = tx.sql(
        "SELECT currency, account, sum(amount) FROM ledger_sums "
        "WHERE (?1 IS NULL OR scope=?1 OR scope LIKE ?1 || ':%') "
        "AND (?2 IS NULL OR entry=?2) AND (?3 IS NULL OR currency=?3) GROUP BY currency, account ORDER BY 1, 2",
        account, entry, currency,
    )  # fmt: skip
    sums: dict[str, dict[str, int]] = {}
    for name, kept, amount in rows:
        sums.setdefault(name, {})[kept] = amount
    return sums
