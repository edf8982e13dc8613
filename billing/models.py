"""The models of billing's rooms, gathered where Django looks for them."""

from billing.activity.models import Activity
from billing.checkout.models import CheckoutOrder, OrderState
from billing.entitlements.models import Outlook, Suspension
from billing.inbox.models import AsideMessage, Door, EventForm, InboxEvent, InboxState, PollCursor, PollState
from billing.mirror.history import DriftCheck, DriftDifference, ListedParent, ResyncNote, ResyncPart, ResyncRun
from billing.mirror.models import MirrorGate, SilentChange
from billing.mirror.raw import RawObject
from billing.mirror.readtables import InvoiceRow, SubscriptionRow
from billing.provisioning.models import Provision
from billing.retention.models import ArchivedHour, ArchivePart

__all__ = [
    "Activity",
    "ArchivePart",
    "ArchivedHour",
    "AsideMessage",
    "CheckoutOrder",
    "Door",
    "DriftCheck",
    "DriftDifference",
    "EventForm",
    "InboxEvent",
    "InboxState",
    "InvoiceRow",
    "ListedParent",
    "MirrorGate",
    "OrderState",
    "Outlook",
    "PollCursor",
    "PollState",
    "Provision",
    "RawObject",
    "ResyncNote",
    "ResyncPart",
    "ResyncRun",
    "SilentChange",
    "SubscriptionRow",
    "Suspension",
]
