"""The models of billing's rooms, gathered where Django looks for them."""

from billing.activity.models import Activity
from billing.checkout.models import CheckoutOrder, OrderState
from billing.inbox.models import Door, InboxEvent, InboxState

__all__ = ["Activity", "CheckoutOrder", "Door", "InboxEvent", "InboxState", "OrderState"]
