"""News while it happens: server-sent events of one organization's activities."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial

from asgiref.sync import sync_to_async
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.views.decorators.http import require_safe

from accounts.models import Organization
from accounts.permissions import Act, may
from accounts.viewer import find_membership
from billing.activity.stream import Above, stream
from billing.numerals import whole_number
from billing.views.covering import mark_of_cover

LONGEST_SECONDS = 300.0  # then the browser connects anew, and whoever is no longer a member is turned away


@require_safe
async def live(request: HttpRequest, organization_id: str) -> HttpResponseBase:
    """Stream what happens from now on, or from after the `Last-Event-ID` that a reconnecting browser sends."""
    user = await request.auser()
    if not user.is_authenticated:
        raise PermissionDenied
    membership = await sync_to_async(find_membership)(request, organization_id)
    if not may(membership.role, Act.SEE_BILLING):
        raise PermissionDenied
    last_id, mark = read_place(request)
    above = None if mark is None else await sync_to_async(above_of)(membership.organization, mark)
    response = StreamingHttpResponse(
        for_a_while(stream(membership.organization_id, last_id, above=above), LONGEST_SECONDS),
        content_type="text/event-stream",
    )
    response["Cache-Control"] = "no-cache, no-transform"
    response["X-Accel-Buffering"] = "no"
    return response


def read_place(request: HttpRequest) -> tuple[int | None, str | None]:
    """Return where the browser left off: by header, by `?last_id=`, by the page's own `?after=`.

    That is the last activity it knows, None for nonsense; and the mark of what it shows from above, None if nothing.
    """
    value = request.headers.get("Last-Event-ID") or request.GET.get("last_id") or request.GET.get("after", "")
    last_id, dash, mark = value.partition("-")
    return whole_number(last_id), mark if dash else None


def above_of(organization: Organization, mark: str) -> Above:
    """Let a stream look at what the overview shows of the organizations above."""
    return Above(tuple(each.pk for each in organization.ancestors()), partial(mark_of_cover, organization.pk), mark)


async def for_a_while(frames: AsyncIterator[bytes], seconds: float) -> AsyncIterator[bytes]:
    """Pass frames on and end the response in order after `seconds`; heartbeats make the clock looked at."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    async for frame in frames:
        yield frame
        if loop.time() > until:
            return
