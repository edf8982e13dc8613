"""The plans on offer: frozen values made from Stripe's products and prices, no database.

A product is a plan when its metadata say so:
- `kessai_plan`: the plan's key, such as `business`; a product without it is never offered here;
- `kessai_order`: its place on the page, a whole number (plans without one come last).
What the plan offers is the product's own `marketing_features` (Stripe docs: "Products", marketing features).

A product has one language; metadata may say the same in others:
- `kessai_description_ja`: the description in Japanese;
- `kessai_features_ja`: what it offers, `|` between the lines.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from billing.mirror.shapes import id_of, made_at

LAST = 1_000_000  # the place of a plan that names none


@dataclass(frozen=True)
class Feature:
    """One line of what a plan offers, in the words of the product."""

    name: str


@dataclass(frozen=True)
class PlanPrice:
    """What a plan costs each interval: `unit_amount` minor units of `currency`."""

    id: str
    product_id: str
    lookup_key: str
    unit_amount: int
    currency: str
    interval: str
    interval_count: int
    created: datetime


@dataclass(frozen=True)
class Plan:
    key: str
    product_id: str
    name: str
    description: str
    order: int
    features: tuple[Feature, ...]
    prices: tuple[PlanPrice, ...]

    def price_for(self, currency: str, interval: str) -> PlanPrice | None:
        """Return the newest price in this currency and interval: versions replace each other."""
        fitting = [price for price in self.prices if (price.currency, price.interval) == (currency, interval)]
        return max(fitting, key=lambda price: (price.created, price.id), default=None)


@dataclass(frozen=True)
class Catalog:
    """All plans on offer, in the order in which they are shown."""

    plans: tuple[Plan, ...]

    def find_price(self, price_id: str) -> tuple[Plan, PlanPrice] | None:
        """Return the plan and price that are on offer under `price_id`."""
        for plan in self.plans:
            for price in plan.prices:
                if price.id == price_id:
                    return plan, price
        return None

    @property
    def currencies(self) -> tuple[str, ...]:
        return tuple(sorted({price.currency for plan in self.plans for price in plan.prices}))

    def intervals(self, currency: str) -> tuple[str, ...]:
        """Return the intervals that some plan has in `currency`, shortest first."""
        found = {price.interval for plan in self.plans for price in plan.prices if price.currency == currency}
        return tuple(interval for interval in ("day", "week", "month", "year") if interval in found)


def read_catalog(
    products: Iterable[Mapping[str, Any]], prices: Iterable[Mapping[str, Any]], *, language: str = ""
) -> Catalog:
    """Make the catalogue of Stripe's objects: active plans that have at least one price we can show.

    What they say of themselves is in `language` where their metadata have it, else in the product's own.
    """
    by_product: dict[str, list[PlanPrice]] = {}
    for price in map(read_price, prices):
        if price:
            by_product.setdefault(price.product_id, []).append(price)
    plans = (read_plan(product, by_product.get(product["id"], []), language) for product in products)
    shown = [plan for plan in plans if plan]
    return Catalog(tuple(sorted(shown, key=lambda plan: (plan.order, plan.name, plan.product_id))))


def read_price(data: Mapping[str, Any]) -> PlanPrice | None:
    """Read a price; None unless it is active, recurring, and one whole amount per unit.

    Prices by usage, in tiers or in fractions of the minor unit cannot be named in one number before they are used.
    """
    recurring = data.get("recurring") or {}
    sellable = (
        data.get("active")
        and recurring.get("usage_type") == "licensed"
        and recurring.get("interval_count", 1) == 1
        and data.get("billing_scheme", "per_unit") == "per_unit"
        and data.get("unit_amount") is not None
        and not data.get("transform_quantity")
    )
    if not sellable:
        return None
    return PlanPrice(
        id=data["id"],
        product_id=id_of(data.get("product")),
        lookup_key=data.get("lookup_key") or "",
        unit_amount=data["unit_amount"],
        currency=data["currency"],
        interval=recurring["interval"],
        interval_count=1,
        created=made_at(data),
    )


def read_plan(product: Mapping[str, Any], prices: list[PlanPrice], language: str) -> Plan | None:
    metadata = product.get("metadata") or {}
    key = (metadata.get("kessai_plan") or "").strip()
    if not key or not product.get("active") or not prices:
        return None
    return Plan(
        key=key,
        product_id=product["id"],
        name=product.get("name") or key,
        description=metadata.get(f"kessai_description_{language}") or product.get("description") or "",
        order=read_order(metadata.get("kessai_order")),
        features=read_translated(metadata.get(f"kessai_features_{language}"))
        or read_features(product.get("marketing_features")),
        prices=tuple(sorted(prices, key=lambda price: (price.currency, price.interval, price.id))),
    )


def read_order(text: str | None) -> int:
    """Return the place that metadata name; the last one where they hold no whole number."""
    try:
        return int(text or "")
    except ValueError:
        return LAST


def read_features(entries: Iterable[Mapping[str, Any]] | None) -> tuple[Feature, ...]:
    names = (str(entry.get("name") or "").strip() for entry in entries or ())
    return tuple(Feature(name) for name in names if name)


def read_translated(text: str | None) -> tuple[Feature, ...]:
    return read_features({"name": line} for line in (text or "").split("|"))
