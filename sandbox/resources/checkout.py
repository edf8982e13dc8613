"""Checkout sessions: the routes. What happens when somebody pays is in billing/checking_out.py, the page in hosted/."""

from typing import Any

from sandbox import jobs, objects
from sandbox.billing import checking_out, checkout_sums, items, sums
from sandbox.billing.periods import DAY
from sandbox.context import Context
from sandbox.documents import merge_metadata, new_document, ordered, random_text, render
from sandbox.errors import ApiError, missing
from sandbox.kinds import Doc, kind
from sandbox.pagination import list_object, list_page, listing
from sandbox.params import Enum, Hash, Ignored, Str
from sandbox.resources import checkout_ways, tax_rates
from sandbox.resources.checkout_shapes import CREATE, UPDATE
from sandbox.resources.prices import new_price
from sandbox.resources.products import create_product
from sandbox.routes import route

SHORTEST, LONGEST = 30 * 60, DAY


def _line_items(ctx: Context, session: Doc) -> Doc:
    stored = objects.find(ctx, "checkout.session", session["id"]) or session
    return list_object([render(line) for line in stored["_lines"]], url=_lines_url(session["id"]))


def _lines_url(id: str) -> str:
    return f"/v1/checkout/sessions/{id}/line_items"


def _breakdown(ctx: Context, session: Doc) -> Doc:
    """What each discount of the subscription's first invoice took off; before a sale nothing is known by name."""
    stored = objects.find(ctx, "checkout.session", session["id"]) or session
    invoice = objects.find(ctx, "invoice", stored["invoice"])
    taken = [
        {"amount": one["amount"], "discount": render(objects.load(ctx, "discount", one["discount"]))}
        for one in (invoice["total_discount_amounts"] if invoice else [])
    ]
    return {"discounts": taken, "taxes": []}


SESSION = kind(
    "checkout.session",
    prefix="cs",
    label="checkout.session",
    indexed=("customer", "customer_details.email", "payment_intent", "status", "subscription"),
    expandable={
        "customer": "customer",
        "discounts.coupon": "coupon",
        "discounts.promotion_code": "promotion_code",
        "invoice": "invoice",
        "payment_intent": "payment_intent",
        "payment_link": "*",
        "setup_intent": "setup_intent",
        "subscription": "subscription",
    },
    includable={
        "line_items": _line_items,
        "total_details.breakdown": _breakdown,
    },
)
LINE = kind(
    "item",
    prefix="li",
    without=("created", "livemode"),
    includable={"discounts": lambda ctx, line: [], "taxes": lambda ctx, line: []},
)


@route("POST", "/v1/checkout/sessions", params=CREATE)
def create_session(ctx: Context, params: dict[str, Any]) -> Doc:
    """Create a checkout session"""
    _check(ctx, params)
    held = checkout_sums.checked(ctx, params)
    lines = checkout_sums.priced(ctx, _lines(ctx, params), held, params.get("customer"))
    currency = lines[0]["currency"] if lines else (params.get("currency") or "usd").lower()
    _check_lines(lines, params["mode"])
    checkout_ways.check(params, currency)
    session = _new(ctx, params, lines, currency if lines or params["mode"] == "setup" else None)
    jobs.schedule(
        ctx, "checkout.expire", due_at=session["expires_at"], name=session["id"], payload={"session": session["id"]}
    )
    return session


def _check(ctx: Context, params: dict[str, Any]) -> None:
    hosted = params.get("ui_mode", "hosted_page") == "hosted_page"
    if hosted and "success_url" not in params:
        raise missing("success_url")
    if "customer" in params and "customer_email" in params:
        raise ApiError("You may only specify one of these parameters: customer, customer_email.")
    if "customer" in params:
        objects.load(ctx, "customer", params["customer"], param="customer")
    if params["mode"] == "setup":
        if "line_items" in params:
            raise ApiError("`line_items` is not supported in `setup` mode.", param="line_items")
    elif not params.get("line_items"):
        raise missing("line_items")
    for name, mode in (("subscription_data", "subscription"), ("setup_intent_data", "setup")):
        if name in params and params["mode"] != mode:
            raise ApiError(f"You can not pass `{name}` in `{params['mode']}` mode.", param=name)
    if "payment_intent_data" in params and params["mode"] != "payment":
        raise ApiError(
            f"You can not pass `payment_intent_data` in `{params['mode']}` mode.", param="payment_intent_data"
        )
    _check_expiry(ctx, params)


