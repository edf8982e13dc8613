"""Which Stripe customer is an organization's: made at most once, found again, never guessed.

The link row is the intent. It is committed before Stripe is asked and holds the whole call (its key and its words),
so whoever repeats it, after a crash or in a race, makes the same call and gets the same customer
(Stripe docs: "Idempotent requests").

Stripe forgets a key after 24 hours, and repeats a failure under it until then. An intent that outlived its key, or
whose key only repeats a failure, might still have made a customer whose answer was lost. Before such an intent gets
a new key, the customers created in the key's time are listed and their metadata compared. Listing is exact at once;
Stripe's search lags by a minute or more (Stripe docs: "Search", "Data freshness") and would miss just the customer
that matters. The mirror need not be asked: it calls `adopt_customer` for every customer of our account that it sees.

An e-mail address is never evidence: Stripe allows any number of customers with the same one.
"""

import secrets
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import transaction
from django.dispatch import Signal
from stripe import InvalidRequestError, StripeClient, StripeError

from accounts.models import CustomerLink, Organization

METADATA_KEY = "kessai_organization"
KEY_LIFETIME = timedelta(hours=23)  # Stripe keeps keys for at least 24 hours; the last hour is our margin
SETTLING = timedelta(minutes=10)  # longer than any call we make: after it no call under an expired key is under way
CLOCK_SKEW = timedelta(hours=1)
IN_USE_PAUSES = (0.2, 0.5, 1.0, 2.0)  # seconds between attempts while another request uses the same key

# Sent in the writer's transaction when a customer has got its organization: `customer_id`.
customer_linked = Signal()


class CustomerIsSettling(Exception):
    """The organization's billing record at Stripe is being settled. Try again in ten minutes; nothing was charged."""


def ensure_customer(organization: Organization, stripe: StripeClient, *, livemode: bool, now: datetime) -> str:
    """Return the id of the organization's Stripe customer, creating the customer at most once.

    Calls Stripe only when no customer is linked yet. Must not be called inside a transaction (RuntimeError).
    Raises stripe.StripeError when Stripe refuses or cannot be reached, CustomerIsSettling in the minutes between an
    expired key and a new one; either may be tried again without double effect.
    """
    link = write_intent(organization, livemode=livemode, now=now)
    if link.customer_id:
        return link.customer_id
    if now - link.keyed_at >= KEY_LIFETIME:
        return ensure_with_an_expired_key(link, stripe, now=now)
    return create_customer(link, stripe, now=now)


def write_intent(organization: Organization, *, livemode: bool, now: datetime) -> CustomerLink:
    """Return the committed link row; the unique constraint gives every racer the same one."""
    with transaction.atomic(durable=True):
        link, _ = CustomerLink.objects.get_or_create(
            organization=organization,
            account="",
            livemode=livemode,
            defaults={
                "idempotency_key": new_key(organization),
                "keyed_at": now,
                "parameters": describe_customer(organization),
            },
        )
    return link


def new_key(organization: Organization) -> str:
    return f"create-customer:{organization.public_id}:{secrets.token_hex(8)}"


def describe_customer(organization: Organization) -> dict[str, Any]:
    return {
        "name": organization.name,
        "email": organization.billing_email,
        "metadata": {METADATA_KEY: organization.public_id},
    }


def ensure_with_an_expired_key(link: CustomerLink, stripe: StripeClient, *, now: datetime) -> str:
    if now - link.keyed_at < KEY_LIFETIME + SETTLING:
        raise CustomerIsSettling
    return find_or_start_over(link, stripe, now=now)


def create_customer(link: CustomerLink, stripe: StripeClient, *, now: datetime) -> str:
    try:
        customer_id = call_stripe(link, stripe)
    except InvalidRequestError:
        # Stripe said no before anything was made: the next attempt may say something else, under a key of its own.
        renew_key(link, now=now)
        raise
    except StripeError as error:
        if not is_replay(error):
            raise
        return find_or_start_over(link, stripe, now=now)
    return record_customer(link, customer_id, now=now)


def call_stripe(link: CustomerLink, stripe: StripeClient) -> str:
    """Make the intent's call; while another request holds its key (409), wait for that one's customer."""
    for pause in IN_USE_PAUSES:
        try:
            return post_customer(link, stripe)
        except StripeError as error:
            if error.http_status != 409:
                raise
        time.sleep(pause)
        link.refresh_from_db()
        if link.customer_id:
            return link.customer_id
    return post_customer(link, stripe)


