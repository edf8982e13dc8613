"""`manage.py rotate_encryption`: seal every stored secret under the first of ENCRYPTION_KEYS."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ops.effects.destinations.rotation import rotate


class Command(BaseCommand):
    help = (
        "Seal every stored secret under the first of ENCRYPTION_KEYS. Put the new key in front of the old ones, "
        "restart every process, run this, then take the old ones away."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        done = rotate()
        self.stdout.write(f"{done.resealed:,} secrets stand under the first key.")
        if done.unreadable:
            raise CommandError(
                f"{len(done.unreadable)} can be read with none of the keys: {', '.join(done.unreadable[:20])}. "
                "Add the key that they were sealed with to ENCRYPTION_KEYS, or set them anew in the console."
            )
