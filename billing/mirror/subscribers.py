"""Whose customers these are: many at once, by our own links alone."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson
from django.db import connection

from accounts.customers import METADATA_KEY, adopt_customer
from accounts.models import CustomerLink
from billing.mirror.shapes import inner
from billing.stripe_accounts import PRIMARY, StripeAccount

POINT = """
    UPDATE djstripe_customer AS customer SET subscriber_id = new.subscriber_id
    FROM jsonb_to_recordset(%s::jsonb) AS new (id text, subscriber_id bigint)
    WHERE customer.id = new.id AND customer.subscriber_id IS DISTINCT FROM new.subscriber_id
"""


def point_to_subscribers(customers: Sequence[dict[str, Any]], *, account: StripeAccount, now: datetime) -> None:
    """Point an account's mirrored customers to the organizations that they are linked to: a statement to look, one to
    write.
    """
    if not customers:
        return
    owners = subscribers_of(customers, account=account, now=now)
    rows = [{"id": customer["id"], "subscriber_id": owners.get(customer["id"])} for customer in customers]
    with connection.cursor() as cursor:
        cursor.execute(POINT, [orjson.dumps(rows).decode()])


def subscribers_of(customers: Sequence[dict[str, Any]], *, account: StripeAccount, now: datetime) -> dict[str, int]:
    """Return the organizations' keys by customer id; customers of nobody are left out.

    One statement, and more only for a customer that an intent of ours may wait for: intents call with the primary
    account's key, and what another account's customer says of itself is nothing to them.
    """
    if not customers:
        return {}
    ids = [customer["id"] for customer in customers]
    links = CustomerLink.objects.filter(customer_id__in=ids)
    linked: dict[str, int] = {
        str(customer_id): pk for customer_id, pk in links.values_list("customer_id", "organization_id")
    }
    for customer in customers:
        if account.name != PRIMARY or customer["id"] in linked:
            continue
        if inner(customer.get("metadata")).get(METADATA_KEY) and (organization := adopt_customer(customer, now=now)):
            linked[customer["id"]] = organization.pk
    return linked
