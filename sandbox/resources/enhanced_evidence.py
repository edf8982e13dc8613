"""Enhanced evidence of a dispute: Visa Compelling Evidence 3.0, and the fee that a compliance dispute costs.

A CE 3.0 dispute tells what is still missing until it is qualified; a compliance dispute takes evidence only after its
fee was acknowledged. Sources: Stripe docs, "Visa Compelling Evidence 3.0 disputes", "Visa compliance disputes".
"""

from typing import Any

from sandbox import objects
from sandbox.context import Context
from sandbox.errors import ApiError
from sandbox.kinds import Doc
from sandbox.params import ADDRESS, Array, Bool, Enum, Hash, Shape, Str

CE3 = "visa_compelling_evidence_3"
MAIN = ("customer_purchase_ip", "customer_device_id", "customer_device_fingerprint")
SECOND = ("customer_account_id", "customer_email_address", "shipping_address")
WORDS = ("customer_account_id", "customer_device_fingerprint", "customer_device_id", "customer_email_address",
         "customer_purchase_ip", "product_description")  # fmt: skip
TRANSACTION: Shape = {
    **{name: Str(unset=True) for name in WORDS}, "shipping_address": Hash(ADDRESS, unset=True),
}  # fmt: skip
COMPLIANCE: Shape = {"fee_acknowledged": Bool()}
SHAPE: Shape = {
    "mastercard_compliance": Hash(COMPLIANCE),
    CE3: Hash(
        {
            "disputed_transaction": Hash({**TRANSACTION, "merchandise_or_services": Enum("merchandise", "services")}),
            "prior_undisputed_transactions": Array(Hash({**TRANSACTION, "charge": Str(required=True)})),
        }
    ),
    "visa_compliance": Hash(COMPLIANCE),
}
PRIOR = 2
"""Undisputed transactions that are needed."""


def staged(ctx: Context, dispute: Doc, given: dict[str, Any]) -> Doc:
    """The enhanced evidence after what is given now. Raises for a kind that the dispute does not take and for a charge
    that does not exist."""
    for kind in given:
        if kind not in dispute["enhanced_eligibility_types"]:
            raise ApiError(
                f"This dispute does not take enhanced evidence of the type {kind}.",
                param=f"evidence[enhanced_evidence][{kind}]",
            )
    shown = dict(dispute["evidence"]["enhanced_evidence"])
    for kind, told in given.items():
        shown[kind] = _compelling(ctx, shown.get(kind), told) if kind == CE3 else {"fee_acknowledged": False, **told}
    return shown


def _compelling(ctx: Context, held: Doc | None, told: dict[str, Any]) -> Doc:
    shown: Doc = held or {"disputed_transaction": None, "prior_undisputed_transactions": []}
    if "disputed_transaction" in told:
        before = shown["disputed_transaction"] or _blank() | {"merchandise_or_services": None}
        shown = shown | {"disputed_transaction": before | _addressed(told["disputed_transaction"])}
    if "prior_undisputed_transactions" in told:
        prior = []
        for number, one in enumerate(told["prior_undisputed_transactions"]):
            path = f"evidence[enhanced_evidence][{CE3}][prior_undisputed_transactions][{number}][charge]"
            objects.load(ctx, "charge", one["charge"], param=path)
            prior.append(dict(sorted((_blank() | _addressed(one)).items())))
        shown = shown | {"prior_undisputed_transactions": prior}
    return shown


def _blank() -> Doc:
    return dict.fromkeys((*WORDS, "shipping_address"))


def _addressed(told: dict[str, Any]) -> Doc:
    address = told.get("shipping_address")
    return told | ({"shipping_address": {name: address.get(name) for name in ADDRESS}} if address else {})


def eligibility(kind: str | None, evidence: Doc) -> Doc:
    """`evidence_details.enhanced_eligibility`. Pure."""
    if kind is None:
        return {}
    told = evidence.get(kind) or {}
    if kind == CE3:
        missing = _missing(told)
        return {CE3: {"required_actions": missing, "status": "requires_action" if missing else "qualified"}}
    acknowledged = told.get("fee_acknowledged")
    return {kind: {"status": "fee_acknowledged" if acknowledged else "requires_fee_acknowledgement"}}


def _missing(told: Doc) -> list[str]:
    disputed = told.get("disputed_transaction") or {}
    prior = told.get("prior_undisputed_transactions") or []
    known = {
        "missing_customer_identifiers": _identified(disputed, prior),
        "missing_disputed_transaction_description": bool(disputed.get("product_description")),
        "missing_merchandise_or_services": bool(disputed.get("merchandise_or_services")),
        "missing_prior_undisputed_transaction_description": all(one.get("product_description") for one in prior),
        "missing_prior_undisputed_transactions": len(prior) >= PRIOR,
    }
    return [name for name, there in known.items() if not there]


def _identified(disputed: Doc, prior: list[Doc]) -> bool:
    """Two elements are the same in all transactions, one of them a main one; the two of the device count as one."""
    same = {name for name in (*MAIN, *SECOND) if disputed.get(name) and _same(name, disputed, prior)}
    device = same & {"customer_device_id", "customer_device_fingerprint"}
    main = ("customer_purchase_ip" in same) + bool(device)
    return bool(prior) and main >= 1 and main + len(same & set(SECOND)) >= 2


def _same(name: str, disputed: Doc, prior: list[Doc]) -> bool:
    return all(one.get(name) == disputed[name] for one in prior)


def check_acknowledged(dispute: Doc) -> None:
    """Raises ApiError for evidence that is sent before the fee of a compliance dispute was acknowledged."""
    for kind, state in dispute["evidence_details"]["enhanced_eligibility"].items():
        if state["status"] == "requires_fee_acknowledgement":
            raise ApiError(
                "To counter a compliance dispute you must acknowledge its fee first: set "
                f"`evidence[enhanced_evidence][{kind}][fee_acknowledged]` to true.",
                param=f"evidence[enhanced_evidence][{kind}][fee_acknowledged]",
            )
