"""The promotion code on the checkout page: http://HOST/c/pay/cs_test_…/code"""

from starlette.responses import RedirectResponse, Response

from sandbox.billing import checkout_codes
from sandbox.context import Context
from sandbox.errors import ApiError
from sandbox.hosted import checkout, code_words
from sandbox.hosted.missing import missing_page
from sandbox.kinds import Doc
from sandbox.routes import PageRequest, page


@page("POST", "/c/pay/{id}/code")
def change_code(ctx: Context, request: PageRequest, id: str) -> Response:
    """Take a code's discount off, or take the code back"""
    session = checkout.enter(ctx, id)
    if session is None:
        return missing_page(request)
    address = RedirectResponse(f"/c/pay/{id}", status_code=303)
    if session["status"] != "open" or not session["allow_promotion_codes"]:
        return address
    typed = str(request.form.get("code", "")).strip()
    wrong = _wrong(ctx, session, typed, removing=request.form.get("act") == "remove")
    return checkout.show_open(ctx, request, session, code=typed, code_error=wrong) if wrong else address


def _wrong(ctx: Context, session: Doc, typed: str, *, removing: bool) -> str | None:
    """Do it, or say why not."""
    if not typed and not removing:
        return code_words.EMPTY
    ctx.tx.sql("SAVEPOINT code")
    try:
        if removing:
            checkout_codes.remove(ctx, session)
        else:
            checkout_codes.apply(ctx, session, typed)
    except ApiError as error:
        ctx.tx.sql("ROLLBACK TO code")
        return code_words.sentence(error)
    return None
