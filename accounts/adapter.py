"""allauth's joint with our accounts."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings
from django.core.mail import EmailMessage
from django.utils import translation

from accounts.models import User


class AccountAdapter(DefaultAccountAdapter):
    """What allauth asks the project."""

    def render_mail(
        self,
        template_prefix: str,
        email: str | list[str],
        context: dict[str, Any],
        headers: dict[str, str] | None = None,
    ) -> EmailMessage:
        """Write to a user in the user's language, whoever's request caused the mail."""
        user, context = context.get("user"), {"site_url": settings.SITE_URL, **context}
        language = user.language if isinstance(user, User) else translation.get_language()
        with translation.override(language):
            message: EmailMessage = super().render_mail(template_prefix, email, context, headers)
        return message

    def is_safe_url(self, url: str | None) -> bool:
        """allauth's answer; what is no address at all, such as `//[`, is not safe instead of an error."""
        try:
            return bool(super().is_safe_url(url))
        except ValueError:
            return False
