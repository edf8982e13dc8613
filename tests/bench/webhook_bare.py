"""A bare Django view, as quick as one can write it: verify, one committed insert, answer. No middleware; pooled
connections. What our door is compared with."""

import json
import os
from urllib.parse import unquote

import environ
import stripe
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.urls import path

DATABASE = environ.Env().db_url("DATABASE_URL")
DATABASE["HOST"] = unquote(DATABASE["HOST"])
DATABASE["OPTIONS"] = {"pool": {"min_size": 4, "max_size": 32}}
settings.configure(
    SECRET_KEY="bench",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    DATABASES={"default": DATABASE},
    MIDDLEWARE=[],
    USE_TZ=True,
)
TABLE = """
    CREATE TABLE IF NOT EXISTS bench_event (
        id bigserial PRIMARY KEY, external_id text UNIQUE, type text, payload jsonb, received_at timestamptz)
"""
INSERT = """
    INSERT INTO bench_event (external_id, type, payload, received_at) VALUES (%s, %s, %s, now())
    ON CONFLICT (external_id) DO NOTHING
"""


def take(request: HttpRequest) -> HttpResponse:
    body = request.body.decode()
    signature = request.headers["Stripe-Signature"]
    stripe.WebhookSignature.verify_header(body, signature, os.environ["STRIPE_WEBHOOK_SECRET"], 300)
    event = json.loads(body)
    with connection.cursor() as cursor:
        cursor.execute(INSERT, [event["id"], event["type"], body])
    return HttpResponse("Stored.")


urlpatterns = [path("", take)]
application = get_asgi_application()

if __name__ == "__main__":
    with connection.cursor() as cursor:
        cursor.execute(TABLE)
