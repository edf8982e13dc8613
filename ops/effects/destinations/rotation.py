"""Bringing stored secrets under the first of ENCRYPTION_KEYS."""

from dataclasses import dataclass

from django.db import models

from ops.effects.destinations.models import Connection, ConnectionParameter, ConnectionToken, Destination
from ops.effects.sealing import Unreadable, reseal

SEALED: dict[type[models.Model], tuple[str, ...]] = {
    Connection: ("sealed_secret",),
    ConnectionParameter: ("sealed_value",),
    ConnectionToken: ("sealed_token",),
    Destination: ("sealed_signing_secret", "sealed_old_signing_secret"),
}


@dataclass
class Rotated:
    """How many secrets stand under the first key now, and which could be read with none ("Connection 3")."""

    resealed: int
    unreadable: list[str]


def rotate() -> Rotated:
    """Seal every stored secret anew. May be interrupted and run again at any time; changes meanwhile win."""
    done = Rotated(0, [])
    for model, columns in SEALED.items():
        for column in columns:
            for pk, sealed in model._default_manager.exclude(**{column: ""}).values_list("pk", column):
                try:
                    anew = reseal(sealed)
                except Unreadable:
                    done.unreadable.append(f"{model.__name__} {pk}")
                    continue
                done.resealed += model._default_manager.filter(pk=pk, **{column: sealed}).update(**{column: anew})
    return done
