"""The hosted invoice: http://HOST/i/acct_…/test_…, and its PDF."""

from starlette.responses import RedirectResponse, Response

from sandbox import objects
from sandbox.billing import checking_out, collection
from sandbox.context import Context, Scope
from sandbox.errors import ApiError
from sandbox.hosted import invoice_sums, ways_form
from sandbox.hosted.card_form import TEST_CARDS
from sandbox.hosted.invoice_pdf import invoice_pdf
from sandbox.hosted.missing import missing_page
from sandbox.hosted.ways_form import FIELDS, PLACES
from sandbox.hosted.words import choose, tools
from sandbox.kinds import Doc
from sandbox.pages import show
from sandbox.resources import payments
from sandbox.resources.account import account
from sandbox.resources.payment_methods import from_data
from sandbox.routes import PageRequest, page


def _enter(ctx: Context, account_id: str, token: str) -> Doc | None:
    ctx.enter(str(Scope(account_id, token.startswith("live_"))))
    return next(iter(objects.query(ctx, "invoice", _token=token)), None)


def _language(ctx: Context, request: PageRequest, invoice: Doc) -> str:
    customer = objects.find(ctx, "customer", invoice["customer"])
    preferred = customer["preferred_locales"] if customer else []
    return choose(preferred[0] if preferred else None, request.languages)


@page("GET", "/i/{account_id}/{token}")
def show_invoice(ctx: Context, request: PageRequest, account_id: str, token: str) -> Response:
    """The invoice, with a form to pay it while it is open"""
    invoice = _enter(ctx, account_id, token)
    return _page(ctx, request, invoice) if invoice else missing_page(request)


@page("GET", "/i/{account_id}/{token}/pdf")
def download_invoice(ctx: Context, request: PageRequest, account_id: str, token: str) -> Response:
    """The invoice as a PDF file"""
    invoice = _enter(ctx, account_id, token)
    if invoice is None:
        return missing_page(request)
    body = invoice_pdf(
        invoice,
        seller=account(ctx)["business_profile"]["name"],
        language=_language(ctx, request, invoice),
        livemode=ctx.livemode,
    )
    name = f"Invoice-{invoice['number']}.pdf"
    return Response(body, media_type="application/pdf", headers={"Content-Disposition": f'inline; filename="{name}"'})


@page("POST", "/i/{account_id}/{token}")
def pay_invoice(ctx: Context, request: PageRequest, account_id: str, token: str) -> Response:
    """Pay with the card that was typed; an invoice that is paid stays as it is"""
    invoice = _enter(ctx, account_id, token)
    if invoice is None:
        return missing_page(request)
    if invoice["status"] not in ("open", "uncollectible"):
        return RedirectResponse(invoice["hosted_invoice_url"], status_code=303)
    typed = {name: str(request.form.get(name, "")).strip() for name in FIELDS}
    way = ways_form.chosen(typed, _types(ctx, invoice))
    if wrong := ways_form.wrong(typed, way):
        return _page(ctx, request, invoice, typed=typed, error=wrong[1], field=wrong[0])
    back = f"{ctx.base_url}/i/{account_id}/{token}/return"
    try:
        payment_method = from_data(ctx, ways_form.data(typed, way, email=invoice["customer_email"]))
        invoice, intent = collection.collect(ctx, invoice, payment_method, off_session=False, return_url=back)
    except ApiError as error:
        return _page(ctx, request, invoice, typed=typed, error=error.message, field=PLACES.get(error.param or ""))
    return _after(ctx, request, invoice, intent, typed)


def _after(ctx: Context, request: PageRequest, invoice: Doc, intent: Doc | None, typed: dict[str, str]) -> Response:
    if invoice["status"] == "paid" or intent is None:
        return RedirectResponse(invoice["hosted_invoice_url"], status_code=303)
    if payments.is_later(intent):
        elsewhere = checking_out.instructions(intent) or invoice["hosted_invoice_url"]
        return RedirectResponse(elsewhere, status_code=303)
    if intent["status"] == "requires_action":
        return RedirectResponse(payments.challenge_url(ctx, intent), status_code=303)
    error = intent["last_payment_error"] or {}
    field = PLACES.get(error.get("param", ""))
    return _page(ctx, request, invoice, typed=typed, error=error.get("message"), field=field)


def _types(ctx: Context, invoice: Doc) -> list[str]:
    intent = collection.open_intent(ctx, invoice)
    types: list[str] = intent["payment_method_types"] if intent else ["card"]
    return types


def _waits(ctx: Context, invoice: Doc) -> Doc | None:
    """A payment that is under way: the bank is asked (processing), or there is a page (`url`) that tells how to pay."""
    intent = collection.open_intent(ctx, invoice) if invoice["status"] == "open" else None
    if intent is None or not payments.is_later(intent):
        return None
    return {"processing": intent["status"] == "processing", "url": checking_out.instructions(intent)}


@page("GET", "/i/{account_id}/{token}/return")
def return_to_invoice(ctx: Context, request: PageRequest, account_id: str, token: str) -> Response:
    """Back from the bank's page"""
    invoice = _enter(ctx, account_id, token)
    if invoice is None:
        return missing_page(request)
    return _after(ctx, request, invoice, collection.open_intent(ctx, invoice), {})


def _page(
    ctx: Context,
    request: PageRequest,
    invoice: Doc,
    *,
    typed: dict[str, str] | None = None,
    error: str | None = None,
    field: str | None = None,
) -> Response:
    words = tools(_language(ctx, request, invoice))
    return show(
        "invoice.html",
        status=422 if error else 200,
        **words,
        sums=invoice_sums.rows(invoice, words),
        invoice=invoice,
        seller=account(ctx)["business_profile"]["name"],
        typed=dict.fromkeys(FIELDS, "") | {"name": invoice["customer_name"] or ""} | (typed or {}),
        error=error,
        field=field,
        cards=TEST_CARDS,
        ways=ways_form.offered(_types(ctx, invoice)),
        labels=ways_form.LABELS,
        waits=_waits(ctx, invoice),
        livemode=ctx.livemode,
    )
