"""Start a refund workflow for each invoice named in its arguments: an operator's script in a portal under load."""

import json
import sys

import django

django.setup()

from django.db import transaction  # noqa: E402 - after the setup
from django.utils import timezone  # noqa: E402

from ops.workflows.machines import save_version  # noqa: E402
from ops.workflows.start import start  # noqa: E402
from tests.crashes.refunding import REFUND  # noqa: E402


def main() -> None:
    machine = save_version("refund", json.dumps(REFUND), reason="a test", now=timezone.now()).machine
    with transaction.atomic():
        for invoice in sys.argv[1:]:
            start(machine, f"refund-{invoice}", {"invoice": invoice}, now=timezone.now())


if __name__ == "__main__":
    main()
