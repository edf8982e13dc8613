"""The Celery application. Messages only say "look now"; the rows say what is to be done."""

import os

from celery import Celery
from celery.signals import setup_logging, worker_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("kessai")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def keep_logging(**_options: object) -> None:
    """Leave logs as the settings have them: Celery's own setup writes our lines as Python's dictionaries."""


@worker_init.connect
def tell_numbers(**_options: object) -> None:
    """Let Prometheus ask this worker, where it is told to."""
    from django.conf import settings

    from billing.exposition import serve_counted

    if settings.METRICS_WORKER_PORT:
        serve_counted(settings.METRICS_WORKER_PORT)
