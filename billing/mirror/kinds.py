"""The kinds of Stripe objects: where Stripe keeps them, and which table of the mirror holds them.

To mirror another kind, add one line here. A kind that dj-stripe has a model for stands in `KINDS`, with that model;
its columns follow from the model's fields (`layout.py`). A kind without a model stands in `RAW`: its objects are kept
whole in `billing_rawobject`, and asked for under the path that is given. A kind that nobody has named is kept from the
payloads of events alone: `kind_for` makes a kind for any name.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db.models import Model
from djstripe import models as djstripe
from djstripe.models.payment_methods import SourceTransaction


class Ref(NamedTuple):
    """One object at Stripe: its kind (Stripe's `object`) and its id. A tuple: sets and dicts are full of them."""

    kind: str
    id: str

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


@dataclass(frozen=True)
class Under:
    """A kind that Stripe lists parent by parent only."""

    kind: str  # the parents'
    path: str  # of the list; {id} is the parent's
    param: str = ""  # the parameter that names the parent, where the path does not
    key: str = ""  # the key under which the parent is noted in the child, where Stripe does not say it


@dataclass(frozen=True)
class Gathered:
    """An object that only events tell, and that is but a list: how Stripe is asked for the whole of that."""

    path: str  # of the list
    param: str  # the parameter, and the object's key, that names whose list it is
    place: str  # the key under which the object shows the list
    url: str  # as the object shows it; {id} is the owner's


@dataclass(frozen=True)
class Kind:
    name: str  # Stripe's `object`
    model: type[Model] | None  # None: kept whole in billing_rawobject
    path: str = ""  # of the collection; empty where Stripe answers no single object of this kind
    # What Stripe leaves out unless it is asked for, and what the mirror keeps (Stripe docs: "Expanding responses",
    # "includable properties"). Events lack it, so such kinds are always asked for.
    expand: tuple[str, ...] = ()
    # How the whole collection is listed; None where Stripe lists it only under a parent, or not at all.
    listing: Mapping[str, Any] | None = None
    under: Under | None = None
    # References that are worth expanding whenever Stripe is asked anyway: each spares a call. `collapse` parts them.
    spares: tuple[str, ...] = ()
    gathered: Gathered | None = None

    @property
    def fetchable(self) -> bool:
        """Whether Stripe can be asked for one object by its id."""
        return bool(self.path)


ALL: dict[str, Any] = {}  # the listing needs no filter
TRANSACTION = ("balance_transaction",)


def of_customer(path: str) -> Under:
    return Under("customer", f"/v1/customers/{{id}}/{path}")


# In an order in which parents stand before their children: resync goes from top to bottom.
KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("account", djstripe.Account, "/v1/accounts", listing=ALL),
        Kind("v2.core.account", djstripe.AccountV2, "/v2/core/accounts"),
        Kind("country_spec", djstripe.CountrySpec, "/v1/country_specs", listing=ALL),
        Kind("tax_code", djstripe.TaxCode, "/v1/tax_codes", listing=ALL),
        Kind("file", djstripe.File, "/v1/files", listing=ALL),
        Kind("file_link", djstripe.FileLink, "/v1/file_links", listing=ALL),
        Kind("webhook_endpoint", djstripe.WebhookEndpoint, "/v1/webhook_endpoints", listing=ALL),
        Kind("product", djstripe.Product, "/v1/products", listing=ALL),
        Kind("price", djstripe.Price, "/v1/prices", ("currency_options", "tiers"), listing=ALL),
        Kind("coupon", djstripe.Coupon, "/v1/coupons", ("applies_to",), listing=ALL),
        Kind("promotion_code", djstripe.PromotionCode, "/v1/promotion_codes", listing=ALL),
        Kind("tax_rate", djstripe.TaxRate, "/v1/tax_rates", listing=ALL),
        Kind("shipping_rate", djstripe.ShippingRate, "/v1/shipping_rates", listing=ALL),
        Kind("entitlements.feature", djstripe.Feature, "/v1/entitlements/features", listing=ALL),
        Kind(
            "product_feature",
            djstripe.ProductFeature,
            under=Under("product", "/v1/products/{id}/features", key="product"),
        ),
        Kind("customer", djstripe.Customer, "/v1/customers", listing=ALL),
        Kind(
            "entitlements.active_entitlement",
            djstripe.ActiveEntitlement,
            "/v1/entitlements/active_entitlements",
            under=Under("customer", "/v1/entitlements/active_entitlements", param="customer"),
        ),
        Kind("payment_method", djstripe.PaymentMethod, "/v1/payment_methods", under=of_customer("payment_methods")),
        Kind("bank_account", djstripe.BankAccount),
        Kind("card", djstripe.Card),
        Kind("source", djstripe.Source, "/v1/sources"),
        Kind("source_transaction", SourceTransaction),
        Kind("tax_id", djstripe.TaxId, "/v1/tax_ids", under=of_customer("tax_ids")),
        Kind("subscription", djstripe.Subscription, "/v1/subscriptions", listing={"status": "all"}),
        Kind("subscription_item", djstripe.SubscriptionItem, "/v1/subscription_items"),
        Kind("subscription_schedule", djstripe.SubscriptionSchedule, "/v1/subscription_schedules", listing=ALL),
        Kind("setup_intent", djstripe.SetupIntent, "/v1/setup_intents", listing=ALL),
        Kind("payment_intent", djstripe.PaymentIntent, "/v1/payment_intents", listing=ALL),
        Kind("balance_transaction", djstripe.BalanceTransaction, "/v1/balance_transactions", listing=ALL),
        Kind("charge", djstripe.Charge, "/v1/charges", listing=ALL, spares=TRANSACTION),
        Kind("refund", djstripe.Refund, "/v1/refunds", listing=ALL, spares=TRANSACTION),
        Kind("dispute", djstripe.Dispute, "/v1/disputes", listing=ALL),
        Kind("invoice", djstripe.Invoice, "/v1/invoices", listing=ALL),
        Kind("invoiceitem", djstripe.InvoiceItem, "/v1/invoiceitems", listing=ALL),
        Kind("line_item", djstripe.LineItem),
        Kind("discount", djstripe.Discount),
        Kind("checkout.session", djstripe.Session, "/v1/checkout/sessions", listing=ALL),
        Kind("mandate", djstripe.Mandate, "/v1/mandates"),
        Kind("payout", djstripe.Payout, "/v1/payouts", listing=ALL, spares=TRANSACTION),
        Kind("application_fee", djstripe.ApplicationFee, "/v1/application_fees", listing=ALL, spares=TRANSACTION),
        Kind("fee_refund", djstripe.ApplicationFeeRefund),
        Kind("transfer", djstripe.Transfer, "/v1/transfers", listing=ALL, spares=TRANSACTION),
        Kind("transfer_reversal", djstripe.TransferReversal),
        Kind("radar.early_fraud_warning", djstripe.EarlyFraudWarning, "/v1/radar/early_fraud_warnings", listing=ALL),
        Kind("review", djstripe.Review, "/v1/reviews", listing=ALL),
        Kind(
            "identity.verification_report",
            djstripe.VerificationReport,
            "/v1/identity/verification_reports",
            listing=ALL,
        ),
        Kind(
            "identity.verification_session",
            djstripe.VerificationSession,
            "/v1/identity/verification_sessions",
            listing=ALL,
        ),
        Kind("issuing.cardholder", djstripe.IssuingCardholder, "/v1/issuing/cardholders", listing=ALL),
        Kind("issuing.card", djstripe.IssuingCard, "/v1/issuing/cards", listing=ALL),
        Kind("issuing.authorization", djstripe.IssuingAuthorization, "/v1/issuing/authorizations", listing=ALL),
        Kind("issuing.transaction", djstripe.IssuingTransaction, "/v1/issuing/transactions", listing=ALL),
        Kind("issuing.dispute", djstripe.IssuingDispute, "/v1/issuing/disputes", listing=ALL),
        Kind("scheduled_query_run", djstripe.ScheduledQueryRun, "/v1/sigma/scheduled_query_runs", listing=ALL),
        Kind("event", djstripe.Event, "/v1/events"),
    )
}


