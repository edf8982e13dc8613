"""Payment intents: the routes. How an intent moves is in payments.py."""

from typing import Any

from sandbox import objects
from sandbox.context import Context
from sandbox.documents import merge_metadata, render
from sandbox.errors import ApiError, CardError, no_such
from sandbox.kinds import Doc
from sandbox.money import check_chargeable
from sandbox.pagination import list_page, listing
from sandbox.params import (
    ADDRESS,
    Array,
    Bool,
    Enum,
    Hash,
    Ignored,
    Int,
    Metadata,
    MethodTypes,
    OneOf,
    Param,
    Str,
    Url,
)
from sandbox.resources import bank_transfers, method_options, payments
from sandbox.resources.customers import SHIPPING_TO
from sandbox.resources.method_options import METHOD_OPTIONS
from sandbox.resources.payment_methods import DATA, from_data, resolve
from sandbox.resources.prices import checked_currency
from sandbox.routes import route

TOO_LITTLE = (
    "The amount must be greater than or equal to the minimum charge amount allowed for your account and the currency "
    "set (https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts).  If you want to save a Payment "
    "Method for future use without an immediate payment, use a Setup Intent instead: "
    "https://docs.stripe.com/payments/setup-intents"
)


class Amount(Int):
    """An amount to be paid; nothing and less is refused in words of its own."""

    def value(self, raw: Any, path: str, ignored: list[str] | None) -> int:
        amount = super().value(raw, path, ignored)
        if amount < 1:
            raise ApiError(TOO_LITTLE, code="parameter_invalid_integer", param=path)
        return amount


SETUP_USAGE = Enum("off_session", "on_session", unset=True)
PAYMENT: dict[str, Param] = {
    "payment_method": Str(unset=True),
    "payment_method_data": Hash(DATA),
    "payment_method_options": METHOD_OPTIONS,
    "payment_method_types": MethodTypes(),
    "receipt_email": Str(unset=True),
    "setup_future_usage": SETUP_USAGE,
    "shipping": Hash(SHIPPING_TO, unset=True),
    "capture_method": Enum("automatic", "automatic_async", "manual"),
    "allowed_payment_method_types": Array(Str()),
    "amount_details": Ignored(),
    "hooks": Ignored(),
    "payment_details": Ignored(),
    "excluded_payment_method_types": Ignored(),
}
FIELDS: dict[str, Param] = PAYMENT | {
    "application_fee_amount": Ignored(),
    "customer": Str(),
    "customer_account": Ignored(),
    "description": Str(unset=True),
    "metadata": Metadata(),
    "payment_method_configuration": Ignored(),
    "statement_descriptor": Str(unset=True, max_length=22),
    "statement_descriptor_suffix": Str(unset=True, max_length=22),
    "transfer_data": Ignored(),
    "transfer_group": Str(),
}
CONFIRMATION: dict[str, Param] = {
    "confirmation_token": Ignored(),
    "error_on_requires_action": Bool(),
    "mandate": Ignored(),
    "mandate_data": Ignored(),
    "off_session": OneOf(Bool(), Enum("one_off", "recurring")),
    "radar_options": Ignored(),
    "return_url": Url(),
    "use_stripe_sdk": Bool(),
}
CREATE = (
    FIELDS
    | CONFIRMATION
    | {
        "amount": Amount(required=True),
        "automatic_payment_methods": Hash({"enabled": Bool(required=True), "allow_redirects": Enum("always", "never")}),
        "confirm": Bool(),
        "confirmation_method": Enum("automatic", "manual"),
        "currency": Str(required=True),
        "on_behalf_of": Str(),
    }
)
UPDATE = FIELDS | {"amount": Amount(), "currency": Str()}
CONFIRM = PAYMENT | CONFIRMATION | {"amount_to_confirm": Ignored(), "client_secret": Str(), "key": Ignored()}
CONFIRM_ONLY = {*CONFIRMATION, "confirm", "payment_method_data", "payment_method_options", "client_secret"}
SETTLED = "requires_payment_method", "requires_confirmation", "requires_action"
CANCELABLE = "requires_payment_method", "requires_capture", "requires_confirmation", "requires_action", "processing"
TOLD = {"description", "metadata", "receipt_email", "shipping", "statement_descriptor", "statement_descriptor_suffix",
        "transfer_group"}  # fmt: skip
