"""The box: a directory with one file a message, newest by name."""

import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path

from django.conf import settings

NAME = re.compile(r"\d{8}T\d{12}-[0-9a-f]{8}")
NEWEST = "%Y%m%dT%H%M%S%f"
SHOWN = 200  # messages in the list; older ones stay as files


@dataclass(frozen=True)
class Mail:
    """A message as the reader shows it."""

    name: str
    at: datetime
    sender: str
    to: str
    subject: str
    text: str
    html: str


def put(message: bytes, *, now: datetime) -> str:
    """Keep a message; return its name. It appears as a whole or not at all."""
    place = directory()
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    name = f"{now.astimezone(UTC).strftime(NEWEST)}-{secrets.token_hex(4)}"
    half = place / f"{name}.new"
    half.write_bytes(message)
    half.rename(place / f"{name}.eml")
    return name


def newest(limit: int = SHOWN) -> list[Mail]:
    """Return the newest messages, the newest first."""
    names = sorted((path.stem for path in directory().glob("*.eml")), reverse=True)
    return [mail for name in names[:limit] if (mail := get(name))]


def get(name: str) -> Mail | None:
    """Return the message of that name, None when there is none."""
    if not NAME.fullmatch(name):
        return None
    try:
        content = (directory() / f"{name}.eml").read_bytes()
    except FileNotFoundError:
        return None
    message = BytesParser(EmailMessage, policy=policy.default).parsebytes(content)
    return Mail(
        name=name,
        at=datetime.strptime(name.split("-")[0], NEWEST).replace(tzinfo=UTC),
        sender=str(message["From"] or ""),
        to=str(message["To"] or ""),
        subject=str(message["Subject"] or ""),
        text=part(message, "plain"),
        html=part(message, "html"),
    )


def part(message: EmailMessage, kind: str) -> str:
    """Return the message's body of that kind, empty when it has none."""
    body = message.get_body((kind,))
    return str(body.get_content()) if body else ""


def directory() -> Path:
    return Path(settings.EMAIL_FILE_PATH)
