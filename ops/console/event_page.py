"""One inbox event: its stages, what it is about, its payload, and what else is known of the same object."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.customers import organization_of
from billing.mirror.shapes import id_of
from billing.models import InboxEvent, InboxState
from ops.console.display import Tone, span
from ops.console.workflows.origins import started_by
from ops.models import Match, StaffAct

SIBLINGS = 50


@dataclass(frozen=True)
class Stage:
    """One step of an event's way; `at` is None for what has not happened yet."""

    at: datetime | None
    title: str
    detail: str
    tone: Tone


def event_context(event: InboxEvent) -> dict[str, Any]:
    """Return what the page of one event shows. Seven queries."""
    siblings = InboxEvent.objects.filter(object_id=event.object_id).defer("payload")
    return {
        "event": event,
        "stages": stages_of(event),
        "subscription_id": subscription_of(stripe_event(event)),
        "organization": organization_of(event.customer_id),
        "siblings": siblings.order_by("-occurred_at", "-pk")[:SIBLINGS] if event.object_id else (),
        "matches": matches_of(event_id=event.external_id),
        "executions": started_by(event.external_id),
        "acts": StaffAct.objects.filter(subject_id=event.external_id).select_related("actor").order_by("-at"),
    }


def matches_of(**chosen: Any) -> list[Match]:
    """Return the latest matches, each with its rule and its calls."""
    found = Match.objects.filter(**chosen).select_related("rule").prefetch_related("deliveries")
    return list(found.order_by("-matched_at", "-pk")[:SIBLINGS])


def stages_of(event: InboxEvent) -> tuple[Stage, ...]:
    received = _("After %(span)s, by: %(door)s") % {
        "span": span(event.received_at - event.occurred_at),
        "door": event.get_door_display(),
    }
    return (
        Stage(event.occurred_at, _("Happened"), event.source, Tone.GOOD),
        Stage(event.received_at, _("Received and stored"), received, Tone.GOOD),
        last_stage(event),
    )


def last_stage(event: InboxEvent) -> Stage:
    """Say how far the event has come. `attempts` counts those that failed."""
    tries = ngettext("%(n)d failed attempt", "%(n)d failed attempts", event.attempts) % {"n": event.attempts}
    match event.state:
        case InboxState.MIRRORED:
            took = span(event.mirrored_at - event.occurred_at if event.mirrored_at else None)
            detail = _("%(span)s after it happened") % {"span": took}
            if event.attempts:
                detail = _("%(span)s after it happened; %(tries)s") % {"span": took, "tries": tries}
            return Stage(event.mirrored_at, _("Mirrored"), detail, Tone.GOOD)
        case InboxState.STORED:
            detail = _("The mirror has no table for this type or object. The event is kept and counted.")
            return Stage(event.mirrored_at, _("Stored only"), detail, Tone.STOPPED)
        case InboxState.FAILED:
            detail = _("Given up after %(tries)s. Mend the cause, then replay it.") % {"tries": tries}
            return Stage(None, _("Failed"), detail, Tone.ATTENTION)
    if event.attempts:
        detail = _("%(tries)s so far; the mirror tries again when it is due.") % {"tries": tries}
        return Stage(event.due_at, _("Will be tried again"), detail, Tone.WAITING)
    return Stage(event.due_at, _("Waits for the mirror"), _("Nobody has looked at it yet."), Tone.WAITING)


def stripe_event(event: InboxEvent) -> Mapping[str, Any]:
    """Return Stripe's event, which EventBridge wraps into `detail`."""
    payload: Mapping[str, Any] = event.payload if isinstance(event.payload, dict) else {}
    detail = payload.get("detail")
    return detail if isinstance(detail, dict) else payload


def subscription_of(event: Mapping[str, Any]) -> str:
    """Return the id of the subscription that a Stripe event is about or belongs to; empty where it names none."""
    about = (event.get("data") or {}).get("object") or {}
    if about.get("object") == "subscription":
        return id_of(about)
    details = (about.get("parent") or {}).get("subscription_details") or {}
    return id_of(about.get("subscription") or details.get("subscription"))
