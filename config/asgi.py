"""The ASGI application; live status (server-sent events) needs ASGI, so there is no WSGI twin."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
# Each request has a thread of its own, and would have a connection of its own: decision 21
os.environ.setdefault("DATABASE_POOL", "20")

django_application = get_asgi_application()

from billing.inbox.asgi_door import WebhookDoor  # noqa: E402 - Django is set up now
from billing.inbox.gather import Gathering  # noqa: E402

application = WebhookDoor(django_application, Gathering())
