"""What happens to a payment from outside, on demand: `/_sandbox/disputes`, `/_sandbox/early_fraud_warnings`, …"""

from sandbox.context import Context
from sandbox.documents import render
from sandbox.errors import ApiError, missing
from sandbox.kinds import Doc
from sandbox.resources import disputes, radar
from sandbox.resources.later_acts import locate
from sandbox.routes import PageRequest, page


@page("POST", "/_sandbox/disputes")
def dispute_charge(ctx: Context, request: PageRequest) -> Doc:
    """A bank disputes a payment: {"charge": "ch_…", "reason"?: "fraudulent", "inquiry"?: true}"""
    charge = _charge(ctx, request)
    if charge["status"] != "succeeded" or disputes.disputable(charge) <= 0:
        raise ApiError(f"Charge {charge['id']} has nothing that could be disputed.", param="charge")
    reason = str(request.form.get("reason") or "fraudulent")
    return render(disputes.open_dispute(ctx, charge, reason, inquiry=_is_set(request, "inquiry")))


@page("POST", "/_sandbox/disputes/{id}/decide")
def decide_dispute(ctx: Context, request: PageRequest, id: str) -> Doc:
    """The bank decides: {"outcome": "won"} or "lost", or "escalated" for an inquiry"""
    dispute = locate(ctx, "dispute", id)
    outcome = request.form.get("outcome")
    if dispute["status"] not in disputes.OPEN:
        raise ApiError(f"Dispute {id} is already decided: {dispute['status']}.", param="id")
    if outcome == "escalated" and dispute["status"].startswith("warning"):
        return render(disputes.escalate(ctx, dispute))
    if outcome not in ("won", "lost"):
        raise ApiError("Invalid outcome: must be one of won, lost, or, for an inquiry, escalated.", param="outcome")
    return render(disputes.close(ctx, dispute, won=outcome == "won"))


@page("POST", "/_sandbox/early_fraud_warnings")
def warn_of_fraud(ctx: Context, request: PageRequest) -> Doc:
    """A card's network reports a payment as fraud: {"charge": "ch_…", "fraud_type"?: "made_with_stolen_card"}"""
    charge = _charge(ctx, request)
    return render(radar.warn(ctx, charge, str(request.form.get("fraud_type") or "made_with_stolen_card")))


@page("POST", "/_sandbox/reviews")
def review_charge(ctx: Context, request: PageRequest) -> Doc:
    """Somebody wants a payment to be looked at: {"charge": "ch_…"}"""
    charge = _charge(ctx, request)
    if charge["review"]:
        raise ApiError(f"Charge {charge['id']} is under review already.", param="charge")
    return render(radar.open_review(ctx, charge, by="manual"))


def _charge(ctx: Context, request: PageRequest) -> Doc:
    id = str(request.form.get("charge") or "")
    if not id:
        raise missing("charge")
    return locate(ctx, "charge", id)


def _is_set(request: PageRequest, name: str) -> bool:
    return request.form.get(name) in (True, "true", "1", "on")
