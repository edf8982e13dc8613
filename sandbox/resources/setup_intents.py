"""Setup intents: a card made ready for later payments."""

from collections.abc import Callable
from typing import Any

from sandbox import objects
from sandbox.context import Context
from sandbox.documents import merge_metadata, random_text, render
from sandbox.errors import DOC_URL, ApiError, CardError, no_such
from sandbox.kinds import Doc, kind
from sandbox.pagination import list_page, listing
from sandbox.params import Array, Bool, Enum, Hash, Ignored, Int, Metadata, MethodTypes, Param, Str, Url
from sandbox.resources import bank_debits
from sandbox.resources.charges import refusal_of
from sandbox.resources.payment_methods import DATA, attach, card_of, from_data, resolve
from sandbox.resources.payments import AUTHENTICATION_FAILED, next_action
from sandbox.routes import route
from sandbox.testcards import Authentication

SETUP_INTENT = kind(
    "setup_intent",
    prefix="seti",
    indexed=("customer", "payment_method", "status"),
    expandable={
        "application": "*",
        "customer": "customer",
        "latest_attempt": "setup_attempt",
        "mandate": "mandate",
        "on_behalf_of": "*",
        "payment_method": "payment_method",
        "single_use_mandate": "*",
    },
)
SETUP_ATTEMPT = kind(
    "setup_attempt",
    prefix="setatt",
    indexed=("setup_intent",),
    expandable={"customer": "customer", "payment_method": "payment_method", "setup_intent": "setup_intent"},
)
LISTENERS: list[Callable[[Context, Doc], None]] = []
"""Told when a setup intent has succeeded, by whatever way."""
FAILED: Doc = AUTHENTICATION_FAILED | {"code": "setup_intent_authentication_failure"}
FIELDS: dict[str, Param] = {
    "allowed_payment_method_types": Array(Str(), unset=True),
    "attach_to_self": Ignored(),
    "customer": Str(),
    "customer_account": Ignored(),
    "description": Str(unset=True),
    "excluded_payment_method_types": Ignored(),
    "flow_directions": Ignored(),
    "metadata": Metadata(),
    "payment_method": Str(unset=True),
    "payment_method_configuration": Ignored(),
    "payment_method_data": Hash(DATA),
    "payment_method_options": Ignored(),
    "payment_method_types": MethodTypes(),
}
CONFIRMATION: dict[str, Param] = {
    "confirmation_token": Ignored(),
    "mandate_data": Ignored(),
    "return_url": Url(),
    "use_stripe_sdk": Bool(),
}
CREATE: dict[str, Param] = (
    FIELDS
    | CONFIRMATION
    | {
        "automatic_payment_methods": Hash({"enabled": Bool(required=True), "allow_redirects": Enum("always", "never")}),
        "confirm": Bool(),
        "on_behalf_of": Ignored(),
        "single_use": Hash({"amount": Int(min=1, required=True), "currency": Str(required=True)}),
        "usage": Enum("off_session", "on_session"),
    }
)
CONFIRM: dict[str, Param] = CONFIRMATION | {
    "allowed_payment_method_types": Array(Str(), unset=True),
    "client_secret": Str(),
    "key": Ignored(),
    "payment_method": Str(),
    "payment_method_data": Hash(DATA),
    "payment_method_options": Ignored(),
}
NOT_FIELDS = {*CONFIRMATION, "confirm", "payment_method_data", "client_secret", "single_use"} | {
    name for name, param in (CREATE | CONFIRM).items() if isinstance(param, Ignored)
}
OPEN = "requires_payment_method", "requires_confirmation", "requires_action"


@route("POST", "/v1/setup_intents", params=CREATE)
def create_setup_intent(ctx: Context, params: dict[str, Any]) -> Doc:
    """Create a setup intent, and confirm it if asked to"""
    fields = _fields(ctx, {}, params)
    if "payment_method_types" not in params:
        given = params.get("automatic_payment_methods") or {"enabled": True}
        fields["automatic_payment_methods"] = {"allow_redirects": "always", **given} if given["enabled"] else None
    intent = new_setup_intent(ctx, fields)
    return _confirm(ctx, intent, params) if params.get("confirm") else intent


def new_setup_intent(ctx: Context, fields: Doc) -> Doc:
    """A stored setup intent, not yet confirmed."""
    nothing = dict.fromkeys(
        ("allowed_payment_method_types", "application", "automatic_payment_methods", "cancellation_reason", "customer",
         "description", "excluded_payment_method_types", "flow_directions", "last_setup_error", "latest_attempt",
         "mandate",
         "next_action", "on_behalf_of", "payment_method", "payment_method_configuration_details",
         "single_use_mandate")
    )  # fmt: skip
    defaults = {
        "client_secret": None,
        "metadata": {},
        "payment_method_options": {
            "card": {"mandate_options": None, "network": None, "request_three_d_secure": "automatic"}
        },
        "payment_method_types": ["card"],
        "status": "requires_confirmation" if fields.get("payment_method") else "requires_payment_method",
        "usage": "off_session",
    }
    intent = objects.create(ctx, "setup_intent", nothing | defaults | fields)
    intent = objects.update(ctx, intent, {"client_secret": f"{intent['id']}_secret_{random_text(31)}"})
    objects.announce(ctx, "setup_intent.created", intent)
    return intent


