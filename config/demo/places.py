"""Where the demo keeps its things: everything below `.local`, so that removing it forgets the demo."""

import fcntl
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from config.demo.trouble import NO_SPACE, Trouble
from config.local import make_open_dir, reachable_dir

NEEDED_MB = 500  # PostgreSQL with its write-ahead log, the sandbox, static files, logs


@dataclass(frozen=True)
class Places:
    """The directories and files of one demo."""

    root: Path

    @property
    def logs(self) -> Path:
        return self.root / "log"

    @property
    def postgres(self) -> Path:
        return reachable_dir(self.root / "postgres")

    @property
    def redis(self) -> Path:
        return self.root / "redis"

    @property
    def sandbox(self) -> Path:
        return self.root / "sandbox"

    @property
    def mail(self) -> Path:
        return self.root / "mail"

    @property
    def env_file(self) -> Path:
        return self.root / "env"

    @property
    def keys_file(self) -> Path:
        return self.root / "keys.json"

    @property
    def run_file(self) -> Path:
        """Which processes run, and where the portal answers."""
        return self.root / "run.json"

    @property
    def lock_file(self) -> Path:
        return self.root / "lock"

    @property
    def data_mark(self) -> Path:
        """Says that the demo company is loaded, and with which address for webhooks."""
        return self.root / "company.json"

    @property
    def metrics(self) -> Path:
        """Where the processes of one run count together."""
        return self.root / "metrics"

    def forget_metrics(self) -> None:
        shutil.rmtree(self.metrics, ignore_errors=True)
        self.metrics.mkdir()

    def make(self) -> None:
        """Make the directory, closed to others as far as PostgreSQL allows; say so when the disk is full."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            self.root.chmod(0o700)
            make_open_dir(self.root)
        except OSError as error:
            raise Trouble(f"The directory {self.root} cannot be used: {error.strerror}.") from error
        if shutil.disk_usage(self.root).free < NEEDED_MB * 1_000_000:
            raise Trouble(NO_SPACE.format(need=NEEDED_MB, place=self.root))

    def forget(self) -> None:
        """Remove everything the demo has kept."""
        outside = self.postgres
        for path in (outside, outside.with_name(f"{outside.name}-programs"), self.root):
            shutil.rmtree(path, ignore_errors=True)
        outside.with_name(f"{outside.name}.log").unlink(missing_ok=True)
        if self.root.exists():
            raise Trouble(f"Not all of {self.root} could be removed: some of it belongs to another user.")


def lock(places: Places) -> IO[str]:
    """Hold the demo of this directory; the lock goes with the process, however it ends.

    Raises Trouble, with the address, when a demo of this directory runs already.
    """
    file = places.lock_file.open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        url = read_json(places.run_file).get("url")
        where = f" at {url}" if url else " (it is just starting or stopping)"
        raise Trouble(f"The demo runs already{where}. Stop it with Ctrl-C in its terminal.") from None
    return file


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a file, empty when there is none or a crash left it unreadable."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_private(path: Path, text: str) -> None:
    """Replace a file as a whole, readable for its owner alone."""
    half = path.with_name(f"{path.name}.new")
    half.unlink(missing_ok=True)
    descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    half.replace(path)
