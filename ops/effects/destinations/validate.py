"""What a destination and a connection must be, said to the person who writes them. Raises ValidationError."""

import ipaddress
import re
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from ops.effects.destinations.addresses import may_be_called, networks
from ops.effects.destinations.masks import SHORTEST
from ops.effects.destinations.models import HEADER_NAME, Authorization, Place
from ops.effects.destinations.shape import FORBIDDEN_IN_HEADERS, MALFORMED, NOT_TAKEN, as_named

FORBIDDEN = re.compile(r"[\x00-\x20\x7f]")
HEADERS = (Place.HEADER.value, Place.OAUTH_HEADER.value)


def check_endpoint(text: str, *, stars: bool = True) -> None:
    """Check an address that is going to be called; `stars`: whether its path may have places for values."""
    if FORBIDDEN.search(text):
        raise ValidationError(_("An address has no spaces and no control characters."))
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
        as_named(text.replace("*", "0"))
        parts.port  # noqa: B018 - raises where it is no port
    except MALFORMED:
        raise ValidationError(_("This is no web address, such as https://api.example.com/v1/notes.")) from None
    check_scheme(parts.scheme, host)
    if parts.username is not None or parts.password is not None:
        raise ValidationError(_("Leave user name and password out of the address: the connection holds them, sealed."))
    if parts.fragment:
        raise ValidationError(_("Leave out what follows #: it never reaches the server."))
    if "*" in parts.netloc + parts.query or (not stars and "*" in text):
        raise ValidationError(_("A * stands for a path value and belongs in the path, after the host's name."))
    check_host(host, encrypted=parts.scheme == "https")


def check_scheme(scheme: str, host: str) -> None:
    if scheme not in ("https", "http") or not host:
        raise ValidationError(_("Begin with https:// and the host's name."))
    if scheme == "http" and not settings.DESTINATIONS_ALLOWED_NETWORKS:
        raise ValidationError(_("Use https: over http everybody on the way could read the credentials."))


def check_host(host: str, *, encrypted: bool) -> None:
    """Refuse an address of a private network at once; names are checked each time they are called."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return
    allowed = networks(settings.DESTINATIONS_ALLOWED_NETWORKS)
    if not may_be_called(host, allowed=allowed, encrypted=encrypted):
        raise ValidationError(
            _("%(host)s is a private or reserved address. Whoever runs Kessai can allow it: %(setting)s.")
            % {"host": host, "setting": "DESTINATIONS_ALLOWED_NETWORKS"}
        )


def check_header(name: str) -> None:
    HEADER_NAME(name)
    if name.lower() in NOT_TAKEN:
        raise ValidationError(_("%(name)s is set by the connection itself and cannot be given.") % {"name": name})


def check_parameter(place: str, name: str, value: str) -> None:
    """Check a connection's parameter; `value` is empty where a secret stays what it is."""
    if place in HEADERS:
        check_header(name)
        check_header_value(value)
    elif not name:
        raise ValidationError(_("A parameter has a name."))


def check_header_value(value: str) -> None:
    if FORBIDDEN_IN_HEADERS.search(value):
        raise ValidationError(
            _("A header's value holds letters, digits and signs of Latin scripts, and no line breaks.")
        )


def check_secret(secret: str) -> None:
    if secret and len(secret) < SHORTEST:
        raise ValidationError(_("This is too short to be kept secret: it could not be taken out of the log."))


def check_identity(authorization: str, identity: str, secret: str) -> None:
    """Check a user's name, an API key's header or a client's id, with its secret (empty: it stays)."""
    if authorization == Authorization.API_KEY:
        check_header(identity)
        check_header_value(secret)
    if authorization == Authorization.BASIC and ":" in identity:
        raise ValidationError(_("A user name has no colon: HTTP could not tell where the password begins."))
