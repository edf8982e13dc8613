"""What `manage.py check` says of the settings of destinations, before the first call fails of them."""

import ssl
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

from ops.effects.destinations.addresses import networks
from ops.effects.destinations.wire import tls_context

SHORTEST_KEY = 32  # characters


@register(Tags.security)
def check_settings(**_kwargs: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    try:
        networks(settings.DESTINATIONS_ALLOWED_NETWORKS)
    except ValueError as error:
        found.append(Error(f"DESTINATIONS_ALLOWED_NETWORKS: {error}.", hint="For example 10.20.0.0/16.", id="ops.E001"))
    try:
        tls_context(settings.DESTINATIONS_CA_FILE)
    except (OSError, ssl.SSLError) as error:
        said = f"DESTINATIONS_CA_FILE holds no certificates that can be read ({type(error).__name__})."
        found.append(Error(said, hint="Name a file of certificates in PEM form.", id="ops.E002"))
    if any(len(key) < SHORTEST_KEY for key in settings.ENCRYPTION_KEYS):
        hint = "Make each with: python -c 'import secrets; print(secrets.token_urlsafe(48))'"
        found.append(Warning("One of ENCRYPTION_KEYS is short: it could be guessed.", hint=hint, id="ops.W001"))
    return found
