"""What the tests of accounts share."""

import secrets
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def own_cache(settings: Any) -> None:
    """A part of Redis of the test's own: allauth counts attempts there, and one test's are not another's."""
    settings.CACHES = {"default": {**settings.CACHES["default"], "KEY_PREFIX": secrets.token_hex(8)}}
