"""Make the operators' groups: Support, Finance, On-call."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from ops.console.groups import write_groups


class Command(BaseCommand):
    help = "Make the console's groups Support, Finance and On-call, or give them the permissions that they lack."

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        try:
            written = write_groups()
        except LookupError as error:
            raise CommandError(str(error)) from error
        for name, count in written.items():
            self.stdout.write(f"{name}: {count} permissions")
