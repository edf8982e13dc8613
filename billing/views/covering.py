"""Who pays for whom, as the pages of both tell it: with a link for those who belong to the other one too."""

from dataclasses import dataclass
from hashlib import sha256

from accounts.models import Organization
from accounts.viewer import OrganizationRequest, memberships_of
from billing.entitlements.access import State
from billing.entitlements.resolve import covered_by
from billing.thread.load import cover_shown, load_cover
from billing.thread.situation import CoverFacts
from billing.views.addresses import local


@dataclass(frozen=True)
class Payer:
    """The organization above whose subscription covers this one; `url` is empty for who does not belong to it."""

    cover: CoverFacts
    url: str


@dataclass(frozen=True)
class Covered:
    """An organization below that this one's subscription covers; `url` is empty for who does not belong to it."""

    name: str
    url: str


def payer_of(request: OrganizationRequest) -> Payer | None:
    """Return whose subscription serves an organization without a living one of its own; None where nobody's does."""
    cover = load_cover(request.organization)
    if cover is None or cover.state is State.SUSPENDED:
        return None
    return describe_payer(request, cover)


def describe_payer(request: OrganizationRequest, cover: CoverFacts) -> Payer:
    return Payer(cover, overviews_of(request).get(cover.payer_id, ""))


def describe_covered(request: OrganizationRequest) -> list[Covered]:
    found = covered_by(request.organization)
    urls = overviews_of(request) if found else {}
    return [Covered(each.name, urls.get(each.public_id, "")) for each in found]


def mark_of_cover(organization_pk: int) -> str:
    """Return the mark of what the organization's overview shows now of the one that pays for it."""
    organization = Organization.objects.filter(pk=organization_pk).first()
    return mark_of(cover_shown(organization) if organization else None)


def mark_of(cover: CoverFacts | None) -> str:
    """Stand in a few letters for what a page tells of a cover, to know it again; empty where it tells of none."""
    return sha256(repr(cover).encode()).hexdigest()[:16] if cover else ""


def overviews_of(request: OrganizationRequest) -> dict[str, str]:
    """The overviews of the viewer's organizations, by public id."""
    organizations = [membership.organization for membership in memberships_of(request)]
    return {each.public_id: local("billing:overview", each) for each in organizations}
