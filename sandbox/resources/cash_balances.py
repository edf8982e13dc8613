"""Cash balances: what customers sent by bank transfer and have not spent yet.

For payments: `available` tells what is there, `change` moves money in and out and tells the world.
Sources: Stripe docs, "Customer balance", "Refund bank transfers"; API reference "Cash balance".
"""

from typing import Any

from sandbox import banking, events, ledger, objects
from sandbox.context import Context
from sandbox.errors import ApiError, missing
from sandbox.kinds import KINDS, Doc, kind
from sandbox.ledger import Entry
from sandbox.money import in_words
from sandbox.pagination import list_page, paging
from sandbox.params import Array, Enum, Hash, Str
from sandbox.resources import refunds
from sandbox.resources.method_options import TRANSFERS
from sandbox.resources.prices import checked_currency
from sandbox.routes import route

CASH_BALANCE = kind("cash_balance", prefix="cashbal", without=("created",), indexed=("customer",))
TRANSACTION = kind(
    "customer_cash_balance_transaction",
    prefix="ccsbtxn",
    indexed=("customer", "currency"),
    expandable={
        "applied_to_payment.payment_intent": "payment_intent",
        "customer": "customer",
        "refunded_from_payment.refund": "refund",
        "unapplied_from_payment.payment_intent": "payment_intent",
    },
)


def stored(ctx: Context, customer: str) -> Doc:
    """The customer's cash balance, made when it is first asked for."""
    for known in objects.query(ctx, "cash_balance", customer=customer):
        return known
    return _fresh(customer, ctx)


def _fresh(customer: str, ctx: Context) -> Doc:
    return {
        "object": "cash_balance",
        "available": None,
        "customer": customer,
        "customer_account": None,
        "livemode": ctx.livemode,
        "settings": {"reconciliation_mode": "automatic", "using_merchant_default": True},
    }


def _save(ctx: Context, cash: Doc, changes: Doc) -> Doc:
    if "id" in cash:
        return objects.update(ctx, cash, changes)
    return objects.create(ctx, "cash_balance", cash | changes)


def shown(cash: Doc) -> Doc:
    """As the API shows it: without an id."""
    return {name: value for name, value in cash.items() if name != "id" and not name.startswith("_")}


def available(ctx: Context, customer: str, currency: str) -> int:
    """In the minor unit."""
    return int((stored(ctx, customer)["available"] or {}).get(currency, 0))


def is_automatic(ctx: Context, customer: str) -> bool:
    return bool(stored(ctx, customer)["settings"]["reconciliation_mode"] == "automatic")


def change(ctx: Context, customer: str, currency: str, amount: int, type: str, details: Doc) -> Doc:
    """Put `amount` in (negative: take it out) for the reason `type`; `details` is that reason's hash, if it has one.
    The ledger is the caller's."""
    cash = stored(ctx, customer)
    ending = available(ctx, customer, currency) + amount
    if ending < 0:
        raise ValueError(f"the cash balance of {customer} would become {ending}")
    _save(ctx, cash, {"available": {**(cash["available"] or {}), currency: ending}})
    return objects.create(
        ctx,
        "customer_cash_balance_transaction",
        {
            "currency": currency,
            "customer": customer,
            "customer_account": None,
            "ending_balance": ending,
            "net_amount": amount,
            "type": type,
            **({type: details} if details else {}),
        },
        event="customer_cash_balance_transaction.created",
    )


def tell_if_left(ctx: Context, customer: str, currency: str) -> None:
    """Money is there that no payment asked for."""
    if available(ctx, customer, currency):
        events.emit(ctx, "cash_balance.funds_available", shown(stored(ctx, customer)))


def _from_refund(ctx: Context, made: Doc) -> None:
    """A payment by transfer was refunded: into the cash balance, from where it can be sent on."""
    change(ctx, made["customer"], made["currency"], made["amount"], "refunded_from_payment", {"refund": made["id"]})


def _send_back(ctx: Context, params: dict[str, Any], told: dict[str, Any]) -> Doc:
    """POST /v1/refunds with origin customer_balance: from the cash balance to the customer's bank."""
    for name in ("customer", "amount", "currency"):
        if name not in params:
            raise missing(name)
    customer = objects.load(ctx, "customer", params["customer"], param="customer")
    currency, amount = checked_currency(params["currency"]), params["amount"]
    left = available(ctx, customer["id"], currency)
    if amount > left:
        raise ApiError(
            f"Refund amount ({in_words(amount, currency)}) is greater than the customer's available cash balance "
            f"({in_words(left, currency)}).",
            param="amount",
        )
    type = banking.TYPES[currency]
    fields = refunds.new_fields(amount, currency, customer["id"], told["metadata"])
    fields |= {"destination_details": {type: {"reference": None, "reference_status": "pending"}, "type": type}}
    made = objects.create(ctx, "refund", fields | refunds.asked(ctx, told["email"] or customer["email"]))
    _return_ledger(ctx, Entry.RETURN, made)
    change(ctx, customer["id"], currency, -amount, "return_initiated", {})
    objects.announce(ctx, "refund.created", made)
    refunds.plan(ctx, made, "requires_action")
    return made


