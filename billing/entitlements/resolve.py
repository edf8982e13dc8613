"""What an organization may do now, read from the mirror. Product views and the API ask here.

if not access_of(organization).granted: …

@needs_access                        # a view of /o/<organization_id>/… that only serves while access is granted
@organization_page(Act.SEE_BILLING)
def reports(request): …
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

from django.http import HttpResponseBase
from django.shortcuts import redirect

from accounts.models import Organization
from accounts.viewer import OrganizationRequest
from billing.entitlements.access import Access, State, SuspensionFacts, access_from
from billing.entitlements.models import Suspension
from billing.mirror import querysets

MOST_COVERED = 100


@dataclass(frozen=True)
class Cover:
    """What an organization is granted, and whose subscription decides it: its own, or that of one above it."""

    payer: Organization
    access: Access


def access_of(organization: Organization) -> Access:
    """Return what the portal grants; a child without a plan of its own has its parent's. At most five queries each."""
    return cover_of(organization).access


def cover_of(organization: Organization) -> Cover:
    """Return whose subscription decides: the nearest one that has not ended, from the organization upwards.

    One of its own that has ended leaves a child to its parent's, as if there had never been one. One that is
    suspended does not: what a child owes is not passed over because somebody else has paid.
    """
    own = own_access(organization)
    if own.state is not State.REVOKED or organization.parent_id is None:
        return Cover(organization, own)
    above = (Cover(each, own_access(each)) for each in organization.ancestors())
    return next((cover for cover in above if cover.access.state is not State.REVOKED), Cover(organization, own))


def own_access(organization: Organization) -> Access:
    return access_from(
        querysets.subscriptions_of(organization),
        querysets.unsettled_invoices(organization),
        suspensions_of(organization),
    )


def covered_by(organization: Organization) -> list[Organization]:
    """Return the organizations below that have no living subscription of their own, so that this one's covers them.

    At most a hundred, by name, and two queries for each storey of the tree.
    """
    found: dict[int, Organization] = {}
    storey = [organization.pk]
    while storey and len(found) < MOST_COVERED:
        children = Organization.objects.filter(parent__in=storey).exclude(pk__in=[organization.pk, *found])
        below = {child.pk: child for child in children.order_by("name")[:MOST_COVERED]}
        for payer in querysets.with_living_subscriptions(below):
            del below[payer]
        found |= below
        storey = list(below)
    return sorted(found.values(), key=lambda each: each.name)[:MOST_COVERED]


def suspensions_of(organization: Organization) -> tuple[SuspensionFacts, ...]:
    """Return the organization's open suspensions in the present mode; whether each holds, the facts say."""
    rows = Suspension.objects.filter(
        organization=organization, lifted_at=None, customer_id__in=querysets.customer_ids_of(organization)
    )
    return tuple(facts_of(row) for row in rows.order_by("since", "pk"))


def facts_of(row: Suspension) -> SuspensionFacts:
    return SuspensionFacts(
        customer_id=row.customer_id,
        subscription_id=row.subscription_id,
        invoice_id=row.invoice_id,
        reason=row.reason,
        since=row.since,
        by=row.by,
        cancels_at=row.cancels_at,
    )


View = Callable[..., HttpResponseBase]


def needs_access(view: Callable[..., HttpResponseBase]) -> View:
    """Decorate a view inside `organization_page`: without access its members are led to the page that says why."""

    @wraps(view)
    def guarded(request: OrganizationRequest, **kwargs: Any) -> HttpResponseBase:
        if access_of(request.organization).granted:
            return view(request, **kwargs)
        return redirect("billing:overview", organization_id=request.organization.public_id)

    return guarded
