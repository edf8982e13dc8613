"""Which inbox events are meant: by id, by what they are about, by state, by when they came."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q, QuerySet

from billing.inbox.models import InboxEvent


@dataclass(frozen=True)
class Selection:
    """Events that fit all that is given; nothing given means all events."""

    event_ids: tuple[str, ...] = ()
    types: tuple[str, ...] = ()  # invoice.paid, or invoice.* for all that begin so
    object_id: str = ""
    customer_id: str = ""
    states: tuple[str, ...] = ()
    source: str = ""
    owner: str | None = None  # the name of a configured account; "" is the primary one
    since: datetime | None = None  # received at or after
    until: datetime | None = None  # received before

    def is_everything(self) -> bool:
        return self == Selection()

    def events(self) -> QuerySet[InboxEvent]:
        chosen = InboxEvent.objects.all()
        if self.event_ids:
            chosen = chosen.filter(external_id__in=self.event_ids)
        if self.types:
            chosen = chosen.filter(any_type(self.types))
        if self.states:
            chosen = chosen.filter(state__in=self.states)
        given = {
            "object_id": self.object_id or None,
            "customer_id": self.customer_id or None,
            "source": self.source or None,
            "owner": self.owner,
            "received_at__gte": self.since,
            "received_at__lt": self.until,
        }
        return chosen.filter(**{name: value for name, value in given.items() if value is not None})


def any_type(patterns: tuple[str, ...]) -> Q:
    fits = Q()
    for pattern in patterns:
        head, star, _ = pattern.partition("*")
        fits |= Q(type__startswith=head) if star else Q(type=pattern)
    return fits
