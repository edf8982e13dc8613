"""What somebody who has a plan reads where plans are sold: how it stands, and how they come to another one.

One plan is not changed into another here yet. So what is said is what can be done: settle it, take the cancellation
back, or cancel and begin with another one afterwards.
"""

from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _

from billing.mirror import querysets
from billing.mirror.facts import SubscriptionFacts, SubscriptionStatus
from billing.subscriptions.cancel import can_cancel
from billing.thread.present import name_of_items
from billing.thread.shapes import ATTENTION, GOOD, WAITING
from billing.thread.words import day_words


@dataclass(frozen=True)
class Standing:
    """The notice: its meaning, its sentences, and whether the plan can be cancelled as it stands."""

    tone: str
    title: str
    text: str
    can_cancel: bool


def standing_of(living: SubscriptionFacts, *, now: datetime, language: str) -> Standing:
    tone, title, text = say_standing(living, name_of(living), now=now, language=language)
    return Standing(tone, title, text, can_cancel(living))


def name_of(subscription: SubscriptionFacts) -> str:
    """Return the name of what is subscribed, for a sentence."""
    names = querysets.product_names({item.product_id for item in subscription.items})
    return name_of_items(subscription, names) or _("Your subscription")


def say_standing(living: SubscriptionFacts, plan: str, *, now: datetime, language: str) -> tuple[str, str, str]:
    words = {"plan": plan}
    if living.status is SubscriptionStatus.INCOMPLETE:
        return (
            WAITING,
            _("The first payment for %(plan)s is not complete.") % words,
            _(
                "The overview says how to complete it. If you would rather have another plan, cancel %(plan)s: it ends "
                "at once, and you can choose again."
            )
            % words,
        )
    if living.status in (SubscriptionStatus.PAST_DUE, SubscriptionStatus.UNPAID):
        return (
            ATTENTION,
            _("A payment for %(plan)s is open.") % words,
            _(
                "The overview says what happened and how to settle it. You can begin with another plan once %(plan)s "
                "has ended."
            )
            % words,
        )
    end = living.ends_at or living.last_period_end
    if end is None or living.status is SubscriptionStatus.PAUSED:
        return (
            GOOD,
            _("%(plan)s is your plan.") % words,
            _("The overview shows how it stands. You can begin with another plan once %(plan)s has ended.") % words,
        )
    words["day"] = day_words(end, now=now, language=language)
    if living.ends_at:
        return (
            WAITING,
            _("%(plan)s is your plan until %(day)s.") % words,
            _(
                "After that you can begin with any plan. If you would rather keep %(plan)s, the overview "
                "takes the cancellation back."
            )
            % words,
        )
    return (
        GOOD,
        _("%(plan)s is your plan.") % words,
        _(
            "It cannot be changed into another one here yet. To go over to another plan, cancel %(plan)s: it goes on "
            "until %(day)s, and after that you can begin with any plan."
        )
        % words,
    )
