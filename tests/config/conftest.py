"""What the tests of this room share."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def open_dir() -> Iterator[Path]:
    """A directory that root's PostgreSQL can reach: pytest closes its own to others."""
    place = Path(tempfile.mkdtemp(prefix="kessai-test-"))
    place.chmod(0o711)
    yield place
    shutil.rmtree(place, ignore_errors=True)