def _come_back(ctx: Context, made: Doc) -> None:
    _return_ledger(ctx, Entry.RETURN_FAILURE, made)
    change(ctx, made["customer"], made["currency"], made["amount"], "return_canceled", {})


def _return_ledger(ctx: Context, entry: Entry, made: Doc) -> None:
    here, there = ledger.cash(made["customer"]), ledger.outside(made["customer"])
    debit, credit = (here, there) if entry == Entry.RETURN else (there, here)
    ledger.move(
        ctx, entry, debit, credit, amount=made["amount"], currency=made["currency"], customer=made["customer"],
        cause=made["id"],
    )  # fmt: skip


refunds.INTO_CASH.append(_from_refund)
refunds.RETURN_CASH.append(_send_back)
refunds.CASH_BACK.append(_come_back)
KINDS["customer"].includable["cash_balance"] = lambda ctx, customer: shown(stored(ctx, customer["id"]))  # type: ignore[index]


@route("GET", "/v1/customers/{customer}/cash_balance")
def retrieve_cash_balance(ctx: Context, params: dict[str, Any], customer: str) -> Doc:
    """Retrieve a customer's cash balance"""
    objects.load(ctx, "customer", customer, param="customer", in_path=True)
    return shown(stored(ctx, customer))


SETTINGS = Hash({"reconciliation_mode": Enum("automatic", "manual", "merchant_default")})


@route("POST", "/v1/customers/{customer}/cash_balance", params={"settings": SETTINGS})
def update_cash_balance(ctx: Context, params: dict[str, Any], customer: str) -> Doc:
    """Say how a customer's transfers find their payments"""
    objects.load(ctx, "customer", customer, param="customer", in_path=True)
    cash = stored(ctx, customer)
    mode = (params.get("settings") or {}).get("reconciliation_mode")
    if mode is None:
        return shown(cash)
    default = mode == "merchant_default"
    settings = {"reconciliation_mode": "automatic" if default else mode, "using_merchant_default": default}
    return shown(_save(ctx, cash, {"settings": settings}))


@route("GET", "/v1/customers/{customer}/cash_balance_transactions", params=paging())
def list_transactions(ctx: Context, params: dict[str, Any], customer: str) -> Doc:
    """List what went in and out of a customer's cash balance"""
    objects.load(ctx, "customer", customer, param="customer", in_path=True)
    url = f"/v1/customers/{customer}/cash_balance_transactions"
    return list_page(ctx, "customer_cash_balance_transaction", params, {"customer": customer}, url=url)


@route("GET", "/v1/customers/{customer}/cash_balance_transactions/{id}")
def retrieve_transaction(ctx: Context, params: dict[str, Any], customer: str, id: str) -> Doc:
    """Retrieve one movement of a customer's cash balance"""
    objects.load(ctx, "customer", customer, param="customer", in_path=True)
    return objects.load(ctx, "customer_cash_balance_transaction", id, param="transaction", in_path=True)


INSTRUCTIONS = {
    "bank_transfer": Hash(
        {
            "eu_bank_transfer": Hash({"country": Enum("BE", "DE", "ES", "FR", "IE", "NL", required=True)}),
            "requested_address_types": Array(Str()),
            "type": Enum(*TRANSFERS, required=True),
        },
        required=True,
    ),
    "currency": Str(required=True),
    "funding_type": Enum("bank_transfer", required=True),
}


@route("POST", "/v1/customers/{customer}/funding_instructions", params=INSTRUCTIONS)
def create_funding_instructions(ctx: Context, params: dict[str, Any], customer: str) -> Doc:
    """Where this customer sends transfers to"""
    objects.load(ctx, "customer", customer, param="customer", in_path=True)
    currency, wanted = checked_currency(params["currency"]), params["bank_transfer"]
    if banking.TYPES.get(currency) != wanted["type"]:
        raise ApiError(
            f"`{wanted['type']}` cannot be used with the currency `{currency}`.", param="bank_transfer[type]"
        )
    country = (wanted.get("eu_bank_transfer") or {}).get("country")
    return {
        "object": "funding_instructions",
        "bank_transfer": banking.funding(customer, currency, wanted["type"], country),
        "currency": currency,
        "funding_type": "bank_transfer",
        "livemode": ctx.livemode,
    }
