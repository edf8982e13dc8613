"""The adapter around dj-stripe: its models and tables are our mirror; the way into them is ours.

dj-stripe's sync is made for the middle of a web request. It looks its own account up for every object and keeps the
API key in clear to do so; it fetches what it misses from inside the transaction; it asks for a product's features at
each write; and it fails on discounts of the present API version. `adapt_djstripe` takes these ways out of it. What
is taken out is named here, each with its reason, and nothing else of dj-stripe is changed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import stripe
from django.core.exceptions import ObjectDoesNotExist
from django.db import transaction
from djstripe.models import Account, Customer, Product
from djstripe.models.base import StripeModel

from billing.inbox.models import InboxEvent
from billing.mirror.fetch import as_stripe_object
from billing.mirror.kinds import KINDS, Ref
from billing.mirror.owner import owner_account
from billing.stripe_client import no_calls

Data = dict[str, Any]


class ParentMissing(Exception):
    """An object refers to another one that is not in the mirror yet."""

    def __init__(self, ref: Ref) -> None:
        super().__init__(f"{ref} is not in the mirror yet.")
        self.ref = ref
        self.cause: InboxEvent | None = None  # the event for whose sake it is needed


class Unwritable(Exception):
    """dj-stripe's tables have no place for this object as Stripe has it."""


def first_line(error: BaseException) -> str:
    """What PostgreSQL says of an error, without the further lines, which quote the row."""
    return (str(error).splitlines() or [""])[0]


@dataclass
class Write:
    """One object on its way into the tables."""

    owner: Account | None
    absent: frozenset[Ref]  # references to leave empty: Stripe has them no more, or they wait for this write
    missing: list[Ref] = field(default_factory=list)


_write: ContextVar[Write | None] = ContextVar("mirror_write", default=None)


def sync(ref: Ref, data: Data, *, owner: Account | None, absent: frozenset[Ref]) -> StripeModel:
    """Write one object through dj-stripe in a transaction, calling nobody; return its row.

    Raises ParentMissing, with nothing written, when it refers to an object that is neither mirrored nor `absent`;
    Unwritable when a column that dj-stripe requires stays empty.
    """
    stripe_object = as_stripe_object(data)
    with transaction.atomic(), no_calls(), writing(Write(owner, absent)) as write:
        try:
            row = KINDS[ref.kind].model.sync_from_stripe_data(stripe_object)
        except ObjectDoesNotExist as error:
            # dj-stripe takes every IntegrityError for a race it lost, and looks for the row that the winner wrote.
            raise Unwritable(f"{ref} has no place in the mirror: {error.__context__ or error}") from error
        if write.missing:  # dj-stripe swallows exceptions in places, ours too: the list remembers
            raise ParentMissing(write.missing[0])
    return row


@contextmanager
def writing(write: Write) -> Iterator[Write]:
    token = _write.set(write)
    try:
        yield write
    finally:
        _write.reset(token)


def adapt_djstripe() -> None:
    """Change dj-stripe's sync, once, when Django starts."""
    StripeModel.api_retrieve = retrieve
    StripeModel._find_owner_account = classmethod(find_owner)
    Product._sync_product_features = skip
    Customer._attach_objects_post_save_hook = StripeModel._attach_objects_post_save_hook


_retrieve = StripeModel.api_retrieve


def retrieve(self: StripeModel, api_key: str | None = None, stripe_account: str | None = None) -> Any:
    """What dj-stripe calls when a reference is not in its tables.

    Inside a write nothing is fetched: it stops, the parent is mirrored under its own lock, and it begins again.
    """
    write = _write.get()
    if write is None:
        return _retrieve(self, api_key=api_key, stripe_account=stripe_account)
    ref = Ref(self.stripe_class.OBJECT_NAME, self.id)
    if ref.kind not in KINDS or ref in write.absent:
        # The answer on which dj-stripe leaves the reference empty; the id remains in stripe_data.
        raise stripe.InvalidRequestError(f"No such {ref.kind}: '{ref.id}'", param="id", code="resource_missing")
    write.missing.append(ref)
    raise ParentMissing(ref)


def find_owner(cls: type[StripeModel], data: Any, api_key: str | None = None, livemode: bool | None = None) -> Any:
    """Return the account of our key, known beforehand.

    dj-stripe's own way writes the API key in clear into its table, goes on using that row after the key was rolled,
    fails with restricted keys, and costs a fifth of the time of a write.
    """
    write = _write.get()
    return write.owner if write else owner_account()


def skip(_self: Product, api_key: str | None = None) -> None:
    """A product's features are a call to Stripe for each write of a product, and nothing here reads them yet."""


# Customer's own hook reads `discount.coupon`, which API versions since 2025-09-30 give as `discount.source.coupon`,
# and so fails for every customer with a discount; apart from that it keeps legacy sources, which we do not take.
