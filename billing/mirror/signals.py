"""Who listens to dj-stripe's models or webhook signals hears of what the mirror writes, though it writes in bulk.

- `pre_save` and `post_save` of a model: sent for each object of that kind, in the mirror's transaction. `pre_save`
  comes before the row is written, with the values it will have; changing them there changes nothing.
- `djstripe.signals.WEBHOOK_SIGNALS` (what `djstripe_receiver` connects to): sent after the commit that mirrored the
  event, with a `djstripe.Event`. A process that is killed between the two tells nobody: what must not be lost belongs
  into a rule, or reads the inbox.

dj-stripe's own receivers are left out; the mirror does their work. Each receiver runs in a savepoint of its own: what
it raises is logged, and spoils neither the mirror nor the other receivers. Where nobody listens all this costs nothing.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any, Protocol

import structlog
from asgiref.sync import async_to_sync
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, models, transaction
from django.db.models.signals import post_save, pre_save
from django.dispatch import Signal
from django.utils import timezone
from djstripe import models as djstripe
from djstripe.signals import WEBHOOK_SIGNALS

from billing.inbox.models import InboxEvent
from billing.mirror.columns import CHILDREN, TableRow, children_of, rows_of
from billing.mirror.kinds import KINDS, Ref, kind_for
from billing.mirror.layout import Column, layout_of
from billing.mirror.raw import RawObject

log = structlog.get_logger(__name__)


def listeners(signal: Signal, sender: type[models.Model]) -> list[Any]:
    """Return the receivers of a signal but dj-stripe's own. Django has no public way to see them."""
    inside: Any = signal
    plain, waiting = inside._live_receivers(sender)
    found = [*plain, *(async_to_sync(receiver) for receiver in waiting)]
    return [receiver for receiver in found if not module_of(receiver).startswith("djstripe.")]


def module_of(receiver: Any) -> str:
    return str(getattr(receiver, "__module__", ""))


def tell(receivers: Iterable[Any], signal: Signal, sender: type[models.Model], **named: Any) -> None:
    for receiver in receivers:
        try:
            with transaction.atomic():
                receiver(signal=signal, sender=sender, **named)
        except Exception:
            name = getattr(receiver, "__qualname__", repr(receiver))
            log.exception("signal:receiver-failed", receiver=f"{module_of(receiver)}.{name}", model=sender.__name__)


def before_write(model: type[models.Model], rows: Sequence[TableRow]) -> None:
    """Tell `pre_save` listeners of rows that are about to be written."""
    receivers = listeners(pre_save, model) if pre_save.has_listeners(model) else []
    if receivers:
        there = {row.id: row for row in instances(model, [row.id for row in rows])}
        for row in rows:
            instance = filled(there.get(row.id) or model(), row)
            tell(receivers, pre_save, model, instance=instance, **SAVING)


SAVING: dict[str, Any] = {"raw": False, "using": DEFAULT_DB_ALIAS, "update_fields": None}


def instances(model: Any, ids: Sequence[str]) -> list[Any]:
    return list(model._base_manager.filter(id__in=ids))


def filled(instance: Any, row: TableRow) -> Any:
    """The instance with a row's values; keys that PostgreSQL looks up as it writes are left as they are."""
    model: type[models.Model] = type(instance)
    for column in layout_of(model).columns:
        if (column.name in row.values and column.value == f"r.{column.name}") or column.sql_type == "double precision":
            setattr(instance, column.name, as_python(column, row.values[column.name]))
    return instance


def as_python(column: Column, value: Any) -> Any:
    if value is None:
        return None
    if column.sql_type == "double precision":
        return datetime.fromtimestamp(value, UTC)
    if column.sql_type == "timestamptz":
        return datetime.fromisoformat(value)
    return Decimal(value) if column.sql_type == "numeric" else value


def after_write(written: Sequence[tuple[Ref, bool]]) -> None:
    """Tell `post_save` listeners of objects that were written, and of their children; each with whether it is new."""
    new = dict(written)
    for name in {ref.kind for ref in new}:
        kind = kind_for(name)
        refs = [ref for ref in new if ref.kind == name]
        model: Any = kind.model or RawObject
        receivers = listeners(post_save, model) if post_save.has_listeners(model) else []
        if receivers:
            for instance in instances(model, [ref.id for ref in refs]):
                if model is not RawObject or instance.kind == name:
                    created = new[Ref(name, instance.id)]
                    tell(receivers, post_save, model, instance=instance, created=created, **SAVING)
        if name in CHILDREN:
            tell_of_children(model, refs)


def tell_of_children(model: Any, parents: Sequence[Ref]) -> None:
    """Tell of the children that were written with their parents: those that bear the same time of writing."""
    child: Any = kind_for(CHILDREN[parents[0].kind].kind).model
    receivers = listeners(post_save, child) if post_save.has_listeners(child) else []
    if not receivers:
        return
    kind = kind_for(parents[0].kind)
    for parent in instances(model, [ref.id for ref in parents]):
        ids = [data["id"] for _, data in children_of(kind, parent.stripe_data)]
        for instance in instances(child, ids):
            if instance.djstripe_updated == parent.djstripe_updated:
                created = instance.djstripe_created == instance.djstripe_updated
                tell(receivers, post_save, child, instance=instance, created=created, **SAVING)


class Arrived(Protocol):
    """An inbox event that the mirror has settled."""

    @property
    def pk(self) -> int: ...

    @property
    def type(self) -> str: ...


def after_events(events: Iterable[Arrived], *, owner_id: str | None) -> None:
    """Tell webhook listeners of these inbox events, after the caller's transaction; keep `djstripe.Event` rows if the
    setting MIRROR_STRIPE_EVENTS asks for them.
    """
    pks = [event.pk for event in events if settings.MIRROR_STRIPE_EVENTS or event_listeners(event.type)]
    if pks:
        transaction.on_commit(partial(tell_of_events, pks, owner_id))


def event_listeners(event_type: str) -> list[Any]:
    signal = WEBHOOK_SIGNALS.get(event_type)
    return listeners(signal, djstripe.Event) if signal and signal.receivers else []


def tell_of_events(pks: Sequence[int], owner_id: str | None) -> None:
    from billing.mirror import tables  # it tells of writes, by this module

    payloads = InboxEvent.objects.filter(pk__in=pks).order_by("occurred_at", "pk").values_list("payload", flat=True)
    # Thin notifications (`v2.core.event`) have no place in dj-stripe's Event.
    rows = [
        rows_of(KINDS["event"], payload, owner_id=owner_id, now=timezone.now())[0]
        for payload in payloads
        if payload and payload.get("object") == "event"
    ]
    if settings.MIRROR_STRIPE_EVENTS:
        with transaction.atomic():
            tables.write(rows)
    kept = {event.id: event for event in instances(djstripe.Event, [row.id for row in rows])}
    for row in rows:
        event = kept.get(row.id) or filled(djstripe.Event(), row)
        signal = WEBHOOK_SIGNALS.get(event.type)
        if signal:
            tell(event_listeners(event.type), signal, djstripe.Event, event=event)