def _fields(ctx: Context, intent: Doc, params: dict[str, Any]) -> Doc:
    fields = {name: value for name, value in params.items() if name not in NOT_FIELDS}
    if "customer" in fields:
        objects.load(ctx, "customer", fields["customer"], param="customer")
    if params.get("payment_method_data"):
        fields["payment_method"] = from_data(ctx, params["payment_method_data"])["id"]
    elif fields.get("payment_method"):
        customer = fields.get("customer") or intent.get("customer")
        fields["payment_method"] = _usable(ctx, fields["payment_method"], customer)["id"]
    if "metadata" in fields:
        fields["metadata"] = merge_metadata(intent.get("metadata"), fields["metadata"])
    return fields


def _usable(ctx: Context, id: str, customer: str | None) -> Doc:
    payment_method = resolve(ctx, id)
    owner = payment_method["customer"]
    if owner and owner != customer:
        raise ApiError(
            f"The payment method `{payment_method['id']}` belongs to the customer `{owner}`. Please include the "
            "customer in the `customer` parameter on the SetupIntent.",
            param="payment_method",
        )
    return payment_method


def _confirm(ctx: Context, intent: Doc, params: dict[str, Any]) -> Doc:
    if not intent["payment_method"]:
        raise _unexpected(
            intent,
            "You cannot confirm this SetupIntent because it's missing a payment method. Update the SetupIntent with a "
            "payment method and then confirm it again.",
        )
    payment_method = objects.load(ctx, "payment_method", intent["payment_method"])
    tried = confirm(ctx, intent, payment_method, return_url=params.get("return_url"))
    error = tried["last_setup_error"]
    if error:
        more = {name: error[name] for name in ("decline_code", "payment_method") if error.get(name)}
        raise CardError(error["message"], code=error["code"], setup_intent=render(tried), **more)
    return tried


def confirm(ctx: Context, intent: Doc, payment_method: Doc, *, return_url: str | None = None) -> Doc:
    """Try to set the card up; a refusal is a state with `last_setup_error`, never an exception."""
    intent = objects.update(
        ctx, intent, {"payment_method": payment_method["id"], "last_setup_error": None, "_return_url": return_url}
    )
    card = card_of(payment_method)
    if card.code and not card.attachable:
        return _fail(ctx, intent, payment_method, {"type": "card_error", **(refusal_of(card) or {})})
    if card.authentication in (Authentication.UNLESS_SET_UP, Authentication.ALWAYS) and not payment_method["_set_up"]:
        waiting = objects.update(ctx, intent, {"status": "requires_action", "next_action": next_action(ctx, intent)})
        objects.announce(ctx, "setup_intent.requires_action", waiting)
        return waiting
    return _succeed(ctx, intent, payment_method, challenged=False)


def finish_challenge(ctx: Context, intent: Doc, *, passed: bool) -> Doc:
    """The cardholder has answered."""
    payment_method = objects.load(ctx, "payment_method", intent["payment_method"])
    intent = objects.update(ctx, intent, {"next_action": None})
    if passed:
        return _succeed(ctx, intent, payment_method, challenged=True)
    return _fail(ctx, intent, payment_method, FAILED)


def _succeed(ctx: Context, intent: Doc, payment_method: Doc, *, challenged: bool) -> Doc:
    customer = objects.find(ctx, "customer", intent["customer"])
    if customer and not payment_method["customer"]:
        payment_method = attach(ctx, payment_method, customer)
    if intent["usage"] == "off_session" and challenged:
        objects.update(ctx, payment_method, {"_set_up": True})
    if payment_method["type"] in bank_debits.SHARED:
        intent = objects.update(ctx, intent, {"mandate": bank_debits.mandate_of(ctx, payment_method)["id"]})
    attempt = _attempt(ctx, intent, "succeeded", None)
    done = objects.update(ctx, intent, {"latest_attempt": attempt["id"], "next_action": None, "status": "succeeded"})
    objects.announce(ctx, "setup_intent.succeeded", done)
    for listener in LISTENERS:
        listener(ctx, done)
    return done


