from collections.abc import Iterator

from django.db import connection
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver


def test_the_database_is_postgresql(db: None) -> None:
    assert connection.vendor == "postgresql"


def test_the_webhook_view_of_djstripe_is_not_reachable() -> None:
    """It calls Stripe back inside the request and stores forgeries; ours is the only one."""
    callbacks = {pattern.callback.__module__ for pattern in every_pattern(get_resolver()) if pattern.callback}
    assert "billing.inbox.webhook" in callbacks
    assert not {module for module in callbacks if module.startswith("djstripe")}


def every_pattern(resolver: URLResolver) -> Iterator[URLPattern]:
    for entry in resolver.url_patterns:
        if isinstance(entry, URLResolver):
            yield from every_pattern(entry)
        else:
            yield entry


def test_a_webhook_address_without_its_last_slash_is_no_redirect(client: Client) -> None:
    assert client.post("/webhooks/stripe", b"{}", content_type="application/json").status_code == 400
