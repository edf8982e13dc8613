"""Discounts: a coupon put on a customer, a subscription, one of its items, an invoice or an invoice item.

A discount that lasts `once` is used up by the first invoice from which it takes something, a repeating one ends after
its months; then a job takes it from its holder. An invoice takes over its subscription's discounts, else its
customer's. Sources: Stripe docs, "Coupons and promotion codes", API reference "The Discount object".
"""

from decimal import Decimal
from typing import Any

from sandbox import jobs, objects
from sandbox.billing import redeeming
from sandbox.billing.periods import months_later
from sandbox.billing.reckoning import Off
from sandbox.billing.redeeming import Purchase
from sandbox.context import Context
from sandbox.documents import new_document, render
from sandbox.errors import ApiError
from sandbox.events import previous_attributes
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
    ctx: Context,
    given: list[dict[str, Any]] | None,
    customer: str,
    path: str = "discounts",
    *,
    purchase: Purchase | None = None,
    quietly: bool = False,
    **place: Any,
) -> list[str]:
    """The ids of the discounts that a list of coupons, promotion codes and discounts comes to. `place` is where they
    are put: subscription, subscription_item, invoice, invoice_item; `purchase` what they are for, if that is known.
    `quietly` leaves telling of them to the caller."""
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
            coupon, code = redeeming.named(ctx, one, customer, name, purchase)
            ids.append(str(redeem(ctx, coupon, code, customer, quietly=quietly, **place)["id"]))
    return ids


def replaced(
    ctx: Context,
    old: list[str],
    given: list[dict[str, Any]] | None,
    customer: str,
    path: str = "discounts",
    **more: Any,
) -> list[str]:
    """The same for a holder that has discounts: those that are not named again end. None takes all away. A holder that
    goes from one coupon to another is told with customer.discount.updated (API reference, "Types of events")."""
    ids = put(ctx, given, customer, path, quietly=True, **more)
    gone = [objects.load(ctx, "discount", id) for id in old if id not in ids]
    new = [objects.load(ctx, "discount", id) for id in ids if id not in old]
    switched = len(gone) == len(new) == 1 and is_told(new[0])
    for discount in gone:
        forget(ctx, discount, quietly=switched)
    if switched:
        previous = previous_attributes(render(gone[0]), render(new[0]))
        objects.announce(ctx, "customer.discount.updated", new[0], previous=previous)
    else:
        for discount in new:
            _tell_created(ctx, discount)
    return ids


def is_told(discount: Doc) -> bool:
    """Discounts of single invoices have no events."""
    return not (discount["invoice"] or discount["invoice_item"] or discount["checkout_session"])


def _tell_created(ctx: Context, discount: Doc) -> None:
    if is_told(discount):
        objects.announce(ctx, "customer.discount.created", discount)


def redeem(
    ctx: Context, coupon: Doc, code: Doc | None, customer: str | None, *, quietly: bool = False, **place: Any
) -> Doc:
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
        "_coupon": render(coupon) | {name: coupon.get(name) for name in ("_applies_to", "_currency_options")},
        **place,
    }  # fmt: skip
    for used in filter(None, (coupon, code)):
        redeeming.count(ctx, used)
    made = objects.create(ctx, "discount", new_document(ctx, "discount", fields))
    if made["end"]:
        jobs.schedule(ctx, "discount.end", due_at=made["end"], name=made["id"], payload={"discount": made["id"]})
    if not quietly:
        _tell_created(ctx, made)
    return made


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
        off(discount["id"], discount["_coupon"], currency)
        for discount in found
        if discount
        and discount.get("_used") in (None, invoice)
        and is_in(discount["_coupon"], currency)
        and not (lasting and discount["_coupon"]["duration"] == "once")
    ]


def is_in(coupon: Doc, currency: str) -> bool:
    """Whether a coupon takes anything off in this currency."""
    return coupon["currency"] in (None, currency) or currency in (coupon.get("_currency_options") or {})


def off(id: str, coupon: Doc, currency: str) -> Off:
    """What a coupon takes off in one of its currencies."""
    products = (coupon.get("_applies_to") or {}).get("products")
    percent, option = coupon["percent_off"], (coupon.get("_currency_options") or {}).get(currency)
    return Off(
        id,
        None if percent is None else Decimal(str(percent)),
        option["amount_off"] if option else coupon["amount_off"],
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


def forget(ctx: Context, discount: Doc, *, quietly: bool = False) -> Doc:
    """It is over; what invoices have taken off stays. The caller takes it from its holder."""
    jobs.cancel(ctx, "discount.end", name=discount["id"])
    objects.update(ctx, discount, {"_used": discount.get("_used") or "ended"})
    if is_told(discount) and not quietly:
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
