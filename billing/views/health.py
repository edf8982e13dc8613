"""For load balancers, Prometheus and people on call: does it live, can it work, what does it count."""

import hmac
from ipaddress import ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST

from billing.exposition import exposition
from billing.readiness import read_readiness


@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """Answer 200: this process lives. Whoever restarts processes asks here; another process's trouble is not its."""
    return HttpResponse("ok\n", content_type="text/plain; charset=utf-8")


@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Answer 200 when this process can do its work, else 503; either way say what is missing.

    Whoever sends traffic asks here. Without Redis it is degraded and goes on.
    """
    state = read_readiness()
    told = {
        "ready": state.ready,
        "degraded": state.degraded,
        "database": state.database,
        "migrations": state.migrations,
        "redis": state.redis,
    }
    return JsonResponse(told, status=200 if state.ready else 503)


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer with every number, for those who may know: 404 where nobody was allowed, 401 without the token."""
    if not may_know(request):
        if not settings.METRICS_TOKEN:
            return HttpResponse(status=404)
        return HttpResponse(status=401, headers={"WWW-Authenticate": "Bearer"})
    return HttpResponse(exposition(timezone.now()), content_type=CONTENT_TYPE_LATEST)


def may_know(request: HttpRequest) -> bool:
    """Whether it asks with our token, or from a network that may. Behind a proxy the address is the proxy's."""
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if settings.METRICS_TOKEN and hmac.compare_digest(given.encode(), settings.METRICS_TOKEN.encode()):
        return True
    return any(is_within(request.META.get("REMOTE_ADDR", ""), network) for network in settings.METRICS_NETWORKS)


def is_within(address: str, network: str) -> bool:
    try:
        return ip_address(address) in ip_network(network)
    except ValueError:  # a socket has no address
        return False
