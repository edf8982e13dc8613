"""What Radar does around a payment: early fraud warnings from the networks, and reviews by people.

Sources: Stripe docs, "Early fraud warnings", "Review uncaptured payments" and "Reviews"; Testing, "Fraud prevention".
"""

from typing import Any

from sandbox import objects, testcards
from sandbox.context import Context
from sandbox.errors import ApiError
from sandbox.kinds import Doc, kind
from sandbox.pagination import list_page, listing
from sandbox.params import Str
from sandbox.resources import charges, disputes
from sandbox.routes import route

WARNING = kind(
    "radar.early_fraud_warning",
    prefix="issfr",
    label="early fraud warning",
    indexed=("charge", "payment_intent"),
    expandable={"charge": "charge", "payment_intent": "payment_intent"},
)
REVIEW = kind(
    "review",
    prefix="prv",
    indexed=("charge", "open"),
    expandable={"charge": "charge", "payment_intent": "payment_intent"},
)


def _after_charge(ctx: Context, charge: Doc) -> None:
    """The test cards that are reported as fraud, and those whose risk is elevated."""
    if charge["status"] != "succeeded" or not charge.get("_number"):
        return
    elevated = charge["outcome"]["risk_level"] == "elevated"
    if elevated and not objects.query(ctx, "review", charge=charge["id"]):
        open_review(ctx, charge)
    reported = testcards.by_number(charge["_number"]).reported
    if reported and not objects.query(ctx, "radar.early_fraud_warning", charge=charge["id"]):
        warn(ctx, charge)


charges.MADE.append(_after_charge)


def warn(ctx: Context, charge: Doc, fraud_type: str = "made_with_stolen_card") -> Doc:
    """The card's network thinks that this payment was fraud. No money moves."""
    actionable = not charge["refunded"] and not charge["disputed"]
    fields = {
        "actionable": actionable,
        "charge": charge["id"],
        "fraud_type": fraud_type,
        "payment_intent": charge["payment_intent"],
    }
    return objects.create(ctx, "radar.early_fraud_warning", fields, event="radar.early_fraud_warning.created")


def open_review(ctx: Context, charge: Doc, *, by: str = "rule") -> Doc:
    """A person shall look at it. `by` is rule or manual."""
    review = objects.create(
        ctx,
        "review",
        {
            "billing_zip": charge["billing_details"]["address"]["postal_code"],
            "charge": charge["id"],
            "closed_reason": None,
            "ip_address": None,
            "ip_address_location": None,
            "open": True,
            "opened_reason": by,
            "payment_intent": charge["payment_intent"],
            "reason": by,
            "session": None,
        },
        event="review.opened",
    )
    objects.update(ctx, charge, {"review": review["id"]})
    _mark_intent(ctx, charge, review["id"])
    return review


def _mark_intent(ctx: Context, charge: Doc, review: str | None) -> None:
    intent = objects.find(ctx, "payment_intent", charge["payment_intent"])
    if intent:
        objects.update(ctx, intent, {"review": review})


def settled(ctx: Context, charge: Doc, reason: str) -> None:
    """The payment was refunded, refunded_as_fraud or disputed: nothing is left to warn of or to look at."""
    for warning in objects.query(ctx, "radar.early_fraud_warning", charge=charge["id"]):
        objects.update(ctx, warning, {"actionable": False}, event="radar.early_fraud_warning.updated")
    for review in objects.query(ctx, "review", charge=charge["id"], open=True):
        close_review(ctx, review, reason)


def close_review(ctx: Context, review: Doc, reason: str) -> Doc:
    closed = objects.update(ctx, review, {"closed_reason": reason, "open": False, "reason": reason})
    charge = objects.update(ctx, objects.load(ctx, "charge", review["charge"]), {"review": None})
    _mark_intent(ctx, charge, None)
    objects.announce(ctx, "review.closed", closed)
    return closed


disputes.OPENED.append(lambda ctx, charge: settled(ctx, charge, "disputed"))


@route("GET", "/v1/radar/early_fraud_warnings", params=listing(charge=Str(), payment_intent=Str()))
def list_warnings(ctx: Context, params: dict[str, Any]) -> Doc:
    """List early fraud warnings"""
    filters = {name: params.get(name) for name in ("charge", "payment_intent")}
    return list_page(ctx, "radar.early_fraud_warning", params, filters, url="/v1/radar/early_fraud_warnings")


@route("GET", "/v1/radar/early_fraud_warnings/{id}")
def retrieve_warning(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Retrieve an early fraud warning"""
    return objects.load(ctx, "radar.early_fraud_warning", id, param="early_fraud_warning", in_path=True)


@route("GET", "/v1/reviews", params=listing())
def list_reviews(ctx: Context, params: dict[str, Any]) -> Doc:
    """List open reviews"""
    return list_page(ctx, "review", params, {"open": True})


@route("GET", "/v1/reviews/{id}")
def retrieve_review(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Retrieve a review"""
    return objects.load(ctx, "review", id, param="review", in_path=True)


@route("POST", "/v1/reviews/{id}/approve")
def approve_review(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Approve a review, which closes it"""
    review = objects.load(ctx, "review", id, param="review", in_path=True)
    if not review["open"]:
        raise ApiError(f"This review is already closed: {review['closed_reason']}.", param="review")
    return close_review(ctx, review, "approved")
