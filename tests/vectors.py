"""Where the shared vectors lie: verdicts of AWS and others, kept beside the repository and not in it."""

import os
from pathlib import Path

import pytest

from config.env import BASE_DIR

VECTORS = Path(os.environ.get("VECTORS_DIR", BASE_DIR.parent / "shared" / "vectors"))


def vectors(name: str) -> Path:
    """Return the path of a file or folder of vectors; skip the test where they are not on this machine."""
    path = VECTORS / name
    if not path.exists():
        pytest.skip(f"There is no {path}: the vectors lie beside the repository, or where VECTORS_DIR says.")
    return path
