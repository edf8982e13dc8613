"""What the demo's processes are told, and what of it outlives a run."""

import json
import os
import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass

from config.demo.places import Places, read_json, write_private
from config.demo.trouble import Trouble

STRIPE_NAMES = ("STRIPE_SECRET_KEY", "STRIPE_PUBLISHABLE_KEY", "STRIPE_WEBHOOK_SECRET", "STRIPE_API_BASE", "CLOCK_URL")
AWS_NAMES = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "EVENTS_QUEUE_URL")
# What a second terminal needs for `manage.py` to speak to the services of this run.
SHARED_NAMES = (
    *("SECRET_KEY", "KESSAI_DEMO", "SITE_URL", "ALLOWED_HOSTS", "DATABASE_URL", "REDIS_URL", "EMAIL_URL"),
    *STRIPE_NAMES,
    *AWS_NAMES,
)
LOOPBACK = "127.0.0.1,localhost"


@dataclass(frozen=True)
class Given:
    """Which services the person brought along by URL or key; the demo starts the others."""

    postgres: bool
    redis: bool
    stripe: bool
    aws: bool

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> "Given":
        """Read it from the environment; a variable set to nothing counts as not set."""
        return cls(
            postgres=bool(environ.get("DATABASE_URL")),
            redis=bool(environ.get("REDIS_URL")),
            stripe=bool(environ.get("STRIPE_SECRET_KEY")),
            aws=any(environ.get(name) for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_PROFILE")),
        )


def refuse_live(environ: Mapping[str, str]) -> None:
    """Raise Trouble for a key that moves real money: the demo shows its mail to everybody on this machine."""
    if "_live_" in environ.get("STRIPE_SECRET_KEY", ""):
        raise Trouble("STRIPE_SECRET_KEY is a live key, and the demo is no place for real money: give a test key.")


def keep_keys(places: Places) -> dict[str, str]:
    """Return the demo's own keys; made at the first start, so that sessions and the sandbox's account live on."""
    keys = read_json(places.keys_file)
    if not keys:
        # The characters after 51 name the account that both keys belong to, as in Stripe's own.
        account = f"51{token(15)}"
        keys = {
            "SECRET_KEY": secrets.token_urlsafe(50),
            "STRIPE_SECRET_KEY": f"sk_test_{account}{token(24)}",
            "STRIPE_PUBLISHABLE_KEY": f"pk_test_{account}{token(24)}",
            "STRIPE_WEBHOOK_SECRET": f"whsec_{secrets.token_hex(16)}",
        }
        write_private(places.keys_file, json.dumps(keys, indent=1))
    return {name: str(value) for name, value in keys.items()}


def token(length: int) -> str:
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(length))


def first_environment(places: Places, given: Given, *, url: str) -> dict[str, str]:
    """Return what every process is told before any service has started; services add their addresses."""
    env = dict(os.environ)
    keys = keep_keys(places)
    env.setdefault("SECRET_KEY", keys["SECRET_KEY"])
    if not given.stripe:
        env |= {name: keys[name] for name in STRIPE_NAMES if name in keys}
    if not given.aws:
        env |= {"AWS_ACCESS_KEY_ID": "demo", "AWS_SECRET_ACCESS_KEY": "demo"}
        env.setdefault("AWS_DEFAULT_REGION", "us-east-1")
    return env | {
        "KESSAI_DEMO": "1",
        "KESSAI_LOCAL_DIR": str(places.root),
        "SITE_URL": url,
        "ALLOWED_HOSTS": LOOPBACK,
        "CSRF_TRUSTED_ORIGINS": f"{url},{url.replace('localhost', '127.0.0.1')}",
        "LOG_JSON": "0",
        "PYTHONUNBUFFERED": "1",
        # A company's proxy must not be asked for what runs on this machine.
        "NO_PROXY": joined(os.environ.get("NO_PROXY"), LOOPBACK),
        "no_proxy": joined(os.environ.get("no_proxy"), LOOPBACK),
    }


def joined(before: str | None, more: str) -> str:
    return f"{before},{more}" if before else more


def share(places: Places, env: Mapping[str, str]) -> None:
    """Leave `.local/env` for `manage.py` in a second terminal (config/env.py reads it); `unshare` removes it."""
    lines = [f"{name}={env[name]}\n" for name in SHARED_NAMES if env.get(name)]
    write_private(places.env_file, "".join(lines))


def unshare(places: Places) -> None:
    places.env_file.unlink(missing_ok=True)
