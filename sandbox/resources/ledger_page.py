"""`GET /_sandbox/ledger`: every movement of money with its cause, and what stands in each account."""

from typing import Any

from sandbox.context import Context
from sandbox.errors import ApiError
from sandbox.kinds import Doc
from sandbox.ledger import standing
from sandbox.routes import PageRequest, page

FILTERS = {
    "account": "(+scope=? OR +scope LIKE ? || ':%')", "customer": "customer=?", "object": "cause=?", "cause": "cause=?",
    "key": "idempotency_key=?", "entry": "entry=?", "currency": "currency=?",
}  # fmt: skip
NARROW = ("customer", "object", "cause", "key")
"""What leaves so few rows that they are added up as they are."""
COLUMNS = (
    "id", "scope", "at", "entry", "debit", "credit", "amount", "currency", "customer", "cause", "request",
    "idempotency_key",
)  # fmt: skip
MOST = 1000
NO_ID = 2**62
"""More than any id."""


@page("GET", "/_sandbox/ledger")
def ledger(ctx: Context, request: PageRequest) -> Doc:
    """Movements, newest first: ?customer=, ?object= or ?cause= (the charge, refund, dispute … that caused it), ?key=
    (idempotency key), ?entry=, ?currency=, ?account=acct_… narrow the list; ?limit= with ?before= (an id: what was
    earlier) or ?after= (what came since) page it. `sums` is what stands in each account of what is listed on all pages;
    over the accounts of a currency it is always 0. Without a customer, object or key the accounts of all customers are
    one, `customer:*`."""
    where, values = _where(request)
    limit = min(_number(request, "limit") or 100, MOST)
    before, after = _number(request, "before"), _number(request, "after")
    rows = ctx.tx.sql(
        f"SELECT {', '.join(COLUMNS)} FROM ledger WHERE {where} AND id < ? AND id > ? ORDER BY id DESC LIMIT ?",  # noqa: S608
        *values, NO_ID if before is None else before, after or 0, limit + 1,
    ).fetchall()  # fmt: skip
    sums = _sums(ctx, request, where, values)
    return {
        "data": [dict(zip(COLUMNS, row, strict=True)) for row in rows[:limit]],
        "has_more": len(rows) > limit,
        "sums": sums,
        "balanced": all(sum(accounts.values()) == 0 for accounts in sums.values()),
    }


def _sums(ctx: Context, request: PageRequest, where: str, values: list[Any]) -> dict[str, dict[str, int]]:
    if any(request.query.get(name) for name in NARROW):
        return _added_up(ctx, where, values)
    wanted = {name: request.query.get(name) or None for name in ("account", "entry", "currency")}
    return standing(ctx.tx, **wanted)


def _where(request: PageRequest) -> tuple[str, list[Any]]:
    wanted = {name: request.query[name] for name in FILTERS if request.query.get(name)}
    clauses = ["1", *(FILTERS[name] for name in wanted)]
    return " AND ".join(clauses), [value for name, value in wanted.items() for _ in range(FILTERS[name].count("?"))]


def _number(request: PageRequest, name: str) -> int | None:
    given = request.query.get(name)
    if given is None:
        return None
    if not str(given).isdecimal():
        raise ApiError(f"Invalid integer: {given}", code="parameter_invalid_integer", param=name)
    return int(given)


def _added_up(ctx: Context, where: str, values: list[Any]) -> dict[str, dict[str, int]]:
    """What came less what went, by currency and account."""
    rows = ctx.tx.sql(
        "SELECT currency, account, sum(amount) FROM ("  # noqa: S608 (fixed words)
        f"SELECT currency, credit AS account, amount FROM ledger WHERE {where} UNION ALL "
        f"SELECT currency, debit, -amount FROM ledger WHERE {where}) GROUP BY currency, account ORDER BY 1, 2",
        *values, *values,
    ).fetchall()  # fmt: skip
    sums: dict[str, dict[str, int]] = {}
    for currency, account, amount in rows:
        sums.setdefault(currency, {})[account] = amount
    return sums
