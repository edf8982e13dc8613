"""Task tokens: unguessable, told to whoever is to answer, and never stored.

A token is made of the call's place and a keyed hash of it, so that it is the same whenever it is told again, and needs
no row to be checked.
"""

import base64
import hashlib
import hmac

from django.conf import settings

SALT = b"kessai:task-token"


def token_of(execution_id: int, number: int) -> str:
    """The token of an execution's call."""
    place = f"{execution_id}:{number}"
    mark = hmac.digest(settings.SECRET_KEY.encode(), SALT + place.encode(), "sha256")
    return base64.urlsafe_b64encode(f"{place}:".encode() + mark).decode().rstrip("=")


def place_of(token: str) -> tuple[int, int] | None:
    """Return the execution and the number of the call whose token this is; None where it is nobody's."""
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        execution, number, _ = raw.split(b":", 2)
        place = int(execution), int(number)
    except ValueError:
        return None
    return place if hmac.compare_digest(token_of(*place), token) else None


def hash_of(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
