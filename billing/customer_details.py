"""An organization's name and billing address at Stripe, where they stand on invoices.

The link row knows what Stripe has heard; whatever differs is told. So a change is told once, a lost message is found
by the beat, and a crash between call and record only says the same again.
"""

import stripe
import structlog
from django.conf import settings
from django.db.models import F, Q, QuerySet

from accounts.models import CustomerLink
from billing.locks import named_lock

log = structlog.get_logger(__name__)

MOST = 100  # links told in one go; the beat comes back for more


def tell_stripe(client: stripe.StripeClient) -> int:
    """Tell Stripe every name and address it has not heard yet; return how many customers were told.

    Must not be called inside a transaction. A customer that Stripe refuses is left for the next time.
    """
    told = 0
    for link in links_to_tell()[:MOST]:
        try:
            told += tell_one(link, client)
        except stripe.APIConnectionError:
            log.warning("customer-details:unreachable")
            break
        except stripe.StripeError as error:
            log.warning("customer-details:refused", customer=link.customer_id, error=type(error).__name__)
    return told


def links_to_tell() -> QuerySet[CustomerLink]:
    heard = Q(told_name=F("organization__name"), told_email=F("organization__billing_email"))
    return CustomerLink.objects.filter(
        ~heard, customer_id__isnull=False, account="", livemode=settings.STRIPE_LIVE_MODE
    ).order_by("pk")


def tell_one(link: CustomerLink, client: stripe.StripeClient) -> bool:
    """Tell one customer's details under a lock, so that an older name never arrives after a newer one."""
    with named_lock(f"customer-details:{link.pk}"):
        current = links_to_tell().select_related("organization").filter(pk=link.pk).first()
        if current is None or not current.customer_id:
            return False
        name, email = current.organization.name, current.organization.billing_email
        client.v1.customers.update(current.customer_id, params={"name": name, "email": email})
        CustomerLink.objects.filter(pk=link.pk).update(told_name=name, told_email=email)
    return True
