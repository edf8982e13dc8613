"""Resync asks the mirror's tables for spans of time (`billing.mirror.resync_pages`): without an index that reads them
whole, page after page. dj-stripe's models and migrations know nothing of these indexes, and need not."""

from django.db import migrations

TABLES = (
    "balancetransaction", "charge", "customer", "invoice", "invoiceitem", "paymentintent", "price", "product", "refund",
    "session", "setupintent", "subscription",
)  # fmt: skip


def index_of(table: str) -> migrations.RunSQL:
    name = f"mirror_{table}_created"
    return migrations.RunSQL(
        f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON djstripe_{table} (created)",
        f"DROP INDEX CONCURRENTLY IF EXISTS {name}",
    )


class Migration(migrations.Migration):
    atomic = False  # built beside whatever reads and writes

    dependencies = [("billing", "0008_due_in_order"), ("djstripe", "0003_2_11")]

    operations = [index_of(table) for table in TABLES]