def _check_expiry(ctx: Context, params: dict[str, Any]) -> None:
    # A client computes this from its own clock a moment earlier; Stripe is as lenient.
    given = params.get("expires_at")
    if given is not None and not ctx.now + SHORTEST - 60 <= given <= ctx.now + LONGEST + 60:
        raise ApiError(
            "The `expires_at` timestamp must be at least 30 minutes and at most 24 hours from Checkout Session "
            "creation.",
            param="expires_at",
        )


def _lines(ctx: Context, params: dict[str, Any]) -> list[Doc]:
    made = []
    for number, given in enumerate(params.get("line_items") or []):
        path = f"line_items[{number}]"
        price = _price(ctx, given, path)
        metered = (price["recurring"] or {}).get("usage_type") == "metered"
        if metered and "quantity" in given:
            raise ApiError(
                f"Quantity should not be specified where usage_type is `metered`. Remove quantity from `{path}`",
                param=f"{path}[quantity]",
            )
        if "quantity" not in given and not metered:
            raise ApiError(
                "Quantity is required. Add `quantity` to `" + path + "`.",
                code="parameter_missing",
                param=f"{path}[quantity]",
            )
        line = _line(ctx, price, given.get("quantity"), given.get("metadata") or {})
        defaults = (params.get("subscription_data") or {}).get("default_tax_rates")
        rates = given.get("tax_rates") or defaults
        made.append(line | {"_tax_rates": tax_rates.named(ctx, rates, f"{path}[tax_rates]")})
    return made


def _price(ctx: Context, given: dict[str, Any], path: str) -> Doc:
    if "price_data" in given:
        data = dict(given["price_data"])
        if ("product" in data) == ("product_data" in data):
            raise ApiError(
                "You must specify exactly one of `product` or `product_data` when using `price_data`.",
                param=f"{path}[price_data]",
            )
        if "product_data" in data:
            wanted = {name: value for name, value in data.pop("product_data").items() if not name.startswith("tax_")}
            data["product"] = create_product(ctx, wanted)["id"]
        objects.load(ctx, "product", data["product"], param=f"{path}[price_data][product]")
        return new_price(ctx, data | {"active": False})
    if "price" not in given:
        raise missing(f"{path}[price]")
    price = objects.load(ctx, "price", given["price"], param=f"{path}[price]")
    if not price["active"]:
        raise ApiError(
            "The price specified is inactive. This field only accepts active prices.", param=f"{path}[price]"
        )
    return price


def _line(ctx: Context, price: Doc, quantity: int | None, metadata: Doc) -> Doc:
    amount = sums.price_amount(price, quantity)
    return new_document(
        ctx,
        "item",
        {
            "adjustable_quantity": None,
            "amount_discount": 0,
            "amount_subtotal": amount,
            "amount_tax": 0,
            "amount_total": amount,
            "currency": price["currency"],
            "description": items.product_name(ctx, price),
            "metadata": metadata,
            "price": render(price),
            "quantity": quantity,
        },
    )


def _check_lines(lines: list[Doc], mode: str) -> None:
    recurring = [line for line in lines if line["price"]["type"] == "recurring"]
    if mode == "payment" and recurring:
        raise ApiError(
            "You specified `payment` mode but passed a recurring price. Either switch to `subscription` mode or use "
            "only one-time prices."
        )
    if mode == "subscription" and not recurring:
        raise ApiError("You must provide at least one recurring price in `subscription` mode when using prices.")
    if len({line["currency"] for line in lines}) > 1:
        raise ApiError("All line items must have the same currency.", param="line_items")
    if mode == "payment":
        checkout_sums.check_total(lines)


