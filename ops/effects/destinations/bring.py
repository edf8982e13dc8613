"""Save connections and destinations that a template told: those that are not here. What is here stays as it is."""

from collections.abc import Sequence

from django.core.exceptions import ValidationError
from django.db import transaction

from ops.effects.destinations.models import Connection, ConnectionParameter, Destination
from ops.effects.destinations.template_reading import ToldConnection, ToldDestination
from ops.effects.destinations.validate import check_endpoint


def bring(
    connections: Sequence[ToldConnection], destinations: Sequence[ToldDestination]
) -> tuple[list[str], list[str]]:
    """Return the names of the connections and of the destinations that were made. Raises ValidationError; then none is.

    A connection is made without its secret: whatever is called with it is refused until somebody sets it.
    """
    there = set(Connection.objects.values_list("name", flat=True))
    here = set(Destination.objects.values_list("name", flat=True))
    with transaction.atomic():
        made = [bring_connection(told) for told in connections if told.name not in there]
        new = [bring_destination(told) for told in destinations if told.name not in here]
    return made, new


def bring_connection(told: ToldConnection) -> str:
    row = Connection(name=told.name, **told.fields)
    row.full_clean(exclude=["sealed_secret"])
    row.save()
    for each in told.parameters:
        parameter = ConnectionParameter(
            connection=row, place=each.place, name=each.name, value=each.value, secret=each.secret
        )
        parameter.full_clean(exclude=["sealed_value"])
        parameter.save()
    return row.name


def bring_destination(told: ToldDestination) -> str:
    connection = Connection.objects.filter(name=told.connection).first()
    if connection is None:
        raise ValidationError(f"{told.name}: its connection {told.connection} is neither here nor in the template.")
    check_endpoint(str(told.fields["endpoint"]))
    row = Destination(name=told.name, connection=connection, **told.fields)
    row.full_clean(exclude=["sealed_signing_secret", "sealed_old_signing_secret"])
    row.save()
    return row.name
