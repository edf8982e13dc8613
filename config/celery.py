"""The Celery application. Messages only say "look now"; the rows say what is to be done."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("kessai")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