def _fail(ctx: Context, intent: Doc, payment_method: Doc, refusal: Doc) -> Doc:
    error = dict(
        sorted(
            {
                **refusal,
                "doc_url": DOC_URL + refusal["code"].replace("_", "-"),
                "payment_method": render(payment_method),
            }.items()
        )
    )
    attempt = _attempt(ctx, intent, "failed", error)
    failed = objects.update(
        ctx,
        intent,
        {
            "last_setup_error": error,
            "latest_attempt": attempt["id"],
            "next_action": None,
            "payment_method": None,
            "status": "requires_payment_method",
        },
    )
    objects.announce(ctx, "setup_intent.setup_failed", failed)
    return failed


def _attempt(ctx: Context, intent: Doc, status: str, error: Doc | None) -> Doc:
    return objects.create(
        ctx,
        "setup_attempt",
        {
            "application": None,
            "customer": intent["customer"],
            "customer_account": None,
            "flow_directions": None,
            "on_behalf_of": None,
            "payment_method": intent["payment_method"],
            "payment_method_details": _tried_with(ctx, intent),
            "setup_error": error,
            "setup_intent": intent["id"],
            "status": status,
            "usage": intent["usage"],
        },
    )


def _tried_with(ctx: Context, intent: Doc) -> Doc:
    method = objects.load(ctx, "payment_method", intent["payment_method"])
    if method["type"] != "card":
        return {method["type"]: {}, "type": method["type"]}
    card = method["card"]
    names = ("brand", "checks", "country", "exp_month", "exp_year", "fingerprint", "funding", "last4", "wallet")
    shown = {name: card[name] for name in names} | {"network": card["brand"], "three_d_secure": None}
    return {"card": dict(sorted(shown.items())), "type": "card"}


def _unexpected(intent: Doc, message: str) -> ApiError:
    return ApiError(message, code="setup_intent_unexpected_state", setup_intent=render(intent))


def _load(ctx: Context, id: str, params: dict[str, Any]) -> Doc:
    """A publishable key needs the client secret."""
    intent = objects.load(ctx, "setup_intent", id, param="intent", in_path=True)
    if (ctx.publishable or "client_secret" in params) and params.get("client_secret") != intent["client_secret"]:
        raise no_such("setupintent", id, param="intent", in_path=True)
    return intent


@route(
    "GET",
    "/v1/setup_intents",
    params=listing(customer=Str(), payment_method=Str(), attach_to_self=Ignored(), customer_account=Ignored()),
)
def list_setup_intents(ctx: Context, params: dict[str, Any]) -> Doc:
    """List setup intents"""
    filters = {name: params.get(name) for name in ("customer", "payment_method")}
    return list_page(ctx, "setup_intent", params, filters)


@route("GET", "/v1/setup_intents/{id}", params={"client_secret": Str(), "key": Ignored()}, publishable=True)
def retrieve_setup_intent(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Retrieve a setup intent"""
    return _load(ctx, id, params)


@route("POST", "/v1/setup_intents/{id}", params=FIELDS)
def update_setup_intent(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Update a setup intent"""
    intent = _load(ctx, id, {})
    fields = _fields(ctx, intent, params)
    if fields.get("payment_method"):
        if intent["status"] not in OPEN:
            raise _unexpected(intent, f"This SetupIntent cannot be updated: it has a status of {intent['status']}.")
        fields |= {"status": "requires_confirmation", "next_action": None}
    return objects.update(ctx, intent, fields)


@route("POST", "/v1/setup_intents/{id}/confirm", params=CONFIRM, publishable=True)
def confirm_setup_intent(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Confirm a setup intent"""
    intent = _load(ctx, id, params)
    if intent["status"] not in OPEN:
        why = (
            "it has already succeeded" if intent["status"] == "succeeded" else f"it has a status of {intent['status']}"
        )
        raise _unexpected(intent, f"You cannot confirm this SetupIntent because {why}.")
    intent = objects.update(ctx, intent, _fields(ctx, intent, params))
    return _confirm(ctx, intent, params)


@route(
    "POST",
    "/v1/setup_intents/{id}/cancel",
    params={"cancellation_reason": Enum("abandoned", "duplicate", "requested_by_customer")},
)
def cancel_setup_intent(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Cancel a setup intent"""
    intent = _load(ctx, id, {})
    if intent["status"] not in OPEN:
        raise _unexpected(
            intent,
            f"You cannot cancel this SetupIntent because it has a status of {intent['status']}. Only a SetupIntent "
            f"with one of the following statuses may be canceled: {', '.join(OPEN)}.",
        )
    changes = {
        "cancellation_reason": params.get("cancellation_reason"),
        "next_action": None,
        "status": "canceled",
    }
    canceled = objects.update(ctx, intent, changes)
    objects.announce(ctx, "setup_intent.canceled", canceled)
    return canceled


@route("GET", "/v1/setup_attempts", params=listing(setup_intent=Str(required=True)))
def list_setup_attempts(ctx: Context, params: dict[str, Any]) -> Doc:
    """List the attempts of a setup intent"""
    return list_page(ctx, "setup_attempt", params, {"setup_intent": params["setup_intent"]})