"""What can be changed without calling off the voucher that was handed out."""
IGNORED = {name for name, param in (CREATE | CONFIRM).items() if isinstance(param, Ignored)}


@route("POST", "/v1/payment_intents", params=CREATE)
def create_payment_intent(ctx: Context, params: dict[str, Any]) -> Doc:
    """Create a payment intent, and confirm it if asked to"""
    if not params.get("confirm"):
        for name in CONFIRMATION:
            if name in params and name not in ("use_stripe_sdk", *IGNORED):
                raise ApiError(f"You can only pass `{name}` when `confirm` is set to `true`.", param=name)
    fields = _fields(ctx, None, params)
    fields["currency"] = checked_currency(params["currency"])
    fields.setdefault("capture_method", "automatic_async")
    check_chargeable(params["amount"], fields["currency"])
    method_options.check_currency(params.get("payment_method_types") or [], fields["currency"])
    _check_use(params.get("payment_method_types") or [], params)
    if "payment_method_types" not in params:
        given = params.get("automatic_payment_methods") or {"enabled": True}
        fields["automatic_payment_methods"] = {"allow_redirects": "always", **given} if given["enabled"] else None
    intent = payments.new_intent(ctx, fields)
    return _confirm(ctx, intent, params) if params.get("confirm") else intent


def _check_use(types: list[str], intent: dict[str, Any]) -> None:
    method_options.check_use(types, capture_method=intent.get("capture_method"), usage=intent.get("setup_future_usage"))


def _fields(ctx: Context, intent: Doc | None, params: dict[str, Any]) -> Doc:
    """The intent's own fields among the parameters, checked."""
    fields = {name: value for name, value in params.items() if name not in CONFIRM_ONLY | IGNORED}
    if "customer" in fields:
        objects.load(ctx, "customer", fields["customer"], param="customer")
    if params.get("payment_method_data"):
        fields["payment_method"] = from_data(ctx, params["payment_method_data"])["id"]
    elif fields.get("payment_method"):
        customer = fields.get("customer") or (intent or {}).get("customer")
        fields["payment_method"] = _usable(ctx, fields["payment_method"], customer)["id"]
    if fields.get("shipping"):
        address = dict.fromkeys(ADDRESS) | fields["shipping"].get("address", {})
        fields["shipping"] = dict.fromkeys(SHIPPING_TO) | fields["shipping"] | {"address": address}
    if "metadata" in fields:
        fields["metadata"] = merge_metadata(intent["metadata"] if intent else {}, fields["metadata"])
    types = fields.get("payment_method_types") or (intent["payment_method_types"] if intent else ["card"])
    shown = {name: one for name, one in (intent or {}).get("payment_method_options", {}).items() if name in types}
    options = method_options.said(method_options.defaults(types) | shown, params.get("payment_method_options"))
    if intent is None or options != intent["payment_method_options"]:
        fields["payment_method_options"] = options
    return fields


def _usable(ctx: Context, id: str, customer: str | None) -> Doc:
    """The payment method, if this customer may pay with it."""
    payment_method = resolve(ctx, id)
    owner = payment_method["customer"]
    if owner and not customer:
        raise ApiError(
            f"The payment method `{payment_method['id']}` belongs to the customer `{owner}`. Please include the "
            "customer in the `customer` parameter on the PaymentIntent.",
            param="payment_method",
        )
    if owner and owner != customer:
        raise ApiError(
            f"The customer does not have a payment method with the ID {payment_method['id']}. The payment method must "
            "be attached to the customer.",
            code="resource_missing",
            param="payment_method",
        )
    if payment_method.get("_detached"):
        raise ApiError(
            "The provided PaymentMethod was previously used with a PaymentIntent without Customer attachment, shared "
            "with a connected account without Customer attachment, or was detached from a Customer. It may not be "
            "used again. To use a PaymentMethod multiple times, you must attach it to a Customer first.",
            param="payment_method",
        )
    return payment_method


