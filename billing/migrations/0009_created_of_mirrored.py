"""Resync asks the mirror's tables for spans of time (`billing.mirror.resync_pages`): without an index that reads them
whole, page after page. dj-stripe's models and migrations know nothing of these indexes, and need not.

Not CONCURRENTLY: that waits for whoever waits for the lock of `prepare_database`, and so for ever. A million rows take
about a second."""

from django.db import migrations

TABLES = (
    "balancetransaction", "charge", "customer", "invoice", "invoiceitem", "paymentintent", "price", "product", "refund",
    "session", "setupintent", "subscription",
)  # fmt: skip


def index_of(table: str) -> migrations.RunSQL:
    name = f"mirror_{table}_created"
    return migrations.RunSQL(
        f"CREATE INDEX IF NOT EXISTS {name} ON djstripe_{table} (created)",
        f"DROP INDEX IF EXISTS {name}",
    )


class Migration(migrations.Migration):
    dependencies = [("billing", "0008_due_in_order"), ("djstripe", "0003_2_11")]

    operations = [index_of(table) for table in TABLES]
