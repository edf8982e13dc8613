"""The life of a subscription schedule: phases that begin, change and end a subscription by themselves.

A phase is entered before its subscription renews, so that the renewal is billed at the new phase's prices.
Source: Stripe docs, "Subscription schedules" (phases, end behavior, release, cancel).
"""

from typing import Any

from sandbox import jobs, objects
from sandbox.billing import changing, lifecycle, phases, subscribing
from sandbox.billing.periods import DAY
from sandbox.context import Context
from sandbox.errors import ApiError
from sandbox.kinds import Doc

EXPIRING = 7 * DAY
RUNNING = ("not_started", "active")


def updated(ctx: Context, schedule: Doc, changes: Doc) -> Doc:
    return objects.update(ctx, schedule, changes, event="subscription_schedule.updated")


def plan(ctx: Context, schedule: Doc) -> None:
    """Write down the next phase's start, and the warning before the end."""
    for kind in ("schedule.step", "schedule.expiring"):
        jobs.cancel(ctx, kind, name=schedule["id"])
    if schedule["status"] not in RUNNING:
        return
    payload = {"schedule": schedule["id"]}
    ahead = [edge for phase in schedule["phases"] for edge in (phase["start_date"], phase["end_date"])]
    due = min((edge for edge in ahead if edge > ctx.now), default=ctx.now)
    jobs.schedule(ctx, "schedule.step", due_at=due, name=schedule["id"], payload=payload)
    warns = max(ahead) - EXPIRING
    if warns > ctx.now:
        jobs.schedule(ctx, "schedule.expiring", due_at=warns, name=schedule["id"], payload=payload)


@jobs.job("schedule.expiring")
def warn(ctx: Context, payload: Doc) -> None:
    schedule = objects.find(ctx, "subscription_schedule", payload["schedule"])
    if schedule and schedule["status"] in RUNNING:
        objects.announce(ctx, "subscription_schedule.expiring", schedule)


@jobs.job("schedule.step")
def step(ctx: Context, payload: Doc) -> None:
    schedule = objects.find(ctx, "subscription_schedule", payload["schedule"])
    if schedule:
        advance(ctx, schedule)


def advance(ctx: Context, schedule: Doc) -> Doc:
    """Bring the schedule to where it should be now. It may be asked any number of times."""
    if schedule["status"] not in RUNNING:
        return schedule
    phase = phases.at(schedule["phases"], ctx.now)
    if schedule["status"] == "not_started":
        return begin(ctx, schedule, phase) if phase else schedule
    if phase is None:
        return _over(ctx, schedule)
    if phases.shown(phase) != schedule["current_phase"]:
        schedule = updated(ctx, schedule, {"current_phase": phases.shown(phase)})
        enter(ctx, schedule, phase)
        schedule = objects.load(ctx, "subscription_schedule", schedule["id"])
        plan(ctx, schedule)
    return schedule


def begin(ctx: Context, schedule: Doc, phase: Doc) -> Doc:
    """The first phase: the subscription is born; in the past, when its phase has begun there."""
    resolved = phases.resolved(phase, schedule["default_settings"])
    params = phases.beginning(resolved, schedule["customer"]) | {"off_session": True}
    if phase["start_date"] < ctx.now:
        params["backdate_start_date"] = phase["start_date"]
    lacks_card = _lacks_card(ctx, schedule["customer"], resolved)
    params["payment_behavior"] = "default_incomplete" if lacks_card else "allow_incomplete"
    subscription = subscribing.begin(ctx, params | {"billing_mode": _mode(schedule), "schedule": schedule["id"]})
    started = {"current_phase": phases.shown(phase), "status": "active", "subscription": subscription["id"]}
    schedule = updated(ctx, schedule, started)
    foretell_end(ctx, schedule)
    plan(ctx, schedule)
    return schedule


def _mode(schedule: Doc) -> Doc:
    return {name: value for name, value in schedule["billing_mode"].items() if value is not None}


def _lacks_card(ctx: Context, customer: str, resolved: Doc) -> bool:
    settings = objects.load(ctx, "customer", customer)["invoice_settings"]
    return not (settings["default_payment_method"] or resolved["default_payment_method"])


def foretell_end(ctx: Context, schedule: Doc) -> None:
    """A subscription whose schedule will cancel it says when; one whose schedule will let it go does not. Source: API
    reference, "Release a schedule" (preserve_cancel_date)."""
    subscription = objects.find(ctx, "subscription", schedule["subscription"])
    if subscription is None or subscription["status"] in lifecycle.ENDED:
        return
    at = schedule["phases"][-1]["end_date"] if schedule["end_behavior"] == "cancel" else None
    if at != subscription["cancel_at"] and (at or subscription.get("_ends_with_schedule")):
        changes = _told_end(ctx, subscription, at) | {"_ends_with_schedule": at is not None}
        lifecycle.plan(ctx, lifecycle.updated(ctx, subscription, changes))


