"""Secrets at rest: sealed under the first of ENCRYPTION_KEYS, read with any of them, so that keys can be rolled."""

import base64
from collections.abc import Sequence
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings


class Unreadable(Exception):
    """A stored secret can be read with none of the keys: ENCRYPTION_KEYS lacks the one that it was sealed with."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


def seal(secret: str) -> str:
    """Return the secret as it may stand in a row; empty stays empty."""
    return fernets().encrypt(secret.encode()).decode() if secret else ""


def unseal(sealed: str) -> str:
    """Return the secret that `seal` was given. Raises Unreadable."""
    if not sealed:
        return ""
    try:
        return fernets().decrypt(sealed.encode()).decode()
    except InvalidToken:
        raise Unreadable from None


def reseal(sealed: str) -> str:
    """Return the same secret under the first key. Raises Unreadable."""
    if not sealed:
        return ""
    try:
        return fernets().rotate(sealed.encode()).decode()
    except InvalidToken:
        raise Unreadable from None


def fernets() -> MultiFernet:
    """The first seals, all read. SECRET_KEY reads too: it sealed what is older than the first ENCRYPTION_KEYS."""
    return of_keys((*settings.ENCRYPTION_KEYS, settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS))


@lru_cache(maxsize=8)
def of_keys(keys: Sequence[str]) -> MultiFernet:
    return MultiFernet([derive(key) for key in keys])


def derive(key: str) -> Fernet:
    # A key of its own, so that nothing else made from the same setting tells anything about it.
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"kessai stored secrets").derive(key.encode())
    return Fernet(base64.urlsafe_b64encode(derived))
