"""Access as an operator reads it: the state, and the fact that decides."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from billing.entitlements.access import Access, State, Why
from ops.console.display import Tone

STATES: Mapping[str, tuple[Any, Tone]] = {
    State.ACTIVE: (pgettext_lazy("access", "Active"), Tone.GOOD),
    State.GRACE: (pgettext_lazy("access", "Grace"), Tone.WAITING),
    State.SUSPENDED: (pgettext_lazy("access", "Suspended"), Tone.ATTENTION),
    State.REVOKED: (pgettext_lazy("access", "Revoked"), Tone.STOPPED),
}
REASONS: Mapping[str, Any] = {
    Why.PAID: gettext_lazy("It is paid for."),
    Why.TRIAL: gettext_lazy("It is on trial."),
    Why.PAYMENT_FAILED: gettext_lazy("A payment failed; access goes on meanwhile."),
    Why.UNPAID: gettext_lazy("Stripe has stopped trying to collect."),
    Why.PAUSED: gettext_lazy("The trial ended without a payment method."),
    Why.NOT_PAID_YET: gettext_lazy("The first payment has not succeeded."),
    Why.ENDED: gettext_lazy("The subscription has ended."),
    Why.NO_PLAN: gettext_lazy("There is no subscription."),
    Why.UNKNOWN: gettext_lazy("Stripe reports a status that is not known here."),
}


def reason_of(access: Access) -> str:
    if access.why is Why.SUSPENDED:
        return _("%(who)s suspended it.") % {"who": access.by}
    return str(REASONS[access.why])
