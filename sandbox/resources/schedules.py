"""Subscription schedules: the routes. Their life is in billing/scheduling.py."""

from typing import Any

from sandbox import objects
from sandbox.billing import billing_modes, items, lifecycle, phases, scheduling
from sandbox.billing.billing_modes import BILLING_MODE
from sandbox.context import Context
from sandbox.documents import merge_metadata
from sandbox.errors import ApiError
from sandbox.kinds import Doc, kind
from sandbox.pagination import created_range, list_page, listing
from sandbox.params import RANGE, Array, Bool, Enum, Hash, Ignored, Metadata, OneOf, Param, Shape, Str, Timestamp
from sandbox.routes import route

SCHEDULE = kind(
    "subscription_schedule",
    prefix="sub_sched",
    label="subscription_schedule",
    indexed=("customer", "id", "status", "test_clock"),
    expandable={
        **{
            f"phases.{where}{name}": kind
            for where in ("", "items.", "add_invoice_items.")
            for name, kind in phases.EXPANDABLE.items()
        },
        "phases.add_invoice_items.price": "price",
        "phases.default_payment_method": "payment_method",
        "phases.items.price": "price",
        "customer": "customer",
        "default_settings.default_payment_method": "payment_method",
        "released_subscription": "subscription",
        "subscription": "subscription",
        "test_clock": "test_helpers.test_clock",
    },
)


class EndBehavior(Enum):
    """`none` is an older word for `cancel`; `renew` can only be read. Source: Changelog 2019-10-17, "Renames and
    updates subscription schedule renewal properties"."""

    def __init__(self) -> None:
        super().__init__("cancel", "none", "release", "renew")

    def value(self, raw: Any, path: str, ignored: list[str] | None) -> str:
        said = super().value(raw, path, ignored)
        if said == "renew":
            raise ApiError("`renew` cannot be set any more: a schedule can `cancel` or `release`.", param=path)
        return "cancel" if said == "none" else said


DEFAULTS: Shape = {
    "application_fee_percent": Ignored(),
    "automatic_tax": Ignored(),
    "billing_cycle_anchor": Enum("automatic", "phase_start"),
    "billing_thresholds": items.THRESHOLDS,
    "collection_method": Enum("charge_automatically", "send_invoice"),
    "default_payment_method": Str(unset=True),
    "description": Str(unset=True),
    "invoice_settings": Hash(phases.INVOICE_SETTINGS),
    "on_behalf_of": Ignored(),
    "transfer_data": Ignored(),
}
COMMON: dict[str, Param] = {
    "default_settings": Hash(DEFAULTS),
    "end_behavior": EndBehavior(),
    "metadata": Metadata(),
    "phases": Array(Hash(phases.PHASE)),
}
CREATE = COMMON | {
    "billing_mode": BILLING_MODE,
    "customer": Str(),
    "customer_account": Ignored(),
    "from_subscription": Str(),
    "start_date": OneOf(Enum("now"), Timestamp()),
}
UPDATE = COMMON | {"proration_behavior": Enum("always_invoice", "create_prorations", "none")}


@route("POST", "/v1/subscription_schedules", params=CREATE)
def create_schedule(ctx: Context, params: dict[str, Any]) -> Doc:
    """Create a subscription schedule"""
    if "from_subscription" in params:
        return _from_subscription(ctx, params)
    customer = phases.check_customer(ctx, params.get("customer"))
    if not params.get("phases"):
        raise ApiError("You must specify at least one phase.", param="phases")
    given = params.get("start_date", "now")
    start = ctx.now if given == "now" else int(given)
    made = phases.stored(ctx, params["phases"], start)
    if made[-1]["end_date"] <= ctx.now:
        raise ApiError("The schedule's last phase must end in the future.", param="phases")
    fields = _fields(ctx, params, customer) | {"phases": made}
    schedule = objects.create(ctx, "subscription_schedule", fields, event="subscription_schedule.created")
    return _begun(ctx, schedule)


def _begun(ctx: Context, schedule: Doc) -> Doc:
    """A schedule whose first phase has come begins; another one waits for it."""
    phase = phases.at(schedule["phases"], ctx.now)
    if phase:
        started = phase | {"start_date": schedule["phases"][0]["start_date"]}
        return scheduling.begin(ctx, schedule, started)
    scheduling.plan(ctx, schedule)
    return schedule


