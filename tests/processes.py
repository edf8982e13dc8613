"""Processes of the portal beside the test: workers that live, and workers that are killed."""

import os

from django.conf import settings as django_settings
from django.db import connection


def portal_environment() -> dict[str, str]:
    """What another process of the portal needs to meet this test's database and Stripe."""
    server = os.environ["DATABASE_URL"].rpartition("/")[0]
    return os.environ | {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DATABASE_URL": f"{server}/{connection.settings_dict['NAME']}",
        "STRIPE_SECRET_KEY": django_settings.STRIPE_SECRET_KEY,
        "STRIPE_API_BASE": django_settings.STRIPE_API_BASE,
    }
