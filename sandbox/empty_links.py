"""Fields that Stripe lets a caller expand and that lead nowhere here: what they would point to is not built, so they
are null or absent. Asking for them is no error. Source: the official library's declarations."""

ACCOUNTS = ("automatic_tax.liability.account", "invoice_settings.account_tax_ids", "invoice_settings.issuer.account")
PHASE = (*ACCOUNTS, "on_behalf_of", "transfer_data.destination")
EMPTY_LINKS: dict[str, tuple[str, ...]] = {
    "billing_portal.configuration": ("application",),
    "charge": ("outcome.rule", "payment_method_details.us_bank_account.mandate"),
    "checkout.session": (
        "automatic_tax.liability.account",
        "invoice_creation.invoice_data.account_tax_ids",
        "invoice_creation.invoice_data.issuer.account",
        "shipping_cost.shipping_rate",
        "shipping_options.shipping_rate",
    ),
    "credit_note": ("pretax_credit_amounts.credit_balance_transaction", "shipping_cost.shipping_rate"),
    "credit_note_line_item": ("pretax_credit_amounts.credit_balance_transaction",),
    "customer_cash_balance_transaction": ("transferred_to_balance.balance_transaction",),
    "dispute": tuple(
        f"evidence.{name}"
        for name in (
            "cancellation_policy", "customer_communication", "customer_signature", "duplicate_charge_documentation",
            "receipt", "refund_policy", "service_documentation", "shipping_documentation", "uncategorized_file",
        )
    ),
    "invoice": (
        "automatic_tax.liability.account",
        "shipping_cost.shipping_rate",
        "total_pretax_credit_amounts.credit_balance_transaction",
    ),
    "invoice_payment": ("payment.payment_record",),
    "line_item": ("pretax_credit_amounts.credit_balance_transaction",),
    "payment_method": (
        "card.generated_from.setup_attempt",
        "sepa_debit.generated_from.charge",
        "sepa_debit.generated_from.setup_attempt",
    ),
    "setup_attempt": ("application", "on_behalf_of"),
    "subscription": (*ACCOUNTS, "billing_schedules.applies_to.price", "cancellation_details.feedback_option"),
    "subscription_schedule": (
        "application",
        *(f"default_settings.{name}" for name in PHASE),
        *(f"phases.{name}" for name in PHASE),
    ),
    "tax_id": ("owner.account", "owner.application"),
}  # fmt: skip
