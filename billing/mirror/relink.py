"""The read model's organizations follow the customer links: whoever links a customer later is told here."""

from typing import Any

from django.db import connection
from django.db.models.signals import post_save

from accounts.customers import customer_linked
from accounts.models import CustomerLink
from billing.mirror.readmodel import TABLES


def follow_links() -> None:
    """Listen for customer links, once, when Django starts."""
    customer_linked.connect(when_linked, dispatch_uid="read model")
    post_save.connect(when_saved, sender=CustomerLink, dispatch_uid="read model")


def when_linked(sender: Any, *, customer_id: str | None, **kwargs: Any) -> None:
    if customer_id:
        relink(customer_id)


def when_saved(sender: Any, *, instance: CustomerLink, raw: bool, **kwargs: Any) -> None:
    if instance.customer_id and not raw:
        relink(instance.customer_id)


def relink(customer_id: str) -> None:
    """Give a customer's rows the organization that the customer is linked to now."""
    for table in TABLES.values():
        name = table.model._meta.db_table
        with connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE {name} AS row SET organization_id = link.organization_id "  # noqa: S608 - as above
                "FROM accounts_customerlink AS link WHERE link.customer_id = row.customer_id "
                "AND row.customer_id = %s AND row.organization_id IS DISTINCT FROM link.organization_id",
                [customer_id],
            )
