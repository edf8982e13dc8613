"""Bring the mirror to what Stripe lists now: all kinds, one kind, one object. Safe beside live events.

A list is a little old when it has been read. So it only says what to look at: an object that differs from its row is
asked for again under its lock, like one that an event announced. An object without a row is written as it was listed.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from enum import Enum
from typing import Any

import stripe
import structlog
from djstripe.models import Customer

from billing.mirror.djstripe import Unwritable, first_line
from billing.mirror.fetch import Data, as_stripe_object, complete, fetch, fetch_all, is_cut_short
from billing.mirror.kinds import KINDS, Kind, Ref
from billing.mirror.objects import Change, mirror_object, stored

log = structlog.get_logger(__name__)

# Stripe's ids say by their prefix what they are of. Coupons have none: their ids are chosen by people.
PREFIXES = {
    "prod_": "product",
    "price_": "price",
    "promo_": "promotion_code",
    "txr_": "tax_rate",
    "shr_": "shipping_rate",
    "feat_": "entitlements.feature",
    "cus_": "customer",
    "pm_": "payment_method",
    "txi_": "tax_id",
    "sub_sched_": "subscription_schedule",
    "sub_": "subscription",
    "si_": "subscription_item",
    "seti_": "setup_intent",
    "pi_": "payment_intent",
    "txn_": "balance_transaction",
    "ch_": "charge",
    "py_": "charge",
    "re_": "refund",
    "pyr_": "refund",
    "du_": "dispute",
    "dp_": "dispute",
    "in_": "invoice",
    "ii_": "invoiceitem",
    "cs_": "checkout.session",
    "mandate_": "mandate",
    "po_": "payout",
    "issfr_": "radar.early_fraud_warning",
    "prv_": "review",
}


class Unavailable(Enum):
    """Why a kind could not be read as a whole; the other kinds go on."""

    NOT_OFFERED = "Stripe does not offer this kind here"
    NOT_ALLOWED = "the key may not read this kind"


Clock = Callable[[], datetime]
Seen = Callable[[], object]


def listable() -> list[Kind]:
    """The kinds that can be resynced as a whole, parents before children."""
    return [kind for kind in KINDS.values() if kind.listing is not None or kind.name == "payment_method"]


def kind_of(object_id: str) -> str | None:
    """Return the kind that an id's prefix names, None for an id that says nothing."""
    return next((kind for prefix, kind in PREFIXES.items() if object_id.startswith(prefix)), None)


def resync_kind(kind: Kind, clock: Clock, *, dry_run: bool, seen: Seen) -> Counter[Change] | Unavailable:
    """Resync everything that Stripe lists of a kind; `seen` is called for each object.

    Raises stripe.StripeError when Stripe does not answer, or not to our key.
    """
    counts: Counter[Change] = Counter()
    try:
        for page in listed_pages(kind):
            for change in resync_page(kind, page, clock, dry_run=dry_run):
                counts[change] += 1
                seen()
    except stripe.PermissionError:
        return Unavailable.NOT_ALLOWED
    except stripe.InvalidRequestError as error:
        if error.http_status == 404 and not counts:
            return Unavailable.NOT_OFFERED
        raise
    return counts


def listed_pages(kind: Kind) -> Iterator[list[Data]]:
    if kind.name != "payment_method":
        yield from fetch_all(kind)
        return
    # Stripe lists payment methods only customer by customer (Stripe docs: "List a Customer's PaymentMethods").
    customers = Customer.objects.filter(date_purged__isnull=True).values_list("id", flat=True)
    for customer_id in customers.iterator():
        yield from fetch_all(kind, path=f"/v1/customers/{customer_id}/payment_methods")


def resync_page(kind: Kind, page: list[Data], clock: Clock, *, dry_run: bool) -> Iterable[Change]:
    """Compare a page with its rows in one query; look closer only at what differs."""
    ids = [data["id"] for data in page]
    rows: dict[str, Data] = dict(kind.model.objects.filter(id__in=ids).values_list("id", "stripe_data"))
    for data in page:
        yield resync_listed(kind, data, rows.get(data["id"]), clock, dry_run=dry_run)


def resync_listed(kind: Kind, data: Data, row: Data | None, clock: Clock, *, dry_run: bool) -> Change:
    if is_cut_short(data):
        data = complete(data)
    if row is not None and row == as_stored(kind, data):
        return Change.UNCHANGED
    if dry_run:
        return Change.CREATED if row is None else Change.UPDATED
    try:
        return mirror_object(Ref(kind.name, data["id"]), now=clock(), listed=data)
    except Unwritable as error:
        log.warning("resync:refused", object_id=data["id"], error=first_line(error))
        return Change.REFUSED


def resync_object(ref: Ref, clock: Clock, *, dry_run: bool) -> Change:
    """Bring one object to what Stripe says now; with `dry_run` only say what that would do."""
    if not dry_run:
        return mirror_object(ref, now=clock())
    row, data = stored(ref), fetch(ref)
    if data is None:
        return Change.ABSENT if row is None else Change.UNCHANGED if row.get("deleted") else Change.DELETED
    if row is None:
        return Change.CREATED
    return Change.UNCHANGED if row == as_stored(KINDS[ref.kind], data) else Change.UPDATED


def as_stored(kind: Kind, data: Data) -> Data:
    """The object in the form in which dj-stripe keeps it: its models add a few keys of their own."""
    copy: dict[str, Any] = json.loads(str(as_stripe_object(data)))
    kept: Data = kind.model._manipulate_stripe_object_hook(copy)
    return kept