def _new(ctx: Context, params: dict[str, Any], lines: list[Doc], currency: str | None) -> Doc:
    mode = params["mode"]
    letters = "live" if ctx.livemode else "test"
    id = f"cs_{letters}_{'a' if lines else 'c'}1{random_text(56)}"
    hosted = params.get("ui_mode", "hosted_page") == "hosted_page"
    due = checking_out.due_now(ctx, lines, params) if lines else None
    copied = (
        "allow_promotion_codes", "cancel_url", "client_reference_id", "customer", "customer_email",
        "integration_identifier", "locale", "origin_context", "submit_type", "success_url",
    )  # fmt: skip
    fields: Doc = _empty() | {name: params.get(name) for name in copied} | {
        "id": id,
        "amount_subtotal": None,
        "amount_total": None,
        "client_secret": None if hosted else f"{id}_secret_{random_text(40)}",
        "currency": currency,
        "customer_creation": _customer_creation(params),
        "customer_details": checking_out.known_details(ctx, params.get("customer"), params.get("customer_email")),
        "expires_at": params.get("expires_at", ctx.now + DAY),
        "metadata": merge_metadata({}, params.get("metadata")),
        "mode": mode,
        "payment_method_collection": params.get("payment_method_collection") or _collection(mode),
        "payment_method_types": params.get("payment_method_types") or ["card"],
        "payment_method_options": checkout_ways.options(params),
        "payment_status": "no_payment_required" if mode == "setup" or due == 0 else "unpaid",
        "discounts": checkout_sums.shown(params.get("discounts") or []),
        "total_details": None,
        "ui_mode": params.get("ui_mode", "hosted_page"),
        "url": f"{ctx.base_url}/c/pay/{id}" if hosted else None,
        "_data": params.get("subscription_data") or params.get("payment_intent_data")
        or params.get("setup_intent_data") or {},
        "_options": params.get("payment_method_options"),
        "_discounts": params.get("discounts") or [],
        "_lines": lines,
    }  # fmt: skip
    if lines:
        fields |= checkout_sums.sums(lines, trial=checkout_sums.has_trial(params.get("subscription_data") or {}))
    return objects.create(ctx, "checkout.session", ordered(fields))


def _customer_creation(params: dict[str, Any]) -> str | None:
    if "customer" in params:
        return None
    default = {"subscription": "always", "payment": "if_required", "setup": "always"}[params["mode"]]
    return params.get("customer_creation") or default


def _collection(mode: str) -> str:
    return "if_required" if mode == "payment" else "always"


def _empty() -> Doc:
    nothing = dict.fromkeys(
        ("after_expiration", "billing_address_collection", "collected_information", "consent", "consent_collection",
         "currency_conversion", "customer_account", "discounts", "invoice", "invoice_creation", "payment_intent",
         "payment_link", "payment_method_configuration_details", "permissions", "recovered_from", "setup_intent",
         "shipping_address_collection", "shipping_cost", "subscription", "wallet_options")
    )  # fmt: skip
    text = dict.fromkeys(("after_submit", "shipping_address", "submit", "terms_of_service_acceptance"))
    return nothing | {
        "adaptive_pricing": {"enabled": False},
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "custom_fields": [],
        "custom_text": text,
        "discounts": [],
        "managed_payments": {"enabled": False},
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "phone_number_collection": {"enabled": False},
        "saved_payment_method_options": None,
        "shipping_options": [],
        "status": "open",
    }


@route("GET", "/v1/checkout/sessions", params=listing(
    customer=Str(), customer_account=Ignored(), customer_details=Hash({"email": Str(required=True)}),
    payment_intent=Str(), payment_link=Ignored(), status=Enum("complete", "expired", "open"), subscription=Str(),
))  # fmt: skip
def list_sessions(ctx: Context, params: dict[str, Any]) -> Doc:
    """List checkout sessions"""
    filters = {name: params.get(name) for name in ("customer", "payment_intent", "subscription", "status")}
    filters["customer_details.email"] = (params.get("customer_details") or {}).get("email")
    return list_page(ctx, "checkout.session", params, filters, url="/v1/checkout/sessions")


@route("GET", "/v1/checkout/sessions/{id}")
def retrieve_session(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Retrieve a checkout session"""
    return objects.load(ctx, "checkout.session", id, param="session", in_path=True)


@route("POST", "/v1/checkout/sessions/{id}", params=UPDATE)
def update_session(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Update a checkout session's metadata"""
    session = objects.load(ctx, "checkout.session", id, param="session", in_path=True)
    if "metadata" not in params:
        return session
    return objects.update(ctx, session, {"metadata": merge_metadata(session["metadata"], params["metadata"])})


@route("GET", "/v1/checkout/sessions/{id}/line_items", params=listing())
def list_line_items(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """List a checkout session's line items"""
    lines = objects.load(ctx, "checkout.session", id, param="session", in_path=True)["_lines"]
    limit, ids = params.get("limit", 10), [line["id"] for line in lines]
    after = params.get("starting_after")
    rest = lines[ids.index(after) + 1 :] if after in ids else lines
    return list_object([render(line) for line in rest[:limit]], url=_lines_url(id), has_more=len(rest) > limit)


@route("POST", "/v1/checkout/sessions/{id}/expire")
def expire_session(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Expire an open checkout session"""
    session = objects.load(ctx, "checkout.session", id, param="session", in_path=True)
    if session["status"] != "open":
        raise ApiError(
            f'Only Checkout Sessions with a status in ["open"] can be expired. This Checkout Session has a status of '
            f"{session['status']}.",
            param="session",
        )
    return checking_out.expire(ctx, session)
