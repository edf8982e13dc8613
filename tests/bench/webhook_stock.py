"""dj-stripe's own webhook view, as its documentation sets it up, in a project of its own on a database of its own.

`python -m tests.bench.webhook_stock` makes the tables and the endpoint.
"""

import os
import uuid
from urllib.parse import unquote

import environ
from django.conf import settings

ENDPOINT = uuid.UUID(int=1)
DATABASE = environ.Env().db_url("STOCK_DATABASE_URL")
DATABASE["HOST"] = unquote(DATABASE["HOST"])
DATABASE["OPTIONS"] = {"pool": {"min_size": 4, "max_size": 32}}
APPS = ("contenttypes", "auth", "djstripe")
settings.configure(
    SECRET_KEY="bench",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    DATABASES={"default": DATABASE},
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "djstripe"],
    MIGRATION_MODULES=dict.fromkeys(APPS),  # the tables at once instead of a minute of migrations
    MIDDLEWARE=[],
    USE_TZ=True,
    STRIPE_LIVE_MODE=False,
    STRIPE_TEST_SECRET_KEY=os.environ["STRIPE_SECRET_KEY"],
    STRIPE_API_VERSION=os.environ["BENCH_API_VERSION"],
    STRIPE_API_HOST=os.environ["STRIPE_API_BASE"],
    DJSTRIPE_FOREIGN_KEY_TO_FIELD="id",
    SILENCED_SYSTEM_CHECKS=["djstripe.W002"],
    LOGGING={"version": 1, "root": {"level": "CRITICAL"}},
)

import django  # noqa: E402
from django.urls import include, path  # noqa: E402

django.setup()

import stripe  # noqa: E402

stripe.api_base = os.environ["STRIPE_API_BASE"]
stripe.api_version = os.environ["BENCH_API_VERSION"]

urlpatterns = [path("", include("djstripe.urls", namespace="djstripe"))]


def set_up() -> None:
    from django.core.management import call_command
    from djstripe.models import WebhookEndpoint

    call_command("migrate", run_syncdb=True, verbosity=0)
    WebhookEndpoint.objects.create(
        id="we_bench",
        djstripe_uuid=ENDPOINT,
        secret=os.environ["STRIPE_WEBHOOK_SECRET"],
        url="http://127.0.0.1/",
        enabled_events=["*"],
        livemode=False,
        stripe_data={"id": "we_bench", "object": "webhook_endpoint"},
    )


if __name__ == "__main__":
    set_up()
else:
    from django.core.asgi import get_asgi_application

    application = get_asgi_application()
