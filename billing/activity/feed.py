"""Reading the news, newest first."""

from django.db.models import QuerySet

from accounts.models import Organization
from billing.activity.models import Activity


def recent(organization: Organization, *, limit: int, before_id: int | None = None) -> list[Activity]:
    """Return the newest `limit` activities, or those older than `before_id` for the next page."""
    activities = of_organization(organization.pk)
    if before_id is not None:
        activities = activities.filter(pk__lt=before_id)
    return list(activities.order_by("-pk")[:limit])


def newest_id(organization_pk: int) -> int:
    """Return the id of the last activity, 0 when there is none: where a stream that follows a page begins."""
    return of_organization(organization_pk).order_by("-pk").values_list("pk", flat=True).first() or 0


def after(organization_pk: int, last_id: int, *, limit: int) -> list[Activity]:
    """Return up to `limit` activities that came after `last_id`, oldest first."""
    return list(of_organization(organization_pk).filter(pk__gt=last_id).order_by("pk")[:limit])


def of_organization(organization_pk: int) -> QuerySet[Activity]:
    return Activity.objects.filter(organization_id=organization_pk)
