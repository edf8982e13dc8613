"""The ASGI application; live status (server-sent events) needs ASGI, so there is no WSGI twin."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

application = get_asgi_application()
