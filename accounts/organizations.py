"""How an organization begins."""

from datetime import datetime, timedelta

from django.db import transaction

from accounts.models import Membership, Organization, Role, User

SAME_CLICK = timedelta(minutes=1)


@transaction.atomic
def create_organization(user: User, *, name: str, billing_email: str, now: datetime) -> Organization:
    """Make an organization that the user owns. A second click within a minute returns what the first one made."""
    User.objects.select_for_update(no_key=True).get(pk=user.pk)
    made = just_made(user, name, now=now)
    if made:
        return made
    organization = Organization.objects.create(name=name, billing_email=billing_email)
    Membership.objects.create(organization=organization, user=user, role=Role.OWNER)
    return organization


def just_made(user: User, name: str, *, now: datetime) -> Organization | None:
    return Organization.objects.filter(
        memberships__user=user, memberships__role=Role.OWNER, name=name, created_at__gt=now - SAME_CLICK
    ).first()
