"""The way round by a new password: the plan that a visitor is on the way to goes along."""

from allauth.account.views import PasswordResetFromKeyView, PasswordResetView
from django.urls import reverse

from accounts.onward import wanted_page, with_next


class ResetPassword(PasswordResetView):
    """Asking for the link. allauth's own view would go straight on to `next`, and nobody would be told of the mail."""

    def get_success_url(self) -> str:
        return with_next(reverse("account_reset_password_done"), wanted_page(self.request))


class ResetPasswordFromKey(PasswordResetFromKeyView):
    """The page behind the link. The new password signs nobody in: what lies ahead is reached by way of sign-in."""

    def get_success_url(self) -> str:
        return with_next(reverse("account_reset_password_from_key_done"), wanted_page(self.request))
