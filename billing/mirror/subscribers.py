"""Whose customers these are: many at once, by our own links alone."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from accounts.customers import METADATA_KEY, adopt_customer
from accounts.models import CustomerLink


def subscribers_of(customers: Sequence[dict[str, Any]], *, now: datetime) -> dict[str, int]:
    """Return the organizations' keys by customer id; customers of nobody are left out.

    One statement, and more only for a customer that an intent of ours may wait for.
    """
    if not customers:
        return {}
    ids = [customer["id"] for customer in customers]
    links = CustomerLink.objects.filter(customer_id__in=ids)
    linked: dict[str, int] = {
        str(customer_id): pk for customer_id, pk in links.values_list("customer_id", "organization_id")
    }
    for customer in customers:
        if customer["id"] not in linked and (customer.get("metadata") or {}).get(METADATA_KEY):
            organization = adopt_customer(customer, now=now)
            if organization:
                linked[customer["id"]] = organization.pk
    return linked