def _told_end(ctx: Context, subscription: Doc, at: int | None) -> Doc:
    said = (subscription["canceled_at"] or ctx.now) if at else None
    return {"cancel_at": at, "cancel_at_period_end": False, "canceled_at": said}


def enter(ctx: Context, schedule: Doc, phase: Doc) -> None:
    """The subscription becomes what the phase says."""
    subscription = objects.load(ctx, "subscription", schedule["subscription"])
    if subscription["status"] in lifecycle.ENDED:
        return
    resolved = phases.resolved(phase, schedule["default_settings"])
    wanted = phases.entering(ctx, resolved, subscription)
    for number, given in enumerate(wanted.pop("add_invoice_items")):
        subscribing.add_once(ctx, subscription, given, f"add_invoice_items[{number}]")
    changing.change(ctx, subscription, wanted)


def _over(ctx: Context, schedule: Doc) -> Doc:
    """The last phase has ended."""
    if schedule["end_behavior"] == "cancel":
        done = _settled(ctx, schedule, {"completed_at": ctx.now, "current_phase": None, "status": "completed"})
        subscription = objects.load(ctx, "subscription", schedule["subscription"])
        if subscription["status"] not in lifecycle.ENDED:
            lifecycle.end_as_planned(ctx, subscription)
        objects.announce(ctx, "subscription_schedule.completed", done)
        return done
    return release(ctx, schedule)


def _settled(ctx: Context, schedule: Doc, changes: Doc) -> Doc:
    settled = objects.update(ctx, schedule, changes)
    plan(ctx, settled)
    return settled


def release(ctx: Context, schedule: Doc, *, preserve_cancel_date: bool = False) -> Doc:
    """The schedule lets go; its subscription goes on as it is, and does not end when the schedule would have ended it,
    unless that day is to be kept."""
    check_running(schedule, "release")
    subscription = objects.find(ctx, "subscription", schedule["subscription"])
    if subscription:
        freed: Doc = {"schedule": None, "_ends_with_schedule": False}
        if subscription.get("_ends_with_schedule") and not preserve_cancel_date:
            freed |= _told_end(ctx, subscription, None)
        lifecycle.plan(ctx, lifecycle.updated(ctx, subscription, freed))
    changes = {
        "current_phase": None, "released_at": ctx.now, "released_subscription": schedule["subscription"],
        "status": "released", "subscription": None,
    }  # fmt: skip
    released = _settled(ctx, schedule, changes)
    objects.announce(ctx, "subscription_schedule.released", released)
    return released


def cancel(ctx: Context, schedule: Doc, params: dict[str, Any]) -> Doc:
    """The schedule ends now, and its subscription with it."""
    check_running(schedule, "cancel")
    changes = {"canceled_at": ctx.now, "current_phase": None, "status": "canceled"}
    canceled = _settled(ctx, schedule, changes)
    subscription = objects.find(ctx, "subscription", schedule["subscription"])
    if subscription and subscription["status"] not in lifecycle.ENDED:
        wanted = {"invoice_now": params.get("invoice_now", True), "prorate": params.get("prorate", True)}
        changing.cancel(ctx, subscription, wanted)
    objects.announce(ctx, "subscription_schedule.canceled", canceled)
    return canceled


def check_running(schedule: Doc, act: str) -> None:
    if schedule["status"] not in RUNNING:
        raise ApiError(
            f"You cannot {act} a subscription schedule that is currently in the `{schedule['status']}` status. "
            f"A subscription schedule can only be changed while it is `not_started` or `active`.",
        )


def _before_step(ctx: Context, subscription: Doc) -> Doc:
    schedule = objects.find(ctx, "subscription_schedule", subscription["schedule"])
    if schedule is None:
        return subscription
    advance(ctx, schedule)
    return objects.load(ctx, "subscription", subscription["id"])


def _after_end(ctx: Context, subscription: Doc) -> None:
    """Its subscription was canceled by somebody, or because nobody paid: the schedule has nothing left to do. Source:
    API reference, "Types of events" (subscription_schedule.aborted)."""
    schedule = objects.find(ctx, "subscription_schedule", subscription["schedule"])
    if schedule and schedule["status"] in RUNNING:
        unpaid = subscription["cancellation_details"]["reason"] in ("payment_failed", "payment_disputed")
        changes = {"canceled_at": ctx.now, "current_phase": None, "status": "canceled"}
        event = "subscription_schedule.aborted" if unpaid else "subscription_schedule.canceled"
        objects.announce(ctx, event, _settled(ctx, schedule, changes))


def check_free(subscription: Doc, params: dict[str, Any]) -> None:
    """A subscription with a schedule is canceled by that. Raises for the parameters that would do it otherwise."""
    if subscription["schedule"] and {"cancel_at", "cancel_at_period_end"} & set(params):
        raise ApiError(
            f"The subscription is managed by the subscription schedule `{subscription['schedule']}`, and updating any "
            "cancelation behavior directly is not allowed. Please update the schedule instead."
        )


lifecycle.STEPPING.append(_before_step)
lifecycle.ENDING.append(_after_end)
