"""What every page's frame needs to know of its viewer."""

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from accounts.models import Membership
from accounts.permissions import Act, may
from accounts.viewer import current_membership, memberships_of


def viewer(request: HttpRequest) -> dict[str, Any]:
    """Give templates `viewer.membership`, `viewer.organizations` and `viewer.may_…`; read only where used."""
    return {"viewer": SimpleLazyObject(lambda: describe_viewer(request))}


def describe_viewer(request: HttpRequest) -> dict[str, Any]:
    if not getattr(request, "user", None) or not request.user.is_authenticated:
        return {"membership": None, "organization": None, "memberships": [], "may": {}}
    membership: Membership | None = getattr(request, "membership", None) or current_membership(request)
    acts = {act.name.lower(): bool(membership) and may(membership.role, act) for act in Act} if membership else {}
    return {
        "membership": membership,
        "organization": membership.organization if membership else None,
        "memberships": memberships_of(request).order_by("organization__name"),
        "may": acts,
    }
