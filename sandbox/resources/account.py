"""The account that a key belongs to. It exists as soon as a key names it and is not stored."""

from typing import Any

from sandbox.context import Context
from sandbox.errors import ApiError
from sandbox.kinds import Doc
from sandbox.pagination import list_object, listing
from sandbox.routes import route

BORN = 1_700_000_000
REQUIREMENTS: Doc = {
    "alternatives": [],
    "current_deadline": None,
    "currently_due": [],
    "disabled_reason": None,
    "errors": [],
    "eventually_due": [],
    "past_due": [],
    "pending_verification": [],
}


@route("GET", "/v1/account")
def retrieve_own_account(ctx: Context, params: dict[str, Any]) -> Doc:
    """Retrieve the account of the key"""
    return account(ctx)


@route("GET", "/v1/accounts", params=listing())
def list_connected_accounts(ctx: Context, params: dict[str, Any]) -> Doc:
    """List the accounts that are connected to the key's own: there are none"""
    return list_object([], url="/v1/accounts")


@route("GET", "/v1/accounts/{id}")
def retrieve_account(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Retrieve the account of the key by its id"""
    if id != ctx.account:
        raise ApiError(
            f"The provided key does not have access to account '{id}' (or that account does not exist). Application "
            "access may have been revoked.",
            status=403,
            code="account_invalid",
        )
    return account(ctx)


def account(ctx: Context) -> Doc:
    """The account as the API shows it."""
    return {
        "id": ctx.account,
        "object": "account",
        "business_profile": _profile(),
        "business_type": None,
        "capabilities": {"card_payments": "active", "transfers": "active"},
        "charges_enabled": True,
        "controller": {"type": "account"},
        "country": "US",
        "created": BORN,
        "default_currency": "usd",
        "details_submitted": True,
        "email": "sandbox@example.com",
        "external_accounts": {
            "object": "list",
            "data": [],
            "has_more": False,
            "url": f"/v1/accounts/{ctx.account}/external_accounts",
        },
        "future_requirements": REQUIREMENTS,
        "metadata": {},
        "payouts_enabled": True,
        "requirements": REQUIREMENTS,
        "settings": _settings(),
        "tos_acceptance": {"date": BORN, "ip": None, "user_agent": None},
        "type": "standard",
    }


def _profile() -> Doc:
    names = (
        "annual_revenue", "estimated_worker_count", "mcc", "minority_owned_business_designation",
        "product_description", "support_address", "support_email", "support_phone", "support_url", "url",
    )  # fmt: skip
    return dict.fromkeys(names) | {"name": "Sandbox"}


def _settings() -> Doc:
    prefixes = {
        "statement_descriptor_prefix": None,
        "statement_descriptor_prefix_kana": None,
        "statement_descriptor_prefix_kanji": None,
    }
    return {
        "bacs_debit_payments": {"display_name": None, "service_user_number": None},
        "branding": dict.fromkeys(("icon", "logo", "primary_color", "secondary_color")),
        "card_issuing": {"tos_acceptance": {"date": None, "ip": None}},
        "card_payments": {"decline_on": {"avs_failure": False, "cvc_failure": False}, **prefixes},
        "dashboard": {"display_name": "Sandbox", "timezone": "Etc/UTC"},
        "invoices": {"default_account_tax_ids": None, "hosted_payment_method_save": None},
        "payments": {
            "statement_descriptor": "SANDBOX",
            "statement_descriptor_kana": None,
            "statement_descriptor_kanji": None,
            "statement_descriptor_prefix_kana": None,
            "statement_descriptor_prefix_kanji": None,
        },
        "payouts": {
            "debit_negative_balances": True,
            "schedule": {"delay_days": 2, "interval": "daily"},
            "statement_descriptor": None,
        },
        "sepa_debit_payments": {},
    }
