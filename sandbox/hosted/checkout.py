"""The checkout page: http://HOST/c/pay/cs_test_…"""

from typing import Any

from starlette.responses import RedirectResponse, Response

from sandbox import objects
from sandbox.billing import checking_out, checkout_codes
from sandbox.billing.checking_out import Result
from sandbox.billing.periods import DAY
from sandbox.context import Context
from sandbox.errors import ApiError
from sandbox.hosted import ways_form
from sandbox.hosted.card_form import TEST_CARDS, wrong_email
from sandbox.hosted.missing import missing_page
from sandbox.hosted.ways_form import FIELDS, PLACES
from sandbox.hosted.words import choose, tools
from sandbox.kinds import Doc
from sandbox.pages import show
from sandbox.resources.account import account
from sandbox.resources.payment_methods import from_data
from sandbox.routes import PageRequest, page


@page("GET", "/c/pay/{id}")
def show_checkout(ctx: Context, request: PageRequest, id: str) -> Response:
    """The page on which a customer pays"""
    session = enter(ctx, id)
    return _page(ctx, request, session) if session else missing_page(request)


@page("POST", "/c/pay/{id}")
def submit_checkout(ctx: Context, request: PageRequest, id: str) -> Response:
    """One click on the button; a second one finds what the first did"""
    session = enter(ctx, id)
    if session is None:
        return missing_page(request)
    typed = {name: str(request.form.get(name, "")).strip() for name in FIELDS}
    if session["status"] != "open":
        return _answer(ctx, request, checking_out.come_back(ctx, session), typed)
    if checking_out.needs_nothing(session):
        return _submit_free(ctx, request, session, typed)
    way = ways_form.chosen(typed, session["payment_method_types"])
    if wrong := _wrong(session, typed, way):
        return _page(ctx, request, session, typed=typed, error=wrong[1], field=wrong[0])
    email = typed["email"] or (session["customer_details"] or {}).get("email")
    try:
        payment_method = from_data(ctx, ways_form.data(typed, way, email=email))
        billing = payment_method["billing_details"]
        result = checking_out.pay(ctx, session, payment_method, email=typed["email"], name=billing["name"] or "")
    except ApiError as error:
        return _page(ctx, request, session, typed=typed, error=error.message, field=PLACES.get(error.param or ""))
    return _answer(ctx, request, result, typed)


def _submit_free(ctx: Context, request: PageRequest, session: Doc, typed: dict[str, str]) -> Response:
    wrong = None if _email_known(session) else wrong_email(typed)
    if wrong:
        return _page(ctx, request, session, typed=typed, error=wrong[1], field=wrong[0])
    try:
        result = checking_out.complete_free(ctx, session, email=typed["email"], name=typed["name"])
    except ApiError as error:
        return _page(ctx, request, session, typed=typed, error=error.message)
    return _answer(ctx, request, result, typed)


@page("GET", "/c/pay/{id}/return")
def return_to_checkout(ctx: Context, request: PageRequest, id: str) -> Response:
    """Back from the bank's page"""
    session = enter(ctx, id)
    return _answer(ctx, request, checking_out.come_back(ctx, session), {}) if session else missing_page(request)


def enter(ctx: Context, id: str) -> Doc | None:
    """The session that an address names."""
    scope = ctx.tx.locate("checkout.session", id)
    if scope is None:
        return None
    ctx.enter(scope)
    return objects.load(ctx, "checkout.session", id)


def _wrong(session: Doc, typed: dict[str, str], way: str) -> tuple[str, str] | None:
    return (None if _email_known(session) else wrong_email(typed)) or ways_form.wrong(typed, way)


def _email_known(session: Doc) -> bool:
    return bool((session["customer_details"] or {}).get("email"))


def _answer(ctx: Context, request: PageRequest, result: Result, typed: dict[str, str]) -> Response:
    if result.redirect:
        return RedirectResponse(result.redirect, status_code=303)
    field = PLACES.get(result.field or "")
    return _page(ctx, request, result.session, typed=typed, error=result.error, field=field)


def _page(
    ctx: Context,
    request: PageRequest,
    session: Doc,
    *,
    typed: dict[str, str] | None = None,
    error: str | None = None,
    field: str | None = None,
) -> Response:
    shared = tools(choose(session["locale"], request.languages)) | {"session": session, "seller": _seller(ctx)}
    if session["status"] == "complete":
        return show("checkout_done.html", **shared, next=checking_out.success_address(session))
    if session["status"] == "expired":
        return show("checkout_expired.html", **shared)
    return show_open(ctx, request, session, typed=typed, error=error, field=field)


def show_open(
    ctx: Context,
    request: PageRequest,
    session: Doc,
    *,
    typed: dict[str, str] | None = None,
    error: str | None = None,
    field: str | None = None,
    code: str = "",
    code_error: str | None = None,
) -> Response:
    """The page of a session that waits for its customer. `code` is what was typed as a promotion code."""
    details = session["customer_details"] or {}
    return show(
        "checkout.html",
        status=422 if error or code_error else 200,
        **tools(choose(session["locale"], request.languages)),
        **_summary(ctx, session),
        cards=TEST_CARDS,
        code=code,
        code_error=code_error,
        error=error,
        field=field,
        known_email=details.get("email"),
        seller=_seller(ctx),
        session=session,
        typed=dict.fromkeys(FIELDS, "") | {"name": details.get("name") or ""} | (typed or {}),
        ways=[] if checking_out.needs_nothing(session) else ways_form.offered(session["payment_method_types"]),
        labels=ways_form.LABELS,
    )


def _summary(ctx: Context, session: Doc) -> dict[str, Any]:
    """What is bought, for the left side of the page."""
    lines = session["_lines"]
    recurring = [line for line in lines if line["price"]["type"] == "recurring"]
    return {
        "lines": lines,
        "recurring": recurring,
        "applied": checkout_codes.applied(ctx, session),
        "description": _description(ctx, lines[0]) if len(lines) == 1 else None,
        "trial_days": _trial_days(ctx, session),
    }


def _description(ctx: Context, line: Doc) -> str | None:
    product = objects.find(ctx, "product", line["price"]["product"])
    return product["description"] if product else None


def _trial_days(ctx: Context, session: Doc) -> int:
    data = session["_data"]
    if data.get("trial_end"):
        return -((ctx.now - int(data["trial_end"])) // DAY)
    return int(data.get("trial_period_days") or 0)


def _seller(ctx: Context) -> str:
    return str(account(ctx)["business_profile"]["name"])
