"""The models of billing's rooms, gathered where Django looks for them."""

from billing.activity.models import Activity
from billing.checkout.models import CheckoutOrder, OrderState
from billing.inbox.models import Door, InboxEvent, InboxState
from billing.mirror.models import MirrorGate

__all__ = ["Activity", "CheckoutOrder", "Door", "InboxEvent", "InboxState", "MirrorGate", "OrderState"]
