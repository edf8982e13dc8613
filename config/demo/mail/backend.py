"""Django's joint: what the portal sends becomes a file."""

from collections.abc import Sequence

from django.core.mail.backends.base import BaseEmailBackend
from django.core.mail.message import EmailMessage
from django.utils import timezone

from config.demo.mail.box import put


class MailToBox(BaseEmailBackend):
    """Keep each message in the demo's box instead of sending it."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        for message in email_messages:
            put(message.message().as_bytes(), now=timezone.now())
        return len(email_messages)
