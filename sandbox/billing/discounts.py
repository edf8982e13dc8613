"""Discounts: a coupon put on a customer, a subscription, one of its items, an invoice or an invoice item.

A discount that lasts `once` is used up by the first invoice from which it takes something, a repeating one ends after
its months; then a job takes it from its holder. An invoice takes over its subscription's discounts, else its
customer's. Sources: Stripe docs, "Coupons and promotion codes", API reference "The Discount object".
"""

from decimal import Decimal
from typing import Any

from sandbox import jobs, objects
from sandbox.billing.periods import months_later
from sandbox.billing.reckoning import Off
from sandbox.context import Context
from sandbox.documents import new_document, render
from sandbox.errors import ApiError
from sandbox.kinds import Doc, kind
from sandbox.params import Array, Hash, Str

DISCOUNT = kind(
    "discount",
    prefix="di",
    without=("created", "livemode"),
    indexed=("customer",),
    expandable={"customer": "customer", "promotion_code": "promotion_code", "source.coupon": "coupon"},
)
DISCOUNTS = Array(Hash({"coupon": Str(), "discount": Str(), "promotion_code": Str()}), unset=True)
"""The parameter by which other objects name their discounts."""
MOST = 20


def put(
    ctx: Context, given: list[dict[str, Any]] | None, customer: str, path: str = "discounts", **place: Any
) -> list[str]:
    """The ids of the discounts that a list of coupons, promotion codes and discounts comes to. `place` is where they
    are put: subscription, subscription_item, invoice, invoice_item."""
    if len(given or []) > MOST:
        raise ApiError(f"You can specify at most {MOST} discounts.", param=path)
    ids = []
    for number, one in enumerate(given or []):
        name = f"{path}[{number}]"
        if len(one) != 1:
            raise ApiError("You must specify exactly one of `coupon`, `discount` or `promotion_code`.", param=name)
        if "discount" in one:
            ids.append(str(objects.load(ctx, "discount", one["discount"], param=f"{name}[discount]")["id"]))
        else:
            coupon, code = _named(ctx, one, customer, name)
            ids.append(str(redeem(ctx, coupon, code, customer, **place)["id"]))
    return ids


def replaced(
    ctx: Context,
    old: list[str],
    given: list[dict[str, Any]] | None,
    customer: str,
    path: str = "discounts",
    **place: Any,
) -> list[str]:
    """The same for a holder that has discounts: those that are not named again end. None takes all away."""
    ids = put(ctx, given, customer, path, **place)
    for id in old:
        if id not in ids:
            forget(ctx, objects.load(ctx, "discount", id))
    return ids


def _named(ctx: Context, one: dict[str, Any], customer: str, path: str) -> tuple[Doc, Doc | None]:
    if "coupon" in one:
        return usable_coupon(ctx, one["coupon"], f"{path}[coupon]"), None
    code = objects.load(ctx, "promotion_code", one["promotion_code"], param=f"{path}[promotion_code]")
    check_code(ctx, code, customer, f"{path}[promotion_code]")
    return usable_coupon(ctx, code["promotion"]["coupon"], f"{path}[promotion_code]"), code


def usable_coupon(ctx: Context, id: str, param: str) -> Doc:
    """The coupon, if it can be redeemed now."""
    coupon = objects.load(ctx, "coupon", id, param=param)
    if coupon["redeem_by"] and coupon["redeem_by"] <= ctx.now:
        raise ApiError(f"Coupon expired: {id}", code="coupon_expired", param=param)
    if not coupon["valid"]:
        raise ApiError(f"Coupon {id} is used up and cannot be applied.", param=param)
    return coupon


def check_code(ctx: Context, code: Doc, customer: str | None, param: str) -> None:
    """Raises when this customer may not use the promotion code now."""
    if not code["active"] or (code["expires_at"] and code["expires_at"] <= ctx.now):
        raise ApiError(
            "This promotion code is expired or no longer active.", code="promotion_code_expired", param=param
        )
    if code["customer"] and code["customer"] != customer:
        raise ApiError("This promotion code cannot be used by this customer.", param=param)
    if code["restrictions"]["first_time_transaction"] and customer and _has_paid(ctx, customer):
        raise ApiError(
            "This promotion code cannot be redeemed because the associated customer has prior transactions.",
            code="customer_has_prior_transactions",
            param=param,
        )


def _has_paid(ctx: Context, customer: str) -> bool:
    return any(charge["status"] == "succeeded" for charge in objects.query(ctx, "charge", customer=customer))


