"""API keys. Any well-formed key is accepted; it says kind, mode and account by its form.

- `sk_` secret, `rk_` restricted, `pk_` publishable; `_test_` or `_live_`; test and live objects never mix.
- `sk_test_51<15 letters>…` (the form of Stripe's own keys) names account `acct_1<15 letters>`; every other key
  belongs to the default account. So sk, rk and pk of one account find the same objects.
- A restricted key may do everything except read accounts, unless POST /_sandbox/keys gave it permissions:
  {"key": "rk_test_x", "permissions": {"customers": "read", "*": "none"}}. `"expired": true` ends any key.
"""

import base64
import binascii
import json
import re
from dataclasses import dataclass

from sandbox.context import Scope
from sandbox.errors import ApiError
from sandbox.routes import Route
from sandbox.store import Transaction

DEFAULT_ACCOUNT = "acct_1SandboxDefault0"
WELL_FORMED = re.compile(r"(sk|rk|pk)_(test|live)_(\w{3,250})", re.ASCII)
NAMED_ACCOUNT = re.compile(r"5(1[A-Za-z0-9]{15})")
RESTRICTED_DEFAULT = {"*": "write", "account": "none", "accounts": "none"}


@dataclass(frozen=True)
class Caller:
    key: str
    kind: str
    scope: Scope

    @property
    def publishable(self) -> bool:
        return self.kind == "pk"


def identify(authorization: str | None, tx: Transaction) -> Caller:
    """Whose key this is. Raises Stripe's 401 for none, a malformed or an expired one."""
    key = _bearer(authorization)
    form = WELL_FORMED.fullmatch(key)
    if form is None:
        raise ApiError(f"Invalid API Key provided: {masked(key)}", status=401)
    row = tx.sql("SELECT expired FROM api_keys WHERE key=?", key).fetchone()
    if row and row[0]:
        raise ApiError(f"Expired API Key provided: {masked(key)}", status=401, code="api_key_expired")
    return Caller(key, form[1], Scope(_account(form[3]), form[2] == "live"))


def permit(caller: Caller, route: Route, tx: Transaction) -> None:
    """Raises Stripe's 403 when this kind of key may not call this route."""
    if caller.kind == "pk" and not route.publishable:
        raise ApiError(
            "This API call cannot be made with a publishable API key. Please use a secret API key. You can find a "
            "list of your API keys at https://dashboard.stripe.com/account/apikeys.",
            status=403,
            code="secret_key_required",
        )
    needed = "read" if route.method == "GET" else "write"
    if caller.kind == "rk" and not _allowed(_permissions(caller.key, tx), route.resource, needed):
        permission = f"rak_{route.resource.removesuffix('s')}_{needed}"
        raise ApiError(
            f"The provided key '{masked(caller.key)}' does not have the required permissions for this endpoint on "
            f"account '{caller.scope.account}'. Having the '{permission}' permission would allow this request to "
            "continue.",
            status=403,
        )


def check_account_header(caller: Caller, account: str | None) -> None:
    if account and account != caller.scope.account:
        raise ApiError(
            f"The provided key '{masked(caller.key)}' does not have access to account '{account}' (or that account "
            "does not exist). Application access may have been revoked.",
            status=403,
            code="account_invalid",
        )


def masked(key: str) -> str:
    form = re.match(r"(sk|rk|pk)_(test|live)_", key)
    head = form[0] if form else key[:3]
    tail = key[-4:] if len(key) > len(head) + 4 else ""
    return head + "*" * max(len(key) - len(head) - len(tail), 3) + tail


def _bearer(authorization: str | None) -> str:
    scheme, _, value = (authorization or "").partition(" ")
    if scheme.lower() == "bearer" and value.strip():
        return value.strip()
    if scheme.lower() == "basic":
        try:
            user = base64.b64decode(value, validate=True).decode().split(":", 1)[0]
        except (binascii.Error, UnicodeDecodeError):
            user = ""
        if user:
            return user
    raise ApiError(
        "You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer "
        "auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY'). See https://stripe.com/docs/api#authentication for "
        "details, or we can help at https://support.stripe.com/.",
        status=401,
    )


def _account(rest: str) -> str:
    named = NAMED_ACCOUNT.match(rest)
    return f"acct_{named[1]}" if named else DEFAULT_ACCOUNT


def _permissions(key: str, tx: Transaction) -> dict[str, str]:
    row = tx.sql("SELECT permissions FROM api_keys WHERE key=?", key).fetchone()
    permissions: dict[str, str] = json.loads(row[0]) if row else {}
    return permissions or RESTRICTED_DEFAULT


def _allowed(permissions: dict[str, str], resource: str, needed: str) -> bool:
    granted = permissions.get(resource, permissions.get("*", "none"))
    return granted == "write" or granted == needed
