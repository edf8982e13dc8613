"""Keeping secrets out of what is written down: whatever form they take in a request or come back in."""

import base64
import json
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

MASK = "•••"
SHORTEST = 4  # what is shorter is no secret, and masking it would make every text unreadable; forms refuse it
# Headers whose value is nobody's but the two sides', whoever set it.
PRIVATE = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie"})


class Masks:
    """The secrets of one call. `mask` takes them out of a text."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self.forms: set[str] = set()
        for secret in secrets:
            self.add(secret)

    def add(self, secret: str) -> None:
        """Mask this from now on, also as it stands in addresses, forms, JSON and base64."""
        if len(secret) < SHORTEST:
            return
        encoded = base64.b64encode(secret.encode()).decode()
        forms = (
            secret, quote(secret, safe=""), quote(secret), quote_plus(secret),
            json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1],
            encoded, base64.urlsafe_b64encode(secret.encode()).decode(),
        )  # fmt: skip
        self.forms.update(forms)

    def mask(self, text: str) -> str:
        for form in sorted(self.forms, key=len, reverse=True):  # longest first: one may hold another
            text = text.replace(form, MASK)
        return text

    def mask_pairs(self, pairs: Iterable[tuple[str, str]]) -> list[list[str]]:
        """Mask headers: those that are private by their nature whole, but for the scheme of an authorization."""
        return [[name, masked(value) if name.lower() in PRIVATE else self.mask(value)] for name, value in pairs]


def masked(value: str) -> str:
    scheme = value.partition(" ")[0]
    return f"{scheme} {MASK}" if scheme.lower() in ("basic", "bearer") else MASK
