"""The whole portal (`tests.whole_demo`), as those see it who use it."""

import json
from dataclasses import dataclass

import pytest

from tests.whole_demo import WholeDemo


@dataclass(frozen=True)
class Portal:
    """A running demo and where it answers."""

    url: str
    sandbox: str
    stripe_key: str
    customer: str = "demo@kessai.example"
    operator: str = "operator@kessai.example"
    password: str = "kessai-demo-2026"


@pytest.fixture
def portal(whole_demo: WholeDemo) -> Portal:
    keys = json.loads((whole_demo.place / "keys.json").read_text())
    return Portal(whole_demo.url, whole_demo.sandbox, keys["STRIPE_SECRET_KEY"])
