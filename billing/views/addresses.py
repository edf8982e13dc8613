"""Addresses that leave the site: absolute, from the settings, so that no Host header can bend them."""

from typing import Any

from django.conf import settings
from django.urls import reverse

from accounts.models import Organization
from billing.activity.feed import newest_id
from billing.checkout.orders import CheckoutUrls


def absolute(name: str, organization: Organization) -> str:
    return f"{settings.SITE_URL}{reverse(name, args=[organization.public_id])}"


def checkout_urls(organization: Organization) -> CheckoutUrls:
    """Where Stripe sends the viewer back to; the placeholder must stay unescaped for Stripe to fill it."""
    return CheckoutUrls(
        success=absolute("billing:checkout_return", organization) + "?session={CHECKOUT_SESSION_ID}",
        cancel=absolute("billing:plans", organization) + "?left=1",
    )


def live_url(organization: Organization) -> str:
    """Where the news is that comes after what a page shows. Ask before the page reads: so nothing falls between."""
    return f"{local('billing:live', organization)}?after={newest_id(organization.pk)}"


def local(name: str, organization: Organization, **kwargs: Any) -> str:
    return reverse(name, kwargs={"organization_id": organization.public_id, **kwargs})
