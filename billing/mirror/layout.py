"""How a Stripe object becomes a row: a layout per table, read once from the columns of dj-stripe's model.

A model's fields say nearly all: their names are the keys of Stripe's object, their types say how a value is written.
What dj-stripe's own sync does otherwise in its hooks, and what newer API versions keep in another place than the one
it looks at, stands in `PLACES`, each with its reason.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from functools import cache, cached_property, partial
from typing import Any

from django.db import models
from djstripe import models as djstripe
from djstripe.fields import StripeDateTimeField, StripeDecimalCurrencyAmountField

from billing.mirror.raw import RawObject
from billing.mirror.shapes import LAST_SECOND, MOST, id_of, inner

Data = dict[str, Any]
Read = Callable[[Data], Any]

OWNER = "djstripe_owner_account_id"
MODE = "livemode"
CREATED, UPDATED = "djstripe_created", "djstripe_updated"
DATA = "stripe_data"


@dataclass(frozen=True)
class Column:
    """One column of a table: how its value is read from Stripe's object, and written by PostgreSQL."""

    name: str
    read: Read | None  # None: the writer knows it, the object does not (owner, times, the object itself)
    sql_type: str  # as PostgreSQL reads it from JSON
    value: str  # the SQL of what is written; `r` is the row as it was sent
    keeps: bool = False  # an empty value does not overwrite what the row has
    only_new: bool = False  # written when the row is made, and never again
    target: Any = None  # the model that a foreign key points to
    required: bool = False  # a foreign key that may not be empty


@dataclass(frozen=True, eq=False)
class Layout:
    """A table of the mirror."""

    table: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ("id",)  # its unique columns, by which a row is found again

    @cached_property
    def names(self) -> frozenset[str]:
        return frozenset(column.name for column in self.columns)

    @cached_property
    def reads(self) -> tuple[tuple[str, Read], ...]:
        return tuple((column.name, column.read) for column in self.columns if column.read is not None)

    @cached_property
    def required(self) -> tuple[str, ...]:
        """The foreign keys that may not be empty."""
        return tuple(column.name for column in self.columns if column.required)

    @cached_property
    def inward(self) -> tuple[str, ...]:
        """The foreign keys to the table itself that PostgreSQL looks up: a payout's to the one that it reverses."""
        looked_up = (column for column in self.columns if column.target is not None and "SELECT" in column.value)
        return tuple(column.name for column in looked_up if column.target._meta.db_table == self.table)


def at(*keys: str) -> Read:
    """Read a value, which may lie deeper in the object; None when anything on the way is missing."""
    if len(keys) == 1:
        return partial(top, keys[0])

    def read(data: Data) -> Any:
        value: Any = data
        for key in keys:
            value = inner(value).get(key)
        return value

    return read


def top(key: str, data: Data) -> Any:
    return data.get(key)


def first_of(*reads: Read) -> Read:
    def read(data: Data) -> Any:
        for one in reads:
            value = one(data)
            if value:
                return value
        return None

    return read


def seconds_of(data: Data) -> Any:
    """Version 2 objects give their creation as text (RFC 3339), all others in seconds."""
    created = data.get("created")
    try:
        return datetime.fromisoformat(created).timestamp() if isinstance(created, str) else created
    except (ValueError, OverflowError):  # it is no time
        return None


