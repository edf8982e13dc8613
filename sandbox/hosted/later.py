"""The pages that tell how to pay elsewhere: a voucher's http://HOST/vouchers/pi_…, a transfer's /transfers/pi_…

Each lets the person who looks at it play the shop or the bank.
"""

import hmac

from starlette.responses import Response

from sandbox import objects
from sandbox.billing import checking_out
from sandbox.context import Context
from sandbox.hosted.missing import missing_page
from sandbox.hosted.words import choose, tools
from sandbox.kinds import Doc
from sandbox.pages import show
from sandbox.resources import bank_transfers, konbini
from sandbox.resources.account import account
from sandbox.routes import PageRequest, page

SHOPS = {"familymart": "FamilyMart", "lawson": "Lawson", "ministop": "Ministop", "seicomart": "Seicomart"}


@page("GET", "/vouchers/{id}")
def show_voucher(ctx: Context, request: PageRequest, id: str) -> Response:
    """What to say in the shop"""
    intent = _intent(ctx, request, id)
    return _voucher(ctx, request, intent) if intent else missing_page(request)


@page("POST", "/vouchers/{id}")
def pay_voucher(ctx: Context, request: PageRequest, id: str) -> Response:
    """Pay in the shop, or let the voucher run out; a second click changes nothing"""
    intent = _intent(ctx, request, id)
    if intent is None:
        return missing_page(request)
    store = str(request.form.get("store", ""))
    if _is_good(request, intent):
        intent = konbini.pay(ctx, intent, store) if store in SHOPS else konbini.expire(ctx, intent)
    return _voucher(ctx, request, intent)


def _is_good(request: PageRequest, intent: Doc) -> bool:
    """The voucher of this page is the intent's last one, and can be paid."""
    last = str(intent.get("_vouchers", 1))
    return konbini.is_open(intent) and request.query.get("voucher", last) == last


def _intent(ctx: Context, request: PageRequest, id: str) -> Doc | None:
    """The payment intent, for who knows its secret."""
    scope = ctx.tx.locate("payment_intent", id)
    if scope is None:
        return None
    ctx.enter(scope)
    intent = objects.load(ctx, "payment_intent", id)
    secret = str(request.query.get("client_secret", ""))
    return intent if hmac.compare_digest(intent["client_secret"].encode(), secret.encode()) else None


def _voucher(ctx: Context, request: PageRequest, intent: Doc) -> Response:
    shown = intent["next_action"]["konbini_display_details"] if _is_good(request, intent) else None
    return show("voucher.html", **_shared(ctx, request, intent), voucher=shown, shops=SHOPS)


def _shared(ctx: Context, request: PageRequest, intent: Doc) -> Doc:
    session = objects.find(ctx, "checkout.session", intent.get("_checkout"))
    invoice = objects.find(ctx, "invoice", intent.get("_invoice"))
    back = checking_out.success_address(session) if session and session["success_url"] else None
    return tools(choose((session or {}).get("locale"), request.languages)) | {
        "back": back or (invoice or {}).get("hosted_invoice_url"),
        "intent": intent,
        "livemode": ctx.livemode,
        "seller": account(ctx)["business_profile"]["name"],
    }


@page("GET", "/transfers/{id}")
def show_transfer(ctx: Context, request: PageRequest, id: str) -> Response:
    """Where to send the money"""
    intent = _intent(ctx, request, id)
    return _transfer(ctx, request, intent) if intent else missing_page(request)


@page("POST", "/transfers/{id}")
def send_transfer(ctx: Context, request: PageRequest, id: str) -> Response:
    """Send money, as much as one likes"""
    intent = _intent(ctx, request, id)
    if intent is None:
        return missing_page(request)
    typed = str(request.form.get("amount", ""))
    if not typed.isdecimal() or not 0 < int(typed) < 10**10:
        return _transfer(ctx, request, intent, typed=typed, error="Write the amount as a whole number above zero.")
    customer = objects.load(ctx, "customer", intent["customer"])
    reference = str(request.form.get("reference", "")) or None
    bank_transfers.receive(ctx, customer, int(typed), intent["currency"], reference)
    return _transfer(ctx, request, objects.load(ctx, "payment_intent", id))


def _transfer(
    ctx: Context, request: PageRequest, intent: Doc, *, typed: str = "", error: str | None = None
) -> Response:
    shown = intent["next_action"][bank_transfers.INSTRUCTIONS] if bank_transfers.is_open(intent) else None
    return show(
        "transfer.html",
        status=422 if error else 200,
        **_shared(ctx, request, intent),
        transfer=shown,
        typed=typed,
        error=error,
    )
