"""The workflow that refunds an invoice, and invoices for it."""

from typing import Any

REFUND = {
    "StartAt": "Refund",
    "States": {
        "Refund": {
            "Type": "Task",
            "Resource": "arn:aws:states:local:000000000000:activity:refund-invoice",
            "Parameters": {"invoice.$": "$.invoice", "amount": 300},
            "Retry": [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 5}],
            "End": True,
        }
    },
}


def paid_invoices(stripe: Any, amount: int) -> list[str]:
    """Invoices that were paid with 1,000 yen each."""
    customer = stripe.v1.customers.create({"email": "alice@example.com"})
    method = stripe.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    paid = []
    for _ in range(amount):
        invoice = stripe.v1.invoices.create({"customer": customer.id, "currency": "jpy"})
        stripe.v1.invoice_items.create(
            {"customer": customer.id, "invoice": invoice.id, "amount": 1000, "currency": "jpy"}
        )
        stripe.v1.invoices.finalize_invoice(invoice.id)
        paid.append(stripe.v1.invoices.pay(invoice.id, {"payment_method": method.id}).id)
    return paid
