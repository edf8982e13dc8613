"""What the demo's pages say beside the portal's own: where its mail is read and where its Stripe answers."""

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse


def signposts(_request: HttpRequest) -> dict[str, dict[str, str]]:
    """Give templates `demo.mail_url` and `demo.stripe_url`; the demo alone has this context processor."""
    return {"demo": {"mail_url": reverse("mail:box"), "stripe_url": settings.STRIPE_API_BASE}}
