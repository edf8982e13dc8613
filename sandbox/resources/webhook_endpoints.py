"""Webhook endpoints. The secret is shown once, when the endpoint is made."""

from typing import Any
from urllib.parse import urlsplit

from sandbox import objects, webhooks
from sandbox.context import Context
from sandbox.documents import merge_metadata
from sandbox.errors import ApiError
from sandbox.event_types import EVENT_TYPES, THIN
from sandbox.kinds import Doc
from sandbox.pagination import list_page, paging
from sandbox.params import Array, Bool, Enum, Ignored, Metadata, Param, Str
from sandbox.routes import route

EVENTS = Array(Enum("*", *EVENT_TYPES, *THIN), required=True)
COMMON: dict[str, Param] = {"description": Str(unset=True), "metadata": Metadata()}
CREATE = COMMON | {
    "api_version": Str(),
    "connect": Ignored(),
    "enabled_events": EVENTS,
    "url": Str(required=True),
}
UPDATE = COMMON | {"disabled": Bool(), "enabled_events": Array(EVENTS.item), "url": Str()}


@route("POST", "/v1/webhook_endpoints", params=CREATE)
def create_webhook_endpoint(ctx: Context, params: dict[str, Any]) -> Doc:
    """Create a webhook endpoint"""
    secret = webhooks.new_secret()
    return new_endpoint(ctx, params, secret) | {"secret": secret}


def new_endpoint(ctx: Context, params: dict[str, Any], secret: str) -> Doc:
    """An endpoint that signs with the given secret."""
    _check_url(params["url"])
    return objects.create(
        ctx,
        "webhook_endpoint",
        {
            "api_version": params.get("api_version"),
            "application": None,
            "description": params.get("description"),
            "enabled_events": params["enabled_events"],
            "metadata": merge_metadata({}, params.get("metadata")),
            "status": "enabled",
            "url": params["url"],
            "_secrets": [{"secret": secret, "expires_at": None}],
        },
    )


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ApiError(
            "Invalid URL: An explicit scheme (such as https) must be provided.",
            code="url_invalid",
            param="url",
        )


@route("GET", "/v1/webhook_endpoints", params=paging())
def list_webhook_endpoints(ctx: Context, params: dict[str, Any]) -> Doc:
    """List webhook endpoints"""
    return list_page(ctx, "webhook_endpoint", params)


@route("GET", "/v1/webhook_endpoints/{id}")
def retrieve_webhook_endpoint(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Retrieve a webhook endpoint"""
    return objects.load(ctx, "webhook_endpoint", id, in_path=True)


@route("POST", "/v1/webhook_endpoints/{id}", params=UPDATE)
def update_webhook_endpoint(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Update, disable or enable a webhook endpoint"""
    endpoint = objects.load(ctx, "webhook_endpoint", id, in_path=True)
    if "disabled" in params:
        params["status"] = "disabled" if params.pop("disabled") else "enabled"
    if "url" in params:
        _check_url(params["url"])
    if "metadata" in params:
        params["metadata"] = merge_metadata(endpoint["metadata"], params["metadata"])
    return objects.update(ctx, endpoint, params)


@route("DELETE", "/v1/webhook_endpoints/{id}")
def delete_webhook_endpoint(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Delete a webhook endpoint"""
    return objects.delete(ctx, objects.load(ctx, "webhook_endpoint", id, in_path=True))
