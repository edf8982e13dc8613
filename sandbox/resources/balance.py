"""The balance: what came in less what went out."""

from typing import Any

from sandbox.context import Context
from sandbox.kinds import Doc
from sandbox.routes import route


@route("GET", "/v1/balance")
def retrieve_balance(ctx: Context, params: dict[str, Any]) -> Doc:
    """Retrieve the balance"""
    rows = ctx.tx.sql(
        "SELECT currency, sum(CASE credit WHEN 'balance' THEN amount ELSE -amount END) FROM ledger WHERE scope=? "
        "AND 'balance' IN (credit, debit) GROUP BY currency ORDER BY currency",
        ctx.scope,
    ).fetchall()
    sums = rows or [("usd", 0)]
    return {
        "object": "balance",
        "available": [_amount(currency, amount) for currency, amount in sums],
        "connect_reserved": [{"amount": 0, "currency": currency} for currency, _ in sums],
        "livemode": ctx.livemode,
        "pending": [_amount(currency, 0) for currency, _ in sums],
    }


def _amount(currency: str, amount: int) -> Doc:
    return {"amount": amount, "currency": currency, "source_types": {"card": amount}}
