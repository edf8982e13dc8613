"""Reading what a subscription has at AWS."""

from billing.provisioning.facts import ProvisionFacts
from billing.provisioning.models import Provision
from billing.provisioning.states import State


def provision_of(subscription_id: str) -> ProvisionFacts | None:
    """Return what the subscription has at AWS; None where it has nothing there."""
    row = Provision.objects.filter(subscription_id=subscription_id).first()
    return facts_of(row) if row else None


def facts_of(row: Provision) -> ProvisionFacts:
    return ProvisionFacts(
        state=State(row.state),
        since=row.since,
        attempt=row.attempt,
        address=row.address,
        stop_at=row.stop_at,
        delete_at=row.delete_at,
        held=row.held,
        refunded=row.refunded,
        currency=row.currency,
    )
