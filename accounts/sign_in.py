"""Sign-in, and the way round by a new password: the plan that a visitor is on the way to goes along."""

from typing import Any

from allauth.account.forms import LoginForm as AllauthLoginForm
from allauth.account.views import PasswordResetFromKeyView, PasswordResetView
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext

from accounts.onward import wanted_page, with_next


class LoginForm(AllauthLoginForm):
    """allauth's form, whose link to a new password knows the plan."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        page = wanted_page(self.request) if self.request else ""
        if page:
            link = with_next(reverse("account_reset_password"), page)
            self.fields["password"].help_text = format_html(
                '<a href="{}">{}</a>', link, gettext("Forgot your password?")
            )


class ResetPassword(PasswordResetView):
    """Asking for the link. allauth's own view would go straight on to `next`, and nobody would be told of the mail."""

    def get_success_url(self) -> str:
        return with_next(reverse("account_reset_password_done"), wanted_page(self.request))


class ResetPasswordFromKey(PasswordResetFromKeyView):
    """The page behind the link. The new password signs nobody in: what lies ahead is reached by way of sign-in."""

    def get_success_url(self) -> str:
        return with_next(reverse("account_reset_password_from_key_done"), wanted_page(self.request))
