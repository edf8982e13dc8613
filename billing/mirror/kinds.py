"""The kinds of Stripe objects that have a table in the mirror: where Stripe keeps them, and which model holds them.

A kind that stands here is mirrored; events about any other are stored, and counted, and no more.
"""

from dataclasses import dataclass
from typing import Any

from djstripe import models as djstripe
from djstripe.models.base import StripeModel


@dataclass(frozen=True)
class Ref:
    """One object at Stripe: its kind (Stripe's `object`) and its id."""

    kind: str
    id: str

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


@dataclass(frozen=True)
class Kind:
    name: str  # Stripe's `object`
    model: type[StripeModel]
    path: str  # of the collection
    # What dj-stripe's models need inside the object instead of an id (Stripe docs: "Expanding responses").
    expand: tuple[str, ...] = ()
    # How the whole collection is listed; None where Stripe lists it only under a parent, or not at all.
    listing: dict[str, Any] | None = None


ALL: dict[str, Any] = {}  # the listing needs no filter

# In an order in which parents stand before their children: resync goes from top to bottom.
KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("product", djstripe.Product, "/v1/products", listing=ALL),
        Kind("price", djstripe.Price, "/v1/prices", ("currency_options", "tiers"), listing=ALL),
        Kind("coupon", djstripe.Coupon, "/v1/coupons", ("applies_to",), listing=ALL),
        Kind("promotion_code", djstripe.PromotionCode, "/v1/promotion_codes", listing=ALL),
        Kind("tax_rate", djstripe.TaxRate, "/v1/tax_rates", listing=ALL),
        Kind("shipping_rate", djstripe.ShippingRate, "/v1/shipping_rates", listing=ALL),
        Kind("entitlements.feature", djstripe.Feature, "/v1/entitlements/features", listing=ALL),
        Kind("customer", djstripe.Customer, "/v1/customers", listing=ALL),
        Kind("payment_method", djstripe.PaymentMethod, "/v1/payment_methods"),
        Kind("tax_id", djstripe.TaxId, "/v1/tax_ids"),
        Kind("subscription", djstripe.Subscription, "/v1/subscriptions", listing={"status": "all"}),
        Kind("subscription_item", djstripe.SubscriptionItem, "/v1/subscription_items"),
        Kind("subscription_schedule", djstripe.SubscriptionSchedule, "/v1/subscription_schedules", listing=ALL),
        Kind("setup_intent", djstripe.SetupIntent, "/v1/setup_intents", listing=ALL),
        Kind("payment_intent", djstripe.PaymentIntent, "/v1/payment_intents", listing=ALL),
        Kind("balance_transaction", djstripe.BalanceTransaction, "/v1/balance_transactions"),
        Kind("charge", djstripe.Charge, "/v1/charges", ("balance_transaction",), listing=ALL),
        Kind("refund", djstripe.Refund, "/v1/refunds", listing=ALL),
        Kind("dispute", djstripe.Dispute, "/v1/disputes", listing=ALL),
        Kind(
            "invoice",
            djstripe.Invoice,
            "/v1/invoices",
            ("discounts", "lines.data.discounts", "payments"),
            listing=ALL,
        ),
        Kind("invoiceitem", djstripe.InvoiceItem, "/v1/invoiceitems", ("discounts",), listing=ALL),
        Kind("checkout.session", djstripe.Session, "/v1/checkout/sessions", listing=ALL),
        Kind("mandate", djstripe.Mandate, "/v1/mandates"),
        Kind("payout", djstripe.Payout, "/v1/payouts", listing=ALL),
        Kind("radar.early_fraud_warning", djstripe.EarlyFraudWarning, "/v1/radar/early_fraud_warnings", listing=ALL),
        Kind("review", djstripe.Review, "/v1/reviews", listing=ALL),
    )
}
