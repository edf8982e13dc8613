"""What each effect does, in a sentence for operators and in their language."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy

from ops.effects.registry import Effect

WORDS: Mapping[str, Any] = {
    "suspend-access": gettext_lazy("Lets a customer's access rest."),
    "restore-access": gettext_lazy("Brings a customer's access back."),
    "ask-approval": gettext_lazy("Asks operators, and waits for their answer."),
    "ask-customer": gettext_lazy("Asks a customer by mail, and waits for the first answer."),
    "foretell": gettext_lazy("Lets the account page say beforehand what this workflow will do."),
    "send-email": gettext_lazy("Sends a letter to those who see to billing, each in their language."),
    "begin-provision": gettext_lazy("Begins what a subscription has at AWS, once."),
    "set-provision": gettext_lazy("Says how what a subscription has at AWS stands."),
    "look-at-provision": gettext_lazy("Tells how what a subscription has at AWS stands, and how it should."),
    "create-stack": gettext_lazy("Begins to build a stack."),
    "describe-stack": gettext_lazy("Asks AWS how a stack stands."),
    "delete-stack": gettext_lazy("Begins to take a stack down."),
    "start-instance": gettext_lazy("Starts an instance."),
    "stop-instance": gettext_lazy("Stops an instance, which keeps its disks."),
    "publish-activity": gettext_lazy("Tells the organization on its account page."),
    "open-finding": gettext_lazy("Opens a finding for operators."),
    "close-finding": gettext_lazy("Closes the finding that was opened for a subject."),
    "refund-invoice": gettext_lazy("Gives back what an invoice was paid with, once."),
    "credit-customer": gettext_lazy("Credits a customer's balance, once."),
    "void-invoice": gettext_lazy("Voids an open invoice."),
    "pay-invoice": gettext_lazy("Tries to collect an open invoice."),
    "cancel-subscription": gettext_lazy("Cancels a subscription."),
    "pause-subscription": gettext_lazy("Collects nothing for a subscription for a while."),
    "resume-subscription": gettext_lazy("Collects again for a subscription that was paused."),
    "change-plan": gettext_lazy("Changes the price of a subscription."),
    "apply-coupon": gettext_lazy("Gives a subscription a coupon, once."),
    "extend-trial": gettext_lazy("Lets a trial go on until a day."),
    "update-customer": gettext_lazy("Sets values in a customer's metadata."),
}


def effect_words(effect: Effect | None) -> str:
    """What an effect does; of one that has no words here, what its own documentation begins with."""
    if effect is None:
        return ""
    return str(WORDS.get(effect.name) or effect.meaning.partition("\n")[0])
