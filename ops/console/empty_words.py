"""What an empty list of the console will hold, and what brings it: by the model's label."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy

COMES: Mapping[str, Any] = {
    "billing.inboxevent": gettext_lazy("Events come by webhook, by queue and from Stripe’s events API."),
    "billing.asidemessage": gettext_lazy("Messages of the queue that are no events of ours are kept here."),
    "billing.activity": gettext_lazy("What happens to an organization’s subscription is told here."),
    "billing.checkoutorder": gettext_lazy("An order begins when somebody chooses a plan in the portal."),
    "billing.provision": gettext_lazy("The playbook Hosting builds a server when a plan that has one is paid."),
    "billing.driftcheck": gettext_lazy(
        "Every 15 minutes a sample of each kind, and all that changed lately, is compared with Stripe. "
        "To compare now, run: python manage.py drift"
    ),
    "billing.resyncrun": gettext_lazy("manage.py resync fills the mirror from Stripe; each run is kept here."),
    "ops.finding": gettext_lazy("Nothing is wrong. What needs somebody is opened here, and closed by itself."),
    "ops.rule": gettext_lazy("Add a rule here, or bring a playbook’s: manage.py playbooks apply."),
    "ops.match": gettext_lazy("Each event that a rule which is on has matched is kept here."),
    "ops.delivery": gettext_lazy("What rules call is kept here, with the answer."),
    "ops.destination": gettext_lazy("Add the address of an HTTP API here; a rule’s target can then call it."),
    "ops.connection": gettext_lazy("Add the key or password of an HTTP API here; API destinations call with it."),
    "ops.destinationrequest": gettext_lazy("Each request to an API destination is kept here, with its answer."),
    "ops.statemachine": gettext_lazy("Add a workflow here, or bring a playbook’s: manage.py playbooks apply."),
    "ops.execution": gettext_lazy("An execution begins when a rule starts its workflow."),
    "ops.playbooktrial": gettext_lazy("A backtest says whom a playbook would have touched, on the events of the past."),
    "ops.question": gettext_lazy("A workflow asks with the effect ask-customer; the answers are kept here."),
    "ops.mail": gettext_lazy("Letters that workflows have sent are kept here, word for word."),
    "ops.approval": gettext_lazy("A workflow that needs somebody’s decision asks for it here."),
    "accounts.invitation": gettext_lazy("Owners and admins invite on their organization’s page of members."),
    "auth.group": gettext_lazy("A group holds what its operators may see and do; add one, then give it to users."),
    "ops.staffact": gettext_lazy("Whatever staff does here is written down, with the reason."),
}


def what_comes(label: str) -> str:
    """The sentence for a model's lower-case label, empty where there is none."""
    return str(COMES.get(label, ""))