# Where a column's value lies when it is not under the column's own name.
PLACES: dict[tuple[type[models.Model], str], Read] = {
    # Filled by hooks of dj-stripe's models.
    (djstripe.Customer, "default_payment_method"): at("invoice_settings", "default_payment_method"),
    (djstripe.Event, "request_id"): at("request", "id"),
    (djstripe.Event, "idempotency_key"): at("request", "idempotency_key"),
    (djstripe.AccountV2, "created"): seconds_of,
    (RawObject, "created"): seconds_of,
    (RawObject, "kind"): at("object"),
    (RawObject, "id"): first_of(at("id"), at("customer")),
    (RawObject, "customer_id"): lambda data: id_of(data.get("customer")),
    # Moved by Stripe since dj-stripe looked (Stripe's changelog, 2025-03-31.basil): it leaves these empty.
    (djstripe.Invoice, "subscription"): first_of(
        at("subscription"), at("parent", "subscription_details", "subscription")
    ),
    (djstripe.InvoiceItem, "subscription"): first_of(
        at("subscription"), at("parent", "subscription_details", "subscription")
    ),
    (djstripe.InvoiceItem, "price"): first_of(at("price"), at("pricing", "price_details", "price")),
    (djstripe.LineItem, "subscription"): first_of(
        at("subscription"),
        at("parent", "subscription_item_details", "subscription"),
        at("parent", "invoice_item_details", "subscription"),
    ),
    (djstripe.LineItem, "subscription_item"): first_of(
        at("subscription_item"), at("parent", "subscription_item_details", "subscription_item")
    ),
    (djstripe.LineItem, "invoice_item"): first_of(
        at("invoice_item"),
        at("parent", "invoice_item_details", "invoice_item"),
        at("parent", "subscription_item_details", "invoice_item"),
    ),
}
# Whose value the object does not say at all any more: what an older API version said stays.
KEPT = {
    (djstripe.Invoice, "charge"),
    (djstripe.Invoice, "payment_intent"),
    (djstripe.Charge, "invoice"),
    (djstripe.Dispute, "balance_transaction"),
}
# Not Stripe's to say: our own link says whose a customer is, and a deletion when its row was purged.
OURS = {
    (djstripe.Customer, "subscriber"),
    (djstripe.Customer, "date_purged"),
}


@cache
def layout_of(model: type[models.Model]) -> Layout:
    """Return the layout of a dj-stripe model's table."""
    taken = [
        field
        for field in model._meta.local_concrete_fields
        if not isinstance(field, models.AutoField) and (model, field.name) not in OURS
    ]
    columns = tuple(column_of(model, field) for field in taken)
    return Layout(model._meta.db_table, columns, key_of(model))


def key_of(model: type[models.Model]) -> tuple[str, ...]:
    """Stripe's id; coupons' are chosen by people, and may be the same in live and in test mode."""
    if model is RawObject:
        return ("kind", "id")
    field: Any = model._meta.get_field("id")
    if field.unique:
        return ("id",)
    return tuple(model._meta.unique_together[0])


@dataclass(frozen=True)
class Links:
    """A table that links the rows of two others: an item and the tax rates that it lists."""

    table: str
    key: str  # in Stripe's object: the list of what is linked
    owner_table: str
    owner_column: str
    target: Any  # the other model
    target_column: str


@cache
def links_of(model: type[models.Model]) -> tuple[Links, ...]:
    """Return the many-to-many tables of a model."""
    return tuple(
        Links(
            table=field.m2m_db_table(),
            key=field.name,
            owner_table=model._meta.db_table,
            owner_column=field.m2m_column_name(),
            target=field.related_model,
            target_column=field.m2m_reverse_name(),
        )
        for field in model._meta.local_many_to_many
    )


def column_of(model: type[models.Model], field: Any) -> Column:
    if field.column in WRITERS:
        return WRITERS[field.column]
    special = SPECIAL.get((model, field.name))
    if special is not None:
        return special
    name: str = field.column
    place = PLACES.get((model, field.name), at(field.name))
    if isinstance(field, models.ForeignKey):
        return foreign_key(model, field, place)
    if isinstance(field, (StripeDateTimeField, models.DateTimeField)):
        return Column(name, seconds(place), "double precision", f"to_timestamp(r.{name})")
    if isinstance(field, models.JSONField):
        return Column(name, place, "jsonb", f"r.{name}")
    if isinstance(field, StripeDecimalCurrencyAmountField):
        return Column(name, hundredths(place, field), "numeric", f"r.{name}")
    if isinstance(field, (models.CharField, models.TextField)):
        longest = field.max_length if isinstance(field, models.CharField) else None
        return Column(name, text(place, longest), "text", f"r.{name}")
    if isinstance(field, models.BooleanField):
        return Column(name, truth(place), "boolean", f"r.{name}")
    if isinstance(field, models.IntegerField):
        most = MOST if isinstance(field, models.BigIntegerField) else MOST >> 32
        return Column(name, whole_number(place, most), "bigint", f"r.{name}")
    raise TypeError(f"{model.__name__}.{field.name} is of a type that no column of the mirror has had yet.")


