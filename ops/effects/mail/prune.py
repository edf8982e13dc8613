"""The outbox is kept as long as the setting says; what is to be sent, or was refused and waits for a person, stays."""

import time
from datetime import datetime, timedelta

from django.conf import settings

from ops.effects.mail.models import Mail, MailState

AT_ONCE = 1_000
SETTLED = (MailState.SENT, MailState.ASIDE)


def prune(*, now: datetime, budget_seconds: float) -> int:
    """Delete settled mails that are older than they are kept; return how many."""
    end, total = time.monotonic() + budget_seconds, 0
    while settings.MAIL_KEEP_DAYS > 0 and time.monotonic() < end:
        old = Mail.objects.filter(state__in=SETTLED, written_at__lt=now - timedelta(days=settings.MAIL_KEEP_DAYS))
        pks = list(old.order_by("written_at").values_list("pk", flat=True)[:AT_ONCE])
        # Asked again at the deletion: an operator may have sent one again meanwhile.
        total += Mail.objects.filter(pk__in=pks, state__in=SETTLED).delete()[0]
        if len(pks) < AT_ONCE:
            break
    return total
