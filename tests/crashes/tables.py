"""Make the portal's tables in an empty database as they stand now, without the migrations that led to them.

Run as `python -m tests.crashes.tables`. That migrations lead to the same is seen elsewhere (`test_schema.py`).
"""

import django

django.setup()

from django.apps import apps  # noqa: E402 - after the setup
from django.conf import settings  # noqa: E402
from django.core.management import call_command  # noqa: E402


def main() -> None:
    settings.MIGRATION_MODULES = {app.label: None for app in apps.get_app_configs()}
    call_command("migrate", run_syncdb=True, verbosity=0)


if __name__ == "__main__":
    main()