def _confirm(ctx: Context, intent: Doc, params: dict[str, Any]) -> Doc:
    """Try it; a decline is kept and raised, as the API answers it."""
    if not intent["payment_method"]:
        raise unexpected(
            intent,
            "You cannot confirm this PaymentIntent because it's missing a payment method. You can either update the "
            "PaymentIntent with a payment method and then confirm it again, or confirm it again directly with a "
            "payment method or ConfirmationToken.",
        )
    off_session = bool(params.get("off_session"))
    _check_return_url(ctx, intent, params, off_session=off_session)
    payment_method = objects.load(ctx, "payment_method", intent["payment_method"], param="payment_method")
    intent = _allowed(ctx, intent, payment_method["type"])
    tried = payments.confirm(ctx, intent, payment_method, off_session=off_session, return_url=params.get("return_url"))
    if tried["status"] == "requires_action" and params.get("error_on_requires_action"):
        tried = payments.finish_challenge(ctx, tried, passed=False)
        raise card_error(tried, payments.AUTHENTICATION_REFUSED)
    if tried["last_payment_error"]:
        raise card_error(tried, tried["last_payment_error"])
    return tried


def _allowed(ctx: Context, intent: Doc, type: str) -> Doc:
    """The intent, which takes this way to pay. One that takes what the account offers learns of it now."""
    types, allowed = intent["payment_method_types"], intent.get("allowed_payment_method_types")
    may = allowed is None or type in allowed
    if type in types and may:
        return intent
    method_options.check_currency([type], intent["currency"], param="payment_method")
    if not may or not (intent["automatic_payment_methods"] or {}).get("enabled"):
        raise ApiError(
            f"The PaymentMethod provided ({type}) is not allowed for this PaymentIntent. Please attach a PaymentMethod "
            f"of one of the following types: {', '.join(allowed or types)}.",
            param="payment_method",
        )
    _check_use([type], {"capture_method": intent["capture_method"]})
    options = method_options.defaults([type]) | intent["payment_method_options"]
    changes = {"payment_method_options": dict(sorted(options.items())), "payment_method_types": [*types, type]}
    return objects.update(ctx, intent, changes)


def _check_return_url(ctx: Context, intent: Doc, params: dict[str, Any], *, off_session: bool) -> None:
    automatic = intent["automatic_payment_methods"]
    if not automatic or automatic["allow_redirects"] == "never" or off_session or ctx.publishable:
        return
    if not params.get("return_url"):
        raise ApiError(
            "This PaymentIntent is configured to accept payment methods enabled in your Dashboard. Because some of "
            "these payment methods might redirect your customer off of your page, you must provide a `return_url`. If "
            "you don't want to accept redirect-based payment methods, set `automatic_payment_methods[enabled]` to "
            "`true` and `automatic_payment_methods[allow_redirects]` to `never` when creating Setup Intents and "
            "Payment Intents.",
            payment_intent=render(intent),
        )


def card_error(intent: Doc, error: Doc) -> CardError:
    told = ("advice_code", "charge", "decline_code", "network_decline_code", "payment_method")
    more = {name: error[name] for name in told if error.get(name) is not None}
    return CardError(error["message"], code=error["code"], payment_intent=render(intent), **more)


def unexpected(intent: Doc, message: str) -> ApiError:
    return ApiError(message, code="payment_intent_unexpected_state", payment_intent=render(intent))