def raw(name: str, path: str = "", *, under: Under | None = None) -> Kind:
    return Kind(name, None, path, listing=None if under or not path else ALL, under=under)


SUMMARY = Kind(
    "entitlements.active_entitlement_summary",
    None,
    gathered=Gathered(
        "/v1/entitlements/active_entitlements", "customer", "entitlements", "/v1/customer/{id}/entitlements"
    ),
)
RAW: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        SUMMARY,
        raw("test_helpers.test_clock", "/v1/test_helpers/test_clocks"),
        raw("billing.meter", "/v1/billing/meters"),
        raw("billing.alert", "/v1/billing/alerts"),
        raw("billing.credit_grant", "/v1/billing/credit_grants"),
        raw("billing_portal.configuration", "/v1/billing_portal/configurations"),
        raw("payment_link", "/v1/payment_links"),
        raw("payment_method_configuration", "/v1/payment_method_configurations"),
        raw("payment_method_domain", "/v1/payment_method_domains"),
        raw("invoice_rendering_template", "/v1/invoice_rendering_templates"),
        raw("quote", "/v1/quotes"),
        raw("invoice_payment", "/v1/invoice_payments"),
        raw("credit_note", "/v1/credit_notes"),
        raw("customer_cash_balance_transaction", under=of_customer("cash_balance_transactions")),
        raw("customer_balance_transaction", under=of_customer("balance_transactions")),
        raw("topup", "/v1/topups"),
        raw("tax.registration", "/v1/tax/registrations"),
        raw("radar.value_list", "/v1/radar/value_lists"),
        raw("reporting.report_run", "/v1/reporting/report_runs"),
        raw("terminal.configuration", "/v1/terminal/configurations"),
        raw("terminal.location", "/v1/terminal/locations"),
        raw("terminal.reader", "/v1/terminal/readers"),
        raw("financial_connections.account", "/v1/financial_connections/accounts"),
    )
}

MODEL_KINDS: dict[type[Model], str] = {kind.model: kind.name for kind in KINDS.values() if kind.model is not None}


def kind_for(name: str) -> Kind:
    """Return the kind of that name (Stripe's `object`); for one that nobody named, a raw one without a path."""
    return KINDS.get(name) or RAW.get(name) or Kind(name, None)
