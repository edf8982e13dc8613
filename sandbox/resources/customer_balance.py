"""Customer balance transactions: what moved a customer's credit balance."""

from typing import Any

from sandbox import objects
from sandbox.billing import balances
from sandbox.context import Context
from sandbox.documents import merge_metadata
from sandbox.errors import no_such
from sandbox.kinds import Doc
from sandbox.pagination import list_page, listing
from sandbox.params import Int, Metadata, Param, Str
from sandbox.resources.prices import checked_currency
from sandbox.routes import route

WORDS: dict[str, Param] = {"description": Str(unset=True, max_length=350), "metadata": Metadata()}
CREATE = WORDS | {"amount": Int(required=True, min=-999_999_999_999), "currency": Str(required=True)}
LABEL = "customer balance transaction"


@route("POST", "/v1/customers/{customer}/balance_transactions", params=CREATE)
def create_balance_transaction(ctx: Context, params: dict[str, Any], customer: str) -> Doc:
    """Credit (negative) or debit a customer's balance"""
    owner = objects.load(ctx, "customer", customer, param="customer", in_path=True)
    currency = balances.checked_currency(owner, checked_currency(params["currency"]))
    said = {"description": params.get("description"), "metadata": merge_metadata({}, params.get("metadata"))}
    balances.move(ctx, owner, params["amount"], "adjustment", currency=currency, **said)
    return objects.query(ctx, "customer_balance_transaction", customer=customer)[0]


@route("GET", "/v1/customers/{customer}/balance_transactions", params=listing(invoice=Str()))
def list_balance_transactions(ctx: Context, params: dict[str, Any], customer: str) -> Doc:
    """List a customer's balance transactions"""
    objects.load(ctx, "customer", customer, param="customer", in_path=True)
    filters = {"customer": customer, "invoice": params.get("invoice")}
    url = f"/v1/customers/{customer}/balance_transactions"
    return list_page(ctx, "customer_balance_transaction", params, filters, url=url)


@route("GET", "/v1/customers/{customer}/balance_transactions/{id}")
def retrieve_balance_transaction(ctx: Context, params: dict[str, Any], customer: str, id: str) -> Doc:
    """Retrieve a balance transaction"""
    return _load(ctx, customer, id)


def _load(ctx: Context, customer: str, id: str) -> Doc:
    found = objects.load(ctx, "customer_balance_transaction", id, param="transaction", in_path=True)
    if found["customer"] != customer:
        raise no_such(LABEL, id, param="transaction", in_path=True)
    return found


@route("POST", "/v1/customers/{customer}/balance_transactions/{id}", params=WORDS)
def update_balance_transaction(ctx: Context, params: dict[str, Any], customer: str, id: str) -> Doc:
    """Update a balance transaction's words"""
    found = _load(ctx, customer, id)
    if "metadata" in params:
        params["metadata"] = merge_metadata(found["metadata"], params["metadata"])
    return objects.update(ctx, found, params)
