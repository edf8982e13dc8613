"""Idempotency keys: one key, one effect, for 24 hours. Source: Stripe docs, "Idempotent requests".

The answer is stored in the transaction that made it, so an effect and its stored answer exist both or not at
all. An error found before the handler began (a malformed parameter, a wrong key) is not stored.
"""

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sandbox.errors import ApiError
from sandbox.store import Transaction

KEPT_FOR = 24 * 3600
MAX_LENGTH = 255


@dataclass(frozen=True)
class Stored:
    status: int
    body: str
    request_id: str


class InFlight:
    """The keys that are being worked on in this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keys: set[tuple[str, str]] = set()

    @contextmanager
    def claim(self, scope: str, key: str) -> Iterator[None]:
        with self._lock:
            if (scope, key) in self._keys:
                raise ApiError(
                    "There is currently another in-progress request using this Idempotent Key (that probably means "
                    "you submitted twice, and the other request is still going through): "
                    f"{key}. Please try again later.",
                    status=409,
                    type="idempotency_error",
                    code="idempotency_key_in_use",
                )
            self._keys.add((scope, key))
        try:
            yield
        finally:
            with self._lock:
                self._keys.discard((scope, key))


def check_length(key: str) -> None:
    if len(key) > MAX_LENGTH:
        raise ApiError(f"Idempotency keys can be at most {MAX_LENGTH} characters long.", type="idempotency_error")


def fingerprint(raw: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(raw, sort_keys=True).encode()).hexdigest()


def recall(tx: Transaction, *, scope: str, key: str, path: str, raw: Mapping[str, Any], now: int) -> Stored | None:
    """The stored answer. Raises when the key was used for another address or other parameters."""
    row = tx.sql(
        "SELECT path, fingerprint, status, body, request_id FROM idempotency WHERE scope=? AND key=? AND created>?",
        scope, key, now - KEPT_FOR,
    ).fetchone()  # fmt: skip
    if row is None:
        return None
    if row[0] != path:
        raise ApiError(
            f"Keys for idempotent requests can only be used for the same endpoint they were first used for ('{path}' "
            f"vs '{row[0]}'). Try using a key other than '{key}' if you meant to execute a different request.",
            type="idempotency_error",
        )
    if row[1] != fingerprint(raw):
        raise ApiError(
            "Keys for idempotent requests can only be used with the same parameters they were first used with. Try "
            f"using a key other than '{key}' if you meant to execute a different request.",
            type="idempotency_error",
        )
    return Stored(row[2], row[3], row[4])


def remember(
    tx: Transaction, answer: Stored, *, scope: str, key: str, path: str, raw: Mapping[str, Any], now: int
) -> None:
    tx.sql(
        "INSERT OR REPLACE INTO idempotency (scope, key, created, fingerprint, path, request_id, status, body) "
        "VALUES (?,?,?,?,?,?,?,?)",
        scope, key, now, fingerprint(raw), path, answer.request_id, answer.status, answer.body,
    )  # fmt: skip
