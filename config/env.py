"""Where settings come from: the process environment, then the running demo's `.local/env`."""

import os
from pathlib import Path

import environ

BASE_DIR = Path(__file__).resolve().parent.parent
LOCAL_DIR = Path(os.environ.get("KESSAI_LOCAL_DIR", BASE_DIR / ".local"))
LOCAL_ENV_FILE = LOCAL_DIR / "env"


def read_env() -> environ.Env:
    """Return the environment; values of the process win over those that `make demo` left in `.local/env`.

    The file lets `manage.py` commands in a second terminal speak to the services of the running demo. It is not
    read where `DATABASE_URL` names another database than the demo's: two sets of services never mix.
    """
    env = environ.Env()
    if LOCAL_ENV_FILE.exists() and os.environ.get("DATABASE_URL") in (None, read_local("DATABASE_URL")):
        environ.Env.read_env(LOCAL_ENV_FILE)
    return env


def read_local(name: str) -> str | None:
    """Return what the running demo left under `name`."""
    for line in LOCAL_ENV_FILE.read_text().splitlines():
        key, _, value = line.partition("=")
        if key == name:
            return value
    return None