def post_customer(link: CustomerLink, stripe: StripeClient) -> str:
    customer = stripe.v1.customers.create(
        params=link.parameters,  # type: ignore[arg-type]
        options={"idempotency_key": link.idempotency_key},
    )
    return customer.id


def is_replay(error: StripeError) -> bool:
    """Whether Stripe only repeated, under a used key, how the first call failed."""
    return (error.headers or {}).get("idempotent-replayed") == "true"


def find_or_start_over(link: CustomerLink, stripe: StripeClient, *, now: datetime) -> str:
    """Link what a lost answer may have left at Stripe, else call under a new key."""
    found = find_customer(link, stripe)
    if found:
        return record_customer(link, found, now=now)
    link = renew_key(link, now=now)
    if link.customer_id:
        return link.customer_id
    return record_customer(link, call_stripe(link, stripe), now=now)


def find_customer(link: CustomerLink, stripe: StripeClient) -> str | None:
    """Return the oldest living customer made under the link's key, by metadata, else None."""
    wanted = link.parameters["metadata"][METADATA_KEY]
    found = [customer for customer in customers_of_the_key(link, stripe) if named_organization(customer) == wanted]
    return min(found, key=lambda customer: customer["created"])["id"] if found else None


def customers_of_the_key(link: CustomerLink, stripe: StripeClient) -> Iterator[dict[str, Any]]:
    since, until = key_window(link)
    page = stripe.v1.customers.list(
        params={"limit": 100, "created": {"gte": int(since.timestamp()), "lte": int(until.timestamp())}}
    )
    for customer in page.auto_paging_iter():
        yield customer.to_dict()


def key_window(link: CustomerLink) -> tuple[datetime, datetime]:
    """The time in which a customer of this intent's key can have been created, by Stripe's clock."""
    return link.keyed_at - CLOCK_SKEW, link.keyed_at + KEY_LIFETIME + SETTLING + CLOCK_SKEW


def named_organization(customer: dict[str, Any]) -> str:
    return str((customer.get("metadata") or {}).get(METADATA_KEY, ""))


def renew_key(link: CustomerLink, *, now: datetime) -> CustomerLink:
    """Give the intent a new key and the organization's present words; of several who try, one changes the row."""
    CustomerLink.objects.filter(pk=link.pk, idempotency_key=link.idempotency_key, customer_id__isnull=True).update(
        idempotency_key=new_key(link.organization),
        keyed_at=now,
        parameters=describe_customer(link.organization),
    )
    link.refresh_from_db()
    return link


def record_customer(link: CustomerLink, customer_id: str, *, now: datetime) -> str:
    """Store the customer if none is stored; return the one that is."""
    CustomerLink.objects.filter(pk=link.pk, customer_id__isnull=True).update(
        customer_id=customer_id,
        linked_at=now,
        told_name=link.parameters.get("name", ""),
        told_email=link.parameters.get("email", ""),
    )
    link.refresh_from_db()
    customer_linked.send(CustomerLink, customer_id=link.customer_id)
    return link.customer_id or customer_id


def organization_of(customer_id: str) -> Organization | None:
    """Return whose customer this is, by the link alone."""
    link = CustomerLink.objects.select_related("organization").filter(customer_id=customer_id).first()
    return link.organization if link else None


def adopt_customer(customer: dict[str, Any], *, now: datetime) -> Organization | None:
    """Link a customer that the mirror saw, when an intent of ours waits for it; return whose customer it is.

    Metadata can be edited by anyone with access to the Stripe account. So it never re-points a link, and it counts
    only for a customer created while the intent's key was in use.
    """
    linked = organization_of(customer["id"])
    if linked or customer.get("deleted"):
        return linked
    link = waiting_link(customer)
    if link is None:
        return None
    return link.organization if record_customer(link, customer["id"], now=now) == customer["id"] else None


def waiting_link(customer: dict[str, Any]) -> CustomerLink | None:
    link = (
        CustomerLink.objects.select_related("organization")
        .filter(
            organization__public_id=named_organization(customer),
            account="",
            livemode=bool(customer.get("livemode")),
            customer_id__isnull=True,
        )
        .first()
    )
    return link if link and was_made_for(link, customer) else None


def was_made_for(link: CustomerLink, customer: dict[str, Any]) -> bool:
    since, until = key_window(link)
    return since <= datetime.fromtimestamp(customer["created"], tz=UTC) <= until
