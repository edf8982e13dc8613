"""Addresses that leave the site: absolute, from the settings, so that no Host header can bend them."""

from typing import Any

from django.conf import settings
from django.urls import reverse

from accounts.models import Organization
from billing.checkout.orders import CheckoutUrls


def absolute(name: str, organization: Organization) -> str:
    return settings.SITE_URL + reverse(name, args=[organization.public_id])


def checkout_urls(organization: Organization) -> CheckoutUrls:
    """Where Stripe sends the viewer back to; the placeholder must stay unescaped for Stripe to fill it."""
    return CheckoutUrls(
        success=absolute("billing:checkout_return", organization) + "?session={CHECKOUT_SESSION_ID}",
        cancel=absolute("billing:plans", organization) + "?left=1",
    )


def local(name: str, organization: Organization, **kwargs: Any) -> str:
    return reverse(name, kwargs={"organization_id": organization.public_id, **kwargs})