def _from_subscription(ctx: Context, params: dict[str, Any]) -> Doc:
    others = sorted(set(params) - {"from_subscription", "expand", "billing_mode"})
    if others:
        raise ApiError(f"You cannot set `{others[0]}` if `from_subscription` is set.", param=others[0])
    subscription = objects.load(ctx, "subscription", params["from_subscription"], param="from_subscription")
    if subscription["schedule"]:
        raise ApiError(
            "You cannot migrate a subscription that is already attached to a schedule: " + subscription["schedule"],
            param="from_subscription",
        )
    if subscription["status"] in lifecycle.ENDED:
        raise ApiError("You cannot migrate a subscription that is canceled.", param="from_subscription")
    phase = phases.of_subscription(subscription)
    customer = objects.load(ctx, "customer", subscription["customer"])
    fields = _fields(ctx, {"default_settings": _defaults_of(subscription)} | params, customer) | {
        "billing_mode": subscription["billing_mode"], "current_phase": phases.shown(phase),
        "end_behavior": "cancel" if subscription["cancel_at"] else "release", "phases": [phase], "status": "active",
        "subscription": subscription["id"],
    }  # fmt: skip
    schedule = objects.create(ctx, "subscription_schedule", fields, event="subscription_schedule.created")
    held = {"schedule": schedule["id"], "_ends_with_schedule": bool(subscription["cancel_at"])}
    lifecycle.updated(ctx, subscription, held)
    scheduling.plan(ctx, schedule)
    return schedule


def _defaults_of(subscription: Doc) -> dict[str, Any]:
    """What a subscription has already is what its schedule says where its phases say nothing."""
    copied = ("billing_thresholds", "collection_method", "default_payment_method", "description")
    said = {name: subscription["invoice_settings"][name] for name in items.SAID_ON_INVOICES}
    return {name: subscription[name] for name in copied} | {
        "invoice_settings": said | {"days_until_due": subscription["days_until_due"]}
    }


def _fields(ctx: Context, params: dict[str, Any], customer: Doc) -> Doc:
    nothing = dict.fromkeys(
        ("application", "canceled_at", "completed_at", "current_phase", "customer_account", "released_at",
         "released_subscription", "subscription")
    )  # fmt: skip
    return nothing | {
        "billing_mode": billing_modes.chosen(params),
        "customer": customer["id"],
        "default_settings": _defaults({}, params.get("default_settings") or {}),
        "end_behavior": params.get("end_behavior", "release"),
        "metadata": merge_metadata({}, params.get("metadata")),
        "status": "not_started",
        "test_clock": customer["test_clock"],
    }  # fmt: skip


def _defaults(old: Doc, given: dict[str, Any]) -> Doc:
    nothing = dict.fromkeys(
        ("application_fee_percent", "billing_thresholds", "default_payment_method", "description", "on_behalf_of",
         "transfer_data")
    )  # fmt: skip
    said = given.get("invoice_settings") or {}
    known = ("billing_cycle_anchor", "collection_method", "default_payment_method", "description")
    thresholds = {"billing_thresholds": items.thresholds(given.get("billing_thresholds"))}
    return nothing | {
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
        "billing_cycle_anchor": "automatic",
        "collection_method": "charge_automatically",
        "invoice_settings": phases.settings({}),
    } | old | {name: given[name] for name in known if name in given} | (
        thresholds if "billing_thresholds" in given else {}
    ) | (
        {"invoice_settings": phases.settings((old.get("invoice_settings") or {}) | said)} if said else {}
    )  # fmt: skip


@route("GET", "/v1/subscription_schedules", params=listing(
    canceled_at=RANGE, completed_at=RANGE, customer=Str(), customer_account=Ignored(), released_at=RANGE,
    scheduled=Bool(),
))  # fmt: skip
def list_schedules(ctx: Context, params: dict[str, Any]) -> Doc:
    """List subscription schedules"""
    filters: dict[str, Any] = {"customer": params.get("customer")}
    if params.get("scheduled"):
        filters["status"] = "not_started"
    ended = [name for name in ("canceled_at", "completed_at", "released_at") if name in params]
    if ended:
        known = objects.query(ctx, "subscription_schedule", **{n: v for n, v in filters.items() if v is not None})
        filters["id"] = [doc["id"] for doc in known if all(_is_within(doc[name], params[name]) for name in ended)]
    return list_page(ctx, "subscription_schedule", params, filters)


