"""Charges and balance transactions.

For payments: `charge_card` makes a charge with what the bank says, `capture` takes the money.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from sandbox import ledger, objects
from sandbox.billing.tiers import rounded
from sandbox.context import Context
from sandbox.documents import merge_metadata, new_id
from sandbox.kinds import Doc, kind
from sandbox.ledger import Entry
from sandbox.pagination import list_object, list_page, listing
from sandbox.params import Enum, Hash, Ignored, Metadata, Str
from sandbox.resources.customers import SHIPPING_TO
from sandbox.resources.payment_methods import card_of
from sandbox.routes import route
from sandbox.testcards import ADVICE, TestCard, decline_message


def _refunds(ctx: Context, charge: Doc) -> Doc:
    docs = ctx.tx.page(ctx.scope, "refund", {"charge": charge["id"]}, limit=11)
    shown = [{name: value for name, value in doc.items() if not name.startswith("_")} for doc in docs[:10]]
    return list_object(shown, url=f"/v1/charges/{charge['id']}/refunds", has_more=len(docs) > 10)


CHARGE = kind(
    "charge",
    prefix="ch",
    indexed=("customer", "payment_intent", "transfer_group"),
    expandable={
        "application": "*",
        "application_fee": "*",
        "balance_transaction": "balance_transaction",
        "customer": "customer",
        "failure_balance_transaction": "balance_transaction",
        "on_behalf_of": "*",
        "payment_intent": "payment_intent",
        "review": "review",
        "source_transfer": "*",
        "transfer": "*",
        "transfer_data.destination": "*",
    },
    includable={"refunds": _refunds},
)
BALANCE_TRANSACTION = kind(
    "balance_transaction",
    prefix="txn",
    label="balance transaction",
    without=("livemode",),
    indexed=("source", "type", "currency"),
    expandable={"source": "*"},
)
CAN = ("extended_authorization", "incremental_authorization", "multicapture", "overcapture")
DAY = 24 * 3600
HELD_FOR, HELD_LONGER = 7, 30
"""Days until held money is released. Source: Stripe docs, "Place a hold on a payment method"; "Extended holds"."""
OVERCAPTURE = Decimal("1.2")
"""How much more than was authorized can be captured where the network allows it."""
MADE: list[Callable[[Context, Doc], None]] = []
"""Told of each card charge that was held or taken, at the end: what Radar and the cardholder do afterwards."""
SELLER_MESSAGES = {
    None: "Payment complete.",
    "insufficient_funds": "The bank returned the decline code `insufficient_funds`.",
    "generic_decline": "The bank did not return any further details with this decline.",
}


def charge_card(ctx: Context, intent: Doc, payment_method: Doc, refusal: Doc | None, *, challenged: bool) -> Doc:
    """The charge for an intent. `refusal` is the error (code, decline_code, message) the bank gave, None for a yes."""
    succeeded = refusal is None
    fields: Doc = _from_intent(intent) | {
        "billing_details": payment_method["billing_details"],
        "failure_code": refusal["code"] if refusal else None,
        "failure_message": refusal["message"] if refusal else None,
        "outcome": _outcome(card_of(payment_method), refusal),
        "paid": succeeded,
        "payment_method": payment_method["id"],
        "payment_method_details": _details(ctx, payment_method, intent, challenged=challenged),
        "status": "succeeded" if succeeded else "failed",
        "_number": payment_method["_number"],
    }
    charge = objects.create(ctx, "charge", fields)
    charge = objects.update(ctx, charge, {"receipt_url": f"{ctx.base_url}/receipts/{charge['id']}"})
    if succeeded and not is_held(intent):
        charge = take(ctx, charge, intent["amount"])
    objects.announce(ctx, "charge.succeeded" if succeeded else "charge.failed", charge)
    return charge if charge["payment_intent"] else settled(ctx, charge)


def settled(ctx: Context, charge: Doc) -> Doc:
    """Everything about this charge is stored and told: now comes what others make of it."""
    for listener in MADE:
        listener(ctx, charge)
    return objects.load(ctx, "charge", charge["id"])


def is_held(intent: Doc) -> bool:
    """The money is held until it is captured by a call of its own."""
    card = intent["payment_method_options"].get("card") or {}
    return "manual" in (intent["capture_method"], card.get("capture_method"))


def _from_intent(intent: Doc) -> Doc:
    nothing = dict.fromkeys(
        ("application", "application_fee", "application_fee_amount", "balance_transaction",
         "failure_balance_transaction", "receipt_number", "review", "source_transfer", "transfer_data")
    )  # fmt: skip
    shared = (
        "amount", "currency", "customer", "description", "metadata", "on_behalf_of", "receipt_email", "shipping",
        "source", "statement_descriptor", "statement_descriptor_suffix", "transfer_group",
    )  # fmt: skip
    return (
        nothing
        | {name: intent[name] for name in shared}
        | {
            "amount_captured": 0,
            "amount_refunded": 0,
            "calculated_statement_descriptor": intent["statement_descriptor"] or "SANDBOX",
            "captured": False,
            "disputed": False,
            "fraud_details": {},
            "payment_intent": intent["id"],
            "receipt_url": None,
            "refunded": False,
        }
    )


def _outcome(card: TestCard, refusal: Doc | None) -> Doc:
    decline = refusal["decline_code"] if refusal else None
    blocked = bool(refusal) and card.decline_code == "fraudulent"
    return {
        "advice_code": ADVICE.get(decline, {}).get("advice_code"),
        "network_advice_code": None,
        "network_decline_code": ADVICE.get(decline, {}).get("network_decline_code"),
        "network_status": ("not_sent_to_network" if blocked else "declined_by_network")
        if refusal
        else "approved_by_network",
        "reason": "highest_risk_level" if blocked else decline,
        "risk_level": "highest" if blocked else card.risk_level,
        "seller_message": SELLER_MESSAGES.get(decline, f"The bank returned the decline code `{decline}`."),
        "type": ("blocked" if blocked else "issuer_declined") if refusal else "authorized",
    }


def _details(ctx: Context, payment_method: Doc, intent: Doc, *, challenged: bool) -> Doc:
    card = payment_method["card"]
    shared = ("brand", "checks", "country", "exp_month", "exp_year", "fingerprint", "funding", "last4", "wallet",
              "regulated_status")  # fmt: skip
    secure = {
        "authentication_flow": "challenge",
        "electronic_commerce_indicator": "05",
        "exemption_indicator": None,
        "result": "authenticated",
        "result_reason": None,
        "transaction_id": None,
        "version": "2.2.0",
    }
    details = {name: card[name] for name in shared} | {
        "amount_authorized": intent["amount"],
        "authorization_code": None,
        "installments": None,
        "mandate": None,
        "network": card["brand"],
        "network_token": {"used": False},
        "network_transaction_id": None,
        "three_d_secure": secure if challenged else None,
        "transaction_link_id": None,
        **_held_details(ctx, intent),
    }
    return {"card": dict(sorted(details.items())), "type": "card"}


def _held_details(ctx: Context, intent: Doc) -> Doc:
    """What may be done with held money, as far as it was asked for. Source: Stripe docs, "Flexible acquiring"."""
    options, held = intent["payment_method_options"].get("card") or {}, is_held(intent)
    can = {name: held and options.get(f"request_{name}") == "if_available" for name in CAN}
    most = rounded(intent["amount"] * OVERCAPTURE) if can["overcapture"] else intent["amount"]
    details: Doc = {
        "extended_authorization": {"status": "enabled" if can["extended_authorization"] else "disabled"},
        "incremental_authorization": {"status": _availability(can["incremental_authorization"])},
        "multicapture": {"status": _availability(can["multicapture"])},
        "overcapture": {"maximum_amount_capturable": most, "status": _availability(can["overcapture"])},
    }
    days = HELD_LONGER if can["extended_authorization"] else HELD_FOR
    return details | ({"capture_before": ctx.now + days * DAY} if held else {})


def _availability(can: bool) -> str:
    return "available" if can else "unavailable"


def refusal_of(card: TestCard) -> Doc | None:
    """What the bank answers to a charge, None for a yes."""
    if card.code is None:
        return None
    refusal = {"code": card.code, "decline_code": card.decline_code, "message": decline_message(card)}
    return refusal | ADVICE.get(card.decline_code, {})


def charge_otherwise(
    ctx: Context, intent: Doc, payment_method: Doc, details: Doc, status: str, *, source: str | None = None
) -> Doc:
    """The charge of a payment that is not by card: pending, or succeeded, with its money taken from the account
    `source` of the ledger. `details` is what it tells of its type."""
    outcome = {
        "advice_code": None, "network_advice_code": None, "network_decline_code": None,
        "network_status": "approved_by_network", "reason": None, "risk_level": "not_assessed",
        "seller_message": "Payment complete.", "type": "authorized",
    }  # fmt: skip
    fields: Doc = _from_intent(intent) | {
        "id": new_id(ctx, "charge").replace("ch_", "py_", 1),
        "billing_details": payment_method["billing_details"],
        "failure_code": None,
        "failure_message": None,
        "outcome": outcome,
        "paid": status == "succeeded",
        "payment_method": payment_method["id"],
        "payment_method_details": {payment_method["type"]: details, "type": payment_method["type"]},
        "status": status,
    }
    charge = objects.create(ctx, "charge", fields)
    charge = objects.update(ctx, charge, {"receipt_url": f"{ctx.base_url}/receipts/{charge['id']}"})
    if status == "succeeded":
        charge = take(ctx, charge, intent["amount"], source=source)
    objects.announce(ctx, f"charge.{status}", charge)
    return charge


def take(ctx: Context, charge: Doc, amount: int, *, source: str | None = None, final: bool = True) -> Doc:
    """Move the money: the charge is captured, and when it is `final` the rest of what was held is released."""
    type = "charge" if charge["id"].startswith("ch_") else "payment"
    changes: Doc = {"amount_captured": charge["amount_captured"] + amount}
    if amount:
        described = charge["description"]
        line = balance_transaction(ctx, type, charge["id"], amount, charge["currency"], described, category="charge")
        changes["balance_transaction"] = line["id"]
    if final:
        whole = max(charge["amount"], changes["amount_captured"])
        changes |= {"amount": whole, "amount_refunded": whole - changes["amount_captured"], "captured": True}
    ledger.move(
        ctx, Entry.CHARGE, source or ledger.outside(charge["customer"]), ledger.BALANCE, amount=amount,
        currency=charge["currency"], customer=charge["customer"], cause=charge["id"],
    )  # fmt: skip
    return objects.update(ctx, charge, changes)


def balance_transaction(
    ctx: Context,
    type: str,
    source: str,
    amount: int,
    currency: str,
    description: str | None,
    *,
    category: str = "",
    fees: list[Doc] | None = None,
) -> Doc:
    """A line of the balance; a negative `amount` leaves it. Payments cost no fees here, disputes do."""
    fee = sum(part["amount"] for part in fees or [])
    return objects.create(
        ctx,
        "balance_transaction",
        {
            "amount": amount,
            "available_on": ctx.now,
            "balance_type": "payments",
            "currency": currency,
            "description": description,
            "exchange_rate": None,
            "fee": fee,
            "fee_details": fees or [],
            "net": amount - fee,
            "reporting_category": category or type,
            "source": source,
            "status": "available",
            "type": type,
        },
    )


@route("GET", "/v1/charges", params=listing(customer=Str(), payment_intent=Str(), transfer_group=Str()))
def list_charges(ctx: Context, params: dict[str, Any]) -> Doc:
    """List charges"""
    filters = {name: params.get(name) for name in ("customer", "payment_intent", "transfer_group")}
    return list_page(ctx, "charge", params, filters)


@route("GET", "/v1/charges/{id}")
def retrieve_charge(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Retrieve a charge"""
    return objects.load(ctx, "charge", id, in_path=True)


