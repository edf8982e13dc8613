"""allauth's joint with our accounts."""

from typing import Any, ClassVar

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.models import EmailAddress
from django.conf import settings
from django.core.mail import EmailMessage
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from accounts.onward import keep_wanted_page, plan_page, wanted_page, with_next

LEADING_ON = ("signup_url", "password_reset_url")  # what a mail's context calls its links


class AccountAdapter(DefaultAccountAdapter):
    """What allauth asks the project."""

    error_messages: ClassVar[dict[str, Any]] = DefaultAccountAdapter.error_messages | {
        "email_password_mismatch": _(
            "No account has this address with this password. Check both, or choose a new password."
        ),
        "enter_current_password": _("This is not your present password."),
        "incorrect_password": _("This is not your password."),
        "too_many_login_attempts": _("Too many attempts have failed. Wait five minutes, or choose a new password."),
    }

    def render_mail(
        self,
        template_prefix: str,
        email: str | list[str],
        context: dict[str, Any],
        headers: dict[str, str] | None = None,
    ) -> EmailMessage:
        """Write to a user in the user's language, whoever's request caused the mail.

        Links to sign-up and to a new password lead on to the plan that the request is on the way to. Nothing is kept
        with the account for it: whoever asks for such a mail has not shown whose the account is.
        """
        user, context = context.get("user"), {"site_url": settings.SITE_URL, **context}
        page = wanted_page(self.request) if self.request else ""
        context |= {name: with_next(context[name], page) for name in LEADING_ON if name in context}
        language = user.language if isinstance(user, User) else translation.get_language()
        with translation.override(language):
            message: EmailMessage = super().render_mail(template_prefix, email, context, headers)
        return message

    def respond_email_verification_sent(self, request: HttpRequest, user: Any) -> HttpResponseBase:
        """Lead to "look in your mail", and keep which plan was chosen: the link may be opened anywhere, any time.

        An address that is taken comes here without a user, and is answered alike.
        """
        page = wanted_page(request)
        if page and isinstance(user, User):
            keep_wanted_page(user, page)
        return redirect(with_next(reverse("account_email_verification_sent"), page))

    def get_login_redirect_url(self, request: HttpRequest) -> str:
        """Where a sign-in without `next` leads."""
        wanted = plan_page(request.user.wanted_page) if isinstance(request.user, User) else ""
        return wanted or str(super().get_login_redirect_url(request))

    def get_email_verification_redirect_url(self, email_address: EmailAddress) -> str:
        """Where a confirmed address leads; in another browser to sign-in, and from there to the plan."""
        page = plan_page(email_address.user.wanted_page)
        if page and not self.request.user.is_authenticated:
            return with_next(reverse("account_login"), page)
        return str(super().get_email_verification_redirect_url(email_address))

    def is_safe_url(self, url: str | None) -> bool:
        """allauth's answer; what is no address at all, such as `//[`, is not safe instead of an error."""
        try:
            return bool(super().is_safe_url(url))
        except ValueError:
            return False