def loaded(ctx: Context, id: str, params: dict[str, Any]) -> Doc:
    """A publishable key needs the client secret."""
    intent = objects.load(ctx, "payment_intent", id, param="intent", in_path=True)
    if (ctx.publishable or "client_secret" in params) and params.get("client_secret") != intent["client_secret"]:
        raise no_such("payment_intent", id, param="intent", in_path=True)
    return intent


@route("GET", "/v1/payment_intents", params=listing(customer=Str(), customer_account=Ignored()))
def list_payment_intents(ctx: Context, params: dict[str, Any]) -> Doc:
    """List payment intents"""
    return list_page(ctx, "payment_intent", params, {"customer": params.get("customer")})


@route("GET", "/v1/payment_intents/{id}", params={"client_secret": Str(), "key": Ignored()}, publishable=True)
def retrieve_payment_intent(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Retrieve a payment intent"""
    return loaded(ctx, id, params)


@route("POST", "/v1/payment_intents/{id}", params=UPDATE)
def update_payment_intent(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Update a payment intent"""
    intent = loaded(ctx, id, {})
    if intent["status"] not in SETTLED and {"amount", "currency", "payment_method", "customer"} & set(params):
        name = next(name for name in ("amount", "currency", "payment_method", "customer") if name in params)
        raise unexpected(
            intent,
            f"This PaymentIntent's {name} could not be updated because it has a status of {intent['status']}. You may "
            f"only update the {name} of a PaymentIntent with one of the following statuses: {', '.join(SETTLED)}.",
        )
    fields = _fields(ctx, intent, params)
    if "currency" in fields:
        fields["currency"] = checked_currency(fields["currency"])
    if "currency" in fields or "payment_method_types" in fields:
        types = fields.get("payment_method_types") or intent["payment_method_types"]
        method_options.check_currency(types, fields.get("currency") or intent["currency"])
    if "amount" in fields:
        check_chargeable(fields["amount"], fields.get("currency") or intent["currency"])
    if int(fields.get("amount") or intent["amount"]) < int(intent.get("_funded") or 0):
        raise ApiError("The amount cannot be less than what has already been funded by bank transfer.", param="amount")
    if {"capture_method", "payment_method_types", "setup_future_usage"} & set(params):
        changed = intent | fields
        _check_use([] if changed["automatic_payment_methods"] else changed["payment_method_types"], changed)
    if payments.is_voucher(intent) and set(fields) - TOLD:
        intent = payments.called_off(ctx, intent)
    if fields.get("payment_method"):
        fields |= {"status": "requires_confirmation", "next_action": None}
    return bank_transfers.restated(ctx, objects.update(ctx, intent, fields))


@route("POST", "/v1/payment_intents/{id}/confirm", params=CONFIRM, publishable=True)
def confirm_payment_intent(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Confirm a payment intent"""
    intent = loaded(ctx, id, params)
    if intent["status"] not in SETTLED:
        why = (
            "it has already succeeded after being previously confirmed"
            if intent["status"] == "succeeded"
            else f"it has a status of {intent['status']}"
        )
        raise unexpected(intent, f"You cannot confirm this PaymentIntent because {why}.")
    intent = objects.update(ctx, intent, _fields(ctx, intent, params))
    return _confirm(ctx, intent, params)


@route("POST", "/v1/payment_intents/{id}/cancel", params={
    "cancellation_reason": Enum("abandoned", "duplicate", "fraudulent", "requested_by_customer"),
})  # fmt: skip
def cancel_payment_intent(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Cancel a payment intent"""
    intent = loaded(ctx, id, {})
    if intent["status"] not in CANCELABLE:
        raise unexpected(
            intent,
            f"You cannot cancel this PaymentIntent because it has a status of {intent['status']}. Only a PaymentIntent "
            f"with one of the following statuses may be canceled: {', '.join(CANCELABLE)}.",
        )
    return payments.cancel(ctx, intent, params.get("cancellation_reason"))
