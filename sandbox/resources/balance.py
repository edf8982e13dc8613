"""The balance: what came in less what went out."""

from typing import Any

from sandbox import ledger
from sandbox.context import Context
from sandbox.kinds import Doc
from sandbox.routes import route


@route("GET", "/v1/balance")
def retrieve_balance(ctx: Context, params: dict[str, Any]) -> Doc:
    """Retrieve the balance"""
    stands = ledger.standing(ctx.tx, account=ctx.scope)
    sums = [(currency, accounts[ledger.BALANCE]) for currency, accounts in stands.items() if ledger.BALANCE in accounts]
    sums = sums or [("usd", 0)]
    return {
        "object": "balance",
        "available": [_amount(currency, amount) for currency, amount in sums],
        "connect_reserved": [{"amount": 0, "currency": currency} for currency, _ in sums],
        "livemode": ctx.livemode,
        "pending": [_amount(currency, 0) for currency, _ in sums],
    }


def _amount(currency: str, amount: int) -> Doc:
    return {"amount": amount, "currency": currency, "source_types": {"card": amount}}