def _is_within(at: int | None, given: Any) -> bool:
    tests = {"gt": int.__gt__, "gte": int.__ge__, "lt": int.__lt__, "lte": int.__le__}
    return at is not None and all(tests[name](at, edge) for name, edge in created_range(given).items())


@route("GET", "/v1/subscription_schedules/{id}")
def retrieve_schedule(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Retrieve a subscription schedule"""
    return objects.load(ctx, "subscription_schedule", id, in_path=True)


@route("POST", "/v1/subscription_schedules/{id}", params=UPDATE)
def update_schedule(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Update a subscription schedule; its phases are replaced as a whole"""
    schedule = objects.load(ctx, "subscription_schedule", id, in_path=True)
    if set(params) - {"metadata", "expand"}:
        scheduling.check_running(schedule, "update")
    changes: Doc = {}
    if "metadata" in params:
        changes["metadata"] = merge_metadata(schedule["metadata"], params["metadata"])
    if "end_behavior" in params:
        changes["end_behavior"] = params["end_behavior"]
    if "default_settings" in params:
        changes["default_settings"] = _defaults(schedule["default_settings"], params["default_settings"])
    if "phases" in params:
        changes |= _new_phases(ctx, schedule, params["phases"])
    changed = scheduling.updated(ctx, schedule, changes)
    if changed["status"] == "not_started" and "phases" in params:
        return _begun(ctx, changed)
    if "phases" in params:
        _carry_out(ctx, schedule, changed, params)
    changed = objects.load(ctx, "subscription_schedule", id)
    scheduling.foretell_end(ctx, changed)
    scheduling.plan(ctx, changed)
    return objects.load(ctx, "subscription_schedule", id)


def _new_phases(ctx: Context, schedule: Doc, given: list[dict[str, Any]]) -> Doc:
    if not given or "start_date" not in given[0]:
        raise ApiError(
            "The subscription schedule update is missing at least one phase with a `start_date` to anchor end dates "
            "to.",
            param="phases",
        )
    start = ctx.now if given[0]["start_date"] == "now" else int(given[0]["start_date"])
    running = schedule["current_phase"]
    if running and start > ctx.now:
        raise ApiError("The current phase must stay in the schedule.", param="phases[0][start_date]")
    if running and start not in (ctx.now, *(phase["start_date"] for phase in schedule["phases"])):
        message = "You can not modify the start date of a phase that has begun."
        raise ApiError(message, param="phases[0][start_date]")
    subscription = objects.find(ctx, "subscription", schedule["subscription"])
    made = phases.stored(ctx, given, start, subscription["billing_cycle_anchor"] if subscription else None)
    now = phases.at(made, ctx.now) if running else None
    if running and now is None:
        raise ApiError("You can not end the current phase before now.", param="phases[0][end_date]")
    return {"phases": made} | ({"current_phase": phases.shown(now)} if running else {})


def _carry_out(ctx: Context, before: Doc, after: Doc, params: dict[str, Any]) -> None:
    """A phase that runs and was changed changes its subscription at once."""
    old, new = phases.at(before["phases"], ctx.now), phases.at(after["phases"], ctx.now)
    if after["status"] != "active" or new is None or _same(old, new):
        return
    behavior = params.get("proration_behavior", new["proration_behavior"])
    scheduling.enter(ctx, after, new | {"proration_behavior": behavior, "add_invoice_items": []})


def _same(old: Doc | None, new: Doc) -> bool:
    told = (*phases.CARRIED, "default_tax_rates", "discounts", "invoice_settings", "items", "metadata", "trial_end")
    return bool(old) and all((old or {})[name] == new[name] for name in told)


@route("POST", "/v1/subscription_schedules/{id}/cancel", params={"invoice_now": Bool(), "prorate": Bool()})
def cancel_schedule(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Cancel a subscription schedule and its subscription"""
    return scheduling.cancel(ctx, objects.load(ctx, "subscription_schedule", id, in_path=True), params)


@route("POST", "/v1/subscription_schedules/{id}/release", params={"preserve_cancel_date": Bool()})
def release_schedule(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Release a subscription schedule; its subscription goes on"""
    schedule = objects.load(ctx, "subscription_schedule", id, in_path=True)
    return scheduling.release(ctx, schedule, preserve_cancel_date=params.get("preserve_cancel_date", False))
