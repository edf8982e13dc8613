"""The parameters of checkout sessions. Source: API reference, "Create a Checkout Session"."""

from sandbox.billing.billing_modes import BILLING_MODE
from sandbox.params import (
    Array,
    Bool,
    Dec,
    Enum,
    Hash,
    Ignored,
    Int,
    Metadata,
    MethodTypes,
    Param,
    Shape,
    Str,
    Timestamp,
    Url,
)
from sandbox.resources.method_options import METHOD_OPTIONS
from sandbox.resources.prices import PRODUCT_DATA
from sandbox.resources.subscriptions import TRIAL_SETTINGS
from sandbox.resources.tax_rates import TAX_RATES

PRICE_DATA: Shape = {
    "currency": Str(required=True),
    "product": Str(),
    "product_data": Hash(
        {
            "description": Str(),
            "images": Array(Str()),
            "metadata": Metadata(),
            "name": Str(required=True),
            "tax_code": Ignored(),
            "tax_details": Ignored(),
            "unit_label": PRODUCT_DATA["unit_label"],
        }
    ),
    "recurring": Hash({"interval": Enum("day", "month", "week", "year", required=True), "interval_count": Int(min=1)}),
    "tax_behavior": Enum("exclusive", "inclusive", "unspecified"),
    "unit_amount": Int(min=0),
    "unit_amount_decimal": Dec(),
}
LINE_ITEM: Shape = {
    "adjustable_quantity": Ignored(),
    "dynamic_tax_rates": Ignored(),
    "metadata": Metadata(),
    "price": Str(),
    "price_data": Hash(PRICE_DATA),
    "quantity": Int(min=0),
    "tax_rates": TAX_RATES,
}
SUBSCRIPTION_DATA: Shape = {
    "application_fee_percent": Ignored(),
    "billing_cycle_anchor": Timestamp(),
    "billing_cycle_anchor_config": Ignored(),
    "billing_mode": BILLING_MODE,
    "default_tax_rates": TAX_RATES,
    "description": Str(),
    "invoice_settings": Ignored(),
    "metadata": Metadata(),
    "on_behalf_of": Ignored(),
    "pending_invoice_item_interval": Ignored(),
    "proration_behavior": Enum("create_prorations", "none"),
    "transfer_data": Ignored(),
    "trial_end": Timestamp(),
    "trial_period_days": Int(min=1, max=730),
    "trial_settings": Hash(TRIAL_SETTINGS),
}
PAYMENT_INTENT_DATA: Shape = {
    "application_fee_amount": Ignored(),
    "capture_method": Enum("automatic", "automatic_async", "manual"),
    "description": Str(),
    "metadata": Metadata(),
    "on_behalf_of": Ignored(),
    "receipt_email": Str(),
    "setup_future_usage": Enum("off_session", "on_session"),
    "shipping": Ignored(),
    "statement_descriptor": Str(),
    "statement_descriptor_suffix": Str(),
    "transfer_data": Ignored(),
    "transfer_group": Str(),
}
IGNORED = (
    "adaptive_pricing", "after_expiration", "automatic_tax", "billing_address_collection", "branding_settings",
    "consent_collection", "custom_fields", "custom_text", "customer_account", "customer_update",
    "excluded_payment_method_types", "invoice_creation", "managed_payments", "name_collection", "optional_items",
    "payment_method_configuration", "payment_method_data", "permissions",
    "phone_number_collection", "saved_payment_method_options", "shipping_address_collection", "shipping_options",
    "tax_id_collection", "wallet_options",
)  # fmt: skip
CREATE: dict[str, Param] = {name: Ignored() for name in IGNORED} | {
    "allow_promotion_codes": Bool(),
    "cancel_url": Url(),
    "client_reference_id": Str(max_length=200),
    "currency": Str(),
    "customer": Str(),
    "customer_creation": Enum("always", "if_required"),
    "customer_email": Str(),
    "discounts": Array(Hash({"coupon": Str(), "promotion_code": Str()})),
    "expires_at": Timestamp(),
    "integration_identifier": Str(),
    "line_items": Array(Hash(LINE_ITEM)),
    "locale": Str(),
    "metadata": Metadata(),
    "mode": Enum("payment", "setup", "subscription", required=True),
    "origin_context": Enum("mobile_app", "web"),
    "payment_intent_data": Hash(PAYMENT_INTENT_DATA),
    "payment_method_collection": Enum("always", "if_required"),
    "payment_method_options": METHOD_OPTIONS,
    "payment_method_types": MethodTypes(),
    "redirect_on_completion": Ignored(),
    "return_url": Url(),
    "setup_intent_data": Hash({"description": Str(), "metadata": Metadata(), "on_behalf_of": Ignored()}),
    "submit_type": Enum("auto", "book", "donate", "pay", "subscribe"),
    "subscription_data": Hash(SUBSCRIPTION_DATA),
    "success_url": Url(),
    "ui_mode": Enum("elements", "embedded_page", "form", "hosted_page"),
}  # fmt: skip
UPDATE: dict[str, Param] = {"metadata": Metadata(), "collected_information": Ignored(), "shipping_options": Ignored()}