def foreign_key(model: type[models.Model], field: Any, place: Read) -> Column:
    """Most point to Stripe's id; a few to the other table's own number, which PostgreSQL looks up as it writes."""
    target = field.related_model
    value = f"r.{field.column}"
    if field.target_field.column not in ("id",):
        number, table = field.target_field.column, target._meta.db_table
        value = f'(SELECT p.{number} FROM "{table}" p WHERE p.id = r.{field.column})'  # noqa: S608
    return Column(
        field.column,
        reference(place),
        "text",
        value,
        keeps=(model, field.name) in KEPT,
        target=target,
        required=not field.null,
    )


def reference(place: Read) -> Read:
    def read(data: Data) -> str | None:
        value = place(data)
        return value or None if type(value) is str else id_of(value) or None

    return read


def text(place: Read, longest: int | None) -> Read:
    """dj-stripe keeps an empty text where Stripe says null. What is longer than the column stays whole in the data."""

    def read(data: Data) -> str:
        value = place(data)
        return "" if value is None else str(value)[:longest]

    return read


# What is of another type than the column, or does not fit into it, stays in the data alone.


def truth(place: Read) -> Read:
    def read(data: Data) -> bool | None:
        value = place(data)
        return value if value.__class__ is bool else None

    return read


def whole_number(place: Read, most: int) -> Read:
    def read(data: Data) -> int | None:
        value = place(data)
        return value if value.__class__ is int and -most <= value <= most else None

    return read


def seconds(place: Read) -> Read:
    def read(data: Data) -> float | None:
        value = place(data)
        return value if value.__class__ in (int, float) and 0 <= value <= LAST_SECOND else None

    return read


def hundredths(place: Read, field: Any) -> Read:
    """dj-stripe keeps these amounts, which Stripe gives in the minor unit, divided by a hundred, yen like dollars."""
    limit = Decimal(10) ** (field.max_digits - field.decimal_places)

    def read(data: Data) -> str | None:
        value = place(data)
        try:
            amount = None if value is None else Decimal(str(value)) / 100
            return str(amount) if amount is not None and -limit < amount < limit else None
        except InvalidOperation:  # it is no number
            return None

    return read


# What the writer knows and the object does not.
WRITERS = {
    CREATED: Column(CREATED, None, "timestamptz", f"r.{CREATED}", only_new=True),
    UPDATED: Column(UPDATED, None, "timestamptz", f"r.{UPDATED}"),
    DATA: Column(DATA, None, "jsonb", f"r.{DATA}"),
    OWNER: Column(OWNER, None, "text", f"r.{OWNER}", keeps=True),
}
SPECIAL: dict[tuple[type[models.Model], str], Column] = {
    (djstripe.WebhookEndpoint, "secret"): Column("secret", None, "text", "''", only_new=True),
    (djstripe.WebhookEndpoint, "djstripe_uuid"): Column(
        "djstripe_uuid",
        at("metadata", "djstripe_uuid"),
        "uuid",
        "coalesce(r.djstripe_uuid, gen_random_uuid())",
        only_new=True,
    ),
    (djstripe.WebhookEndpoint, "djstripe_tolerance"): Column(
        "djstripe_tolerance",
        at("djstripe_tolerance"),
        "smallint",
        "coalesce(r.djstripe_tolerance, 300)",
        only_new=True,
    ),
    (djstripe.WebhookEndpoint, "djstripe_validation_method"): Column(
        "djstripe_validation_method",
        at("djstripe_validation_method"),
        "text",
        "coalesce(r.djstripe_validation_method, 'verify_signature')",
        only_new=True,
    ),
}
