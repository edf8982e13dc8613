"""Celery as it is deployed, but that what a dead worker held falls free after seconds. Run as `python -m` with its
arguments.
"""

import sys
from datetime import timedelta

import django

django.setup()

from celery.__main__ import main  # noqa: E402 - after the setup

from billing.inbox import claim  # noqa: E402
from billing.mirror import failing  # noqa: E402
from ops.workflows import calls  # noqa: E402

claim.LEASE = timedelta(seconds=6)
calls.LEASE = timedelta(seconds=10)
failing.LONGEST_OUTAGE_WAIT = timedelta(seconds=4)

if __name__ == "__main__":
    sys.argv[0] = "celery"
    main()
