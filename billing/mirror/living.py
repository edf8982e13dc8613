"""What no longer is, is not read: dj-stripe's managers of what belongs to something else leave out what is marked gone.

The mirror deletes no row (`tables.mark_gone`): lines of old invoices point to items that were removed since. But
`subscription.items.all()` must mean the items that the subscription has. `_base_manager`, which Django follows foreign
keys with, and dj-stripe's own `stripe_objects` still see every row; so do customers', products' and prices' managers,
whose old rows give names to history.
"""

from typing import Any

from django.db import models
from djstripe import models as djstripe

PARTS = (
    djstripe.SubscriptionItem,
    djstripe.Discount,
    djstripe.TaxId,
    djstripe.ProductFeature,
    djstripe.ActiveEntitlement,
)


class Living(models.Manager[Any]):
    """Rows that are not marked as gone at Stripe."""

    def get_queryset(self) -> models.QuerySet[Any]:
        return super().get_queryset().exclude(stripe_data__contains={"deleted": True})


def leave_out_what_is_gone() -> None:
    """Give the models their managers, once, when Django starts."""
    for model in PARTS:
        model.add_to_class("objects", Living())
