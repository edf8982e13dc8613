"""Which organization a request is about, and whether the viewer may see it or act on it."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate
from urllib.parse import urlsplit, urlunsplit

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponseBase
from django.utils.http import url_has_allowed_host_and_scheme

from accounts.models import Membership, Organization
from accounts.permissions import Act, may

CURRENT_ORGANIZATION = "current_organization"  # session key: the organization last looked at


class OrganizationRequest(HttpRequest):
    """A request that `organization_page` let through: the viewer is a member of `organization`."""

    organization: Organization
    membership: Membership


OrganizationView = Callable[Concatenate[OrganizationRequest, ...], HttpResponseBase]


def organization_page(act: Act) -> Callable[[OrganizationView], Callable[..., HttpResponseBase]]:
    """Decorate a view of `/o/<organization_id>/…`: sign-in first, 404 for outsiders, 403 for a role too small.

    An organization that exists and one that does not answer outsiders alike, so that ids tell nothing.
    """

    def decorate(view: OrganizationView) -> Callable[..., HttpResponseBase]:
        @wraps(view)
        def guarded(request: Any, organization_id: str, **kwargs: Any) -> HttpResponseBase:
            if not request.user.is_authenticated:
                return redirect_to_login(page_to_come_back_to(request))
            membership = find_membership(request, organization_id)
            # The page that refuses is one of this organization's too.
            request.membership, request.organization = membership, membership.organization
            if not may(membership.role, act):
                raise PermissionDenied
            remember_organization(request, membership.organization)
            return view(request, **kwargs)

        return guarded

    return decorate


def page_to_come_back_to(request: HttpRequest) -> str:
    """Where sign-in leads on to: the page that was asked for. Who sent a form after their session had ended comes back
    to the page that it stands on: the form's own address is no page.
    """
    if request.method in ("GET", "HEAD"):
        return request.get_full_path()
    came_from = request.headers.get("Referer", "")
    if not url_has_allowed_host_and_scheme(came_from, request.get_host(), require_https=request.is_secure()):
        return "/"
    return urlunsplit(("", "", *urlsplit(came_from)[2:]))


def find_membership(request: HttpRequest, organization_id: str) -> Membership:
    try:
        return memberships_of(request).get(organization__public_id=organization_id)
    except Membership.DoesNotExist as error:
        raise Http404 from error


def remember_organization(request: HttpRequest, organization: Organization) -> None:
    """Keep which organization the viewer looks at; writes the session only when that changes."""
    if request.session.get(CURRENT_ORGANIZATION) != organization.public_id:
        request.session[CURRENT_ORGANIZATION] = organization.public_id


def current_membership(request: HttpRequest) -> Membership | None:
    """Return the viewer's membership in the organization last looked at, else in the first joined, else None."""
    memberships = list(memberships_of(request).order_by("created_at", "pk"))
    wanted = request.session.get(CURRENT_ORGANIZATION)
    for membership in memberships:
        if membership.organization.public_id == wanted:
            return membership
    return memberships[0] if memberships else None


def memberships_of(request: HttpRequest) -> QuerySet[Membership]:
    if not request.user.is_authenticated:
        return Membership.objects.none()
    return Membership.objects.select_related("organization").filter(user=request.user)
