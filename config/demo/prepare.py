"""The demo's work that needs Django, each part a process of its own: `python -m config.demo.prepare PART`."""

import os
import sys

import django
from django.core.management import call_command
from django.db import connection

from config.translations import compile_translations


def prepare_schema() -> None:
    """Bring the database to the present schema."""
    from billing.mirror.schema import prepare_database

    prepare_database(connection, verbosity=0)


def prepare_files() -> None:
    """Collect static files under their hashed names and compile the translations."""
    compile_translations()
    call_command("collectstatic", interactive=False, verbosity=0)


PARTS = {"schema": prepare_schema, "files": prepare_files}

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    PARTS[sys.argv[1]]()