UPDATE = {
    "customer": Str(),
    "description": Str(unset=True),
    "fraud_details": Hash({"user_report": Enum("fraudulent", "safe", unset=True)}),
    "metadata": Metadata(),
    "receipt_email": Str(unset=True),
    "shipping": Hash(SHIPPING_TO),
    "transfer_group": Str(),
}


@route("POST", "/v1/charges/{id}", params=UPDATE)
def update_charge(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Update a charge"""
    charge = objects.load(ctx, "charge", id, in_path=True)
    if "metadata" in params:
        params["metadata"] = merge_metadata(charge["metadata"], params["metadata"])
    return objects.update(ctx, charge, params, event="charge.updated")


@route("GET", "/v1/balance_transactions", params=listing(
    currency=Str(), payout=Ignored(), source=Str(), type=Str(),
))  # fmt: skip
def list_balance_transactions(ctx: Context, params: dict[str, Any]) -> Doc:
    """List balance transactions"""
    filters = {name: params.get(name) for name in ("source", "type", "currency")}
    return list_page(ctx, "balance_transaction", params, filters)


@route("GET", "/v1/balance_transactions/{id}")
def retrieve_balance_transaction(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Retrieve a balance transaction"""
    return objects.load(ctx, "balance_transaction", id, in_path=True)
