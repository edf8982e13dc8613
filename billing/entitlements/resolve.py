"""What an organization may do now, read from the mirror. Product views and the API ask here.

if not access_of(organization).granted: …

@needs_access                        # a view of /o/<organization_id>/… that only serves while access is granted
@organization_page(Act.SEE_BILLING)
def reports(request): …
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpResponseBase
from django.shortcuts import redirect

from accounts.models import Organization
from accounts.viewer import OrganizationRequest
from billing.entitlements.access import Access, SuspensionFacts, access_from
from billing.entitlements.models import Suspension
from billing.mirror import querysets


def access_of(organization: Organization) -> Access:
    """Return what the portal grants; a child without a plan of its own has its parent's. At most five queries each."""
    own = access_from(
        querysets.subscriptions_of(organization),
        querysets.unsettled_invoices(organization),
        suspensions_of(organization),
    )
    parent = organization.parent
    if own.granted or parent is None or own.subscription_id:
        return own
    return access_of(parent)


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
