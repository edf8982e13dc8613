"""`/_sandbox/settings`: what an account does about payments that do not come, and when it tells of a renewal."""

from typing import Any

from sandbox import keys
from sandbox.billing import policy, thresholds, upcoming
from sandbox.context import Context
from sandbox.kinds import Doc
from sandbox.routes import PageRequest, page

HANDLED = (thresholds, upcoming)
"""Listeners and jobs that nobody else imports."""


@page("GET", "/_sandbox/settings")
def show_settings(ctx: Context, request: PageRequest) -> Doc:
    """The settings of the account of ?key=, else of the default account"""
    _enter(ctx, request.query)
    return policy.shown(policy.of(ctx))


@page("POST", "/_sandbox/settings")
def change_settings(ctx: Context, request: PageRequest) -> Doc:
    """Change them: {"retry_days": [3, 5, 7], "after_retries": "cancel", "upcoming_days", "overdue_days",
    "after_overdue", "key"?}; what is not given stays."""
    _enter(ctx, request.form)
    given = {name: value for name, value in request.form.items() if name not in ("key", "back")}
    return policy.shown(policy.change(ctx, given))


def _enter(ctx: Context, fields: Any) -> None:
    if "key" in fields:
        ctx.enter(str(keys.identify(f"Bearer {fields['key']}", ctx.tx).scope))