def redeem(ctx: Context, coupon: Doc, code: Doc | None, customer: str | None, **place: Any) -> Doc:
    """A discount of this coupon, which counts as one use of it."""
    months = coupon["duration_in_months"]
    fields = dict.fromkeys(
        ("checkout_session", "customer_account", "invoice", "invoice_item", "subscription", "subscription_item")
    ) | {
        "customer": customer,
        "end": months_later(ctx.now, months) if coupon["duration"] == "repeating" else None,
        "promotion_code": code["id"] if code else None,
        "source": {"coupon": coupon["id"], "type": "coupon"},
        "start": ctx.now,
        "_coupon": render(coupon) | {"_applies_to": coupon.get("_applies_to")},
        **place,
    }  # fmt: skip
    for used in filter(None, (coupon, code)):
        _count(ctx, used)
    made = objects.create(ctx, "discount", new_document(ctx, "discount", fields))
    if made["end"]:
        jobs.schedule(ctx, "discount.end", due_at=made["end"], name=made["id"], payload={"discount": made["id"]})
    if not (made["invoice"] or made["invoice_item"]):
        objects.announce(ctx, "customer.discount.created", made)
    return made


def _count(ctx: Context, used: Doc) -> None:
    """One redemption more; after the last one nobody else can."""
    times, most = used["times_redeemed"] + 1, used["max_redemptions"]
    over = bool(most and times >= most)
    state = {} if not over else {"valid": False} if used["object"] == "coupon" else {"active": False}
    objects.update(ctx, used, {"times_redeemed": times} | state, event=f"{used['object']}.updated")


def inherited(ctx: Context, invoice: Doc) -> list[str]:
    """What a new invoice takes over: its subscription's discounts, else its customer's."""
    subscription = objects.find(ctx, "subscription", invoice.get("_subscription"))
    customer = objects.load(ctx, "customer", invoice["customer"])
    held = (subscription or {}).get("discounts") or []
    if not held and customer["discount"]:
        held = [customer["discount"]["id"]]
    return [id for id in held if _is_on(objects.find(ctx, "discount", id), invoice.get("created", ctx.now))]


def _is_on(discount: Doc | None, at: int) -> bool:
    return bool(discount and not discount.get("_used") and (discount["end"] is None or at < discount["end"]))


def offs(
    ctx: Context, ids: list[str], currency: str, *, invoice: str | None = None, lasting: bool = False
) -> list[Off]:
    """What they take off: without what another invoice has used up, and amounts of other currencies. `lasting`
    leaves out what is for one invoice alone."""
    found = [objects.find(ctx, "discount", id) for id in ids]
    return [
        _off(discount)
        for discount in found
        if discount
        and discount.get("_used") in (None, invoice)
        and discount["_coupon"]["currency"] in (None, currency)
        and not (lasting and discount["_coupon"]["duration"] == "once")
    ]


def _off(discount: Doc) -> Off:
    coupon = discount["_coupon"]
    products = (coupon.get("_applies_to") or {}).get("products")
    percent = coupon["percent_off"]
    return Off(
        discount["id"],
        None if percent is None else Decimal(str(percent)),
        coupon["amount_off"],
        None if products is None else frozenset(products),
    )


def use_up(ctx: Context, invoice: Doc) -> None:
    """What took something off this invoice and is for one invoice alone is over."""
    for taken in invoice["total_discount_amounts"]:
        discount = objects.find(ctx, "discount", taken["discount"])
        if discount and taken["amount"] and discount["_coupon"]["duration"] == "once" and not discount.get("_used"):
            objects.update(ctx, discount, {"_used": invoice["id"]})
            if not discount["invoice"]:
                payload = {"discount": discount["id"]}
                jobs.schedule(ctx, "discount.end", due_at=ctx.now, name=discount["id"], payload=payload)


@jobs.job("discount.end")
def end_later(ctx: Context, payload: Doc) -> None:
    discount = objects.find(ctx, "discount", payload["discount"])
    if discount:
        end(ctx, discount)


def end(ctx: Context, discount: Doc) -> Doc:
    """Take it from whatever holds it. The stub that the API answers with."""
    customer = objects.find(ctx, "customer", discount["customer"])
    if customer and (customer["discount"] or {}).get("id") == discount["id"]:
        objects.update(ctx, customer, {"discount": None}, event="customer.updated")
    subscription = objects.find(ctx, "subscription", discount["subscription"])
    if subscription:
        objects.update(ctx, subscription, _without(subscription, discount["id"]), event="customer.subscription.updated")
    return forget(ctx, discount)


def forget(ctx: Context, discount: Doc) -> Doc:
    """It is over; what invoices have taken off stays. The caller takes it from its holder."""
    jobs.cancel(ctx, "discount.end", name=discount["id"])
    objects.update(ctx, discount, {"_used": discount.get("_used") or "ended"})
    if not (discount["invoice"] or discount["invoice_item"]):
        objects.announce(ctx, "customer.discount.deleted", discount)
    gone = {name: value for name, value in render(discount).items() if name != "end"}
    return gone | {"deleted": True}


def _without(subscription: Doc, id: str) -> Doc:
    items = [
        item | {"discounts": [held for held in item["discounts"] if held != id]}
        for item in subscription["items"]["data"]
    ]
    held = [held for held in subscription["discounts"] if held != id]
    return {"discounts": held, "items": subscription["items"] | {"data": items}}
