"""Second factors: their secrets lie encrypted in the database."""

import base64
from typing import Any, ClassVar

from allauth.mfa.adapter import DefaultMFAAdapter
from cryptography.fernet import Fernet, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.utils.translation import gettext_lazy as _


class MfaAdapter(DefaultMFAAdapter):
    """What allauth's second factors ask the project."""

    error_messages: ClassVar[dict[str, Any]] = DefaultMFAAdapter.error_messages | {
        "incorrect_code": _(
            "This code does not fit. An app's code is good for 30 seconds, a recovery code for one use."
        ),
    }

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        """Under whose name devices keep a passkey: the service's, not its host's."""
        return {**super().get_public_key_credential_rp_entity(), "name": settings.MFA_TOTP_ISSUER}

    def encrypt(self, text: str) -> str:
        return keys().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """Raises cryptography.fernet.InvalidToken where no key of ours fits: SECRET_KEY changed without a fallback."""
        return keys().decrypt(encrypted_text.encode()).decode()


def keys() -> MultiFernet:
    """Encrypt under SECRET_KEY; read also what its fallbacks wrote, so that it can be rotated."""
    return MultiFernet([derive(secret) for secret in [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]])


def derive(secret: str) -> Fernet:
    # A key of its own, so that nothing else made from SECRET_KEY (signatures, tokens) tells anything about it.
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"kessai second factors").derive(secret.encode())
    return Fernet(base64.urlsafe_b64encode(derived))
