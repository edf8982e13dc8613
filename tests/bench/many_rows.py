"""Hundreds of thousands of rows, made by the database itself: a mirror of a company that does well."""

from django.db import connection

ORGANIZATION = """
    INSERT INTO accounts_organization (public_id, name, billing_email, created_at)
    SELECT 'org_many' || n, 'Company ' || n, 'billing@company' || n || '.example', now()
    FROM generate_series(1, %(organizations)s) AS n
"""
CUSTOMER = """
    INSERT INTO djstripe_customer (djstripe_created, djstripe_updated, id, livemode, created, metadata, stripe_data,
        email, subscriber_id)
    SELECT now(), now(), 'cus_' || n, false, made.at, '{}',
        jsonb_build_object('id', 'cus_' || n, 'object', 'customer', 'email', 'person' || n || '@example.com'),
        'person' || n || '@example.com', (SELECT min(id) FROM accounts_organization) + n %% %(organizations)s
    FROM generate_series(1, %(rows)s) AS n, LATERAL (SELECT now() - n * interval '30 seconds' AS at) AS made
"""
PRODUCT = """
    INSERT INTO djstripe_product (djstripe_created, djstripe_updated, id, livemode, created, metadata, stripe_data,
        name, active)
    SELECT now(), now(), 'prod_' || n, false, now(), '{}', jsonb_build_object('id', 'prod_' || n), 'Plan ' || n, true
    FROM generate_series(0, 9) AS n
"""
STATUS = """CASE WHEN n %% 100 < 70 THEN 'active' WHEN n %% 100 < 90 THEN 'canceled' WHEN n %% 100 < 94 THEN 'trialing'
        WHEN n %% 100 < 98 THEN 'past_due' WHEN n %% 100 < 99 THEN 'unpaid' ELSE 'incomplete' END"""
# The weight of a real object, so that whoever reads the JSON of every row pays for it.
WEIGHT = "jsonb_build_object('weight', repeat(md5(n::text), 20))"
SUBSCRIPTION = f"""
    INSERT INTO djstripe_subscription (djstripe_created, djstripe_updated, id, livemode, created, metadata, stripe_data,
        customer_id)
    SELECT now(), now(), 'sub_' || n, false, now() - n * interval '30 seconds', '{{}}',
        jsonb_build_object('id', 'sub_' || n, 'object', 'subscription', 'customer', 'cus_' || n, 'status', {STATUS},
            'created', extract(epoch FROM now())::bigint - n * 30, 'currency', 'jpy', 'items', jsonb_build_object(
                'data', jsonb_build_array(jsonb_build_object('id', 'si_' || n, 'quantity', 1, 'current_period_end',
                    extract(epoch FROM now())::bigint + n %% 2592000, 'price', jsonb_build_object(
                        'id', 'price_' || n %% 10, 'product', 'prod_' || n %% 10, 'unit_amount', 5000,
                        'currency', 'jpy', 'recurring', jsonb_build_object('interval', 'month')))))) || {WEIGHT},
        'cus_' || n
    FROM generate_series(1, %(rows)s) AS n
"""
SUBSCRIPTION_ROW = f"""
    INSERT INTO billing_subscriptionrow (id, owner, livemode, customer_id, organization_id, status, currency,
        created_at, period_ends_at, ends_at, trial_ends_at, price_id, product_id, quantity, item_count, product_ids,
        item_amounts, monthly_amount, collection_method, collection_paused, schedule_id, latest_invoice_id)
    SELECT 'sub_' || n, '', false, 'cus_' || n,
        (SELECT min(id) FROM accounts_organization) + n %% %(organizations)s,
        {STATUS}, 'jpy', now() - n * interval '30 seconds', now() + n %% 2592000 * interval '1 second',
        CASE WHEN n %% 40 = 0 THEN now() + n %% 2592000 * interval '1 second' END,
        CASE WHEN n %% 100 BETWEEN 90 AND 93 THEN now() + n %% 1209600 * interval '1 second' END,
        'price_' || n %% 10, 'prod_' || n %% 10, 1, 1 + (n %% 50 = 0)::int,
        CASE WHEN n %% 50 = 0 THEN ARRAY['prod_' || n %% 10, 'prod_seat'] ELSE ARRAY['prod_' || n %% 10] END,
        CASE WHEN n %% 50 = 0 THEN ARRAY[5000, 700] ELSE ARRAY[5000] END,
        CASE WHEN n %% 50 = 0 THEN 5700 ELSE 5000 END, 'charge_automatically', false, '', 'in_' || n
    FROM generate_series(1, %(rows)s) AS n
"""
INVOICE_STATUS = """CASE WHEN n %% 100 < 92 THEN 'paid' WHEN n %% 100 < 96 THEN 'open' WHEN n %% 100 < 98 THEN 'void'
        WHEN n %% 100 < 99 THEN 'draft' ELSE 'uncollectible' END"""
INVOICE = f"""
    INSERT INTO djstripe_invoice (djstripe_created, djstripe_updated, id, livemode, created, metadata, stripe_data,
        customer_id)
    SELECT now(), now(), 'in_' || n, false, now() - n * interval '30 seconds', '{{}}',
        jsonb_build_object('id', 'in_' || n, 'object', 'invoice', 'status', {INVOICE_STATUS}, 'total', 5000,
            'created', extract(epoch FROM now())::bigint - n * 30, 'currency', 'jpy', 'customer', 'cus_' || n)
            || {WEIGHT}, 'cus_' || n
    FROM generate_series(1, %(rows)s) AS n
"""
INVOICE_ROW = f"""
    INSERT INTO billing_invoicerow (id, owner, livemode, customer_id, organization_id, status, currency, created_at,
        subscription_id, number, total, amount_due, amount_paid, amount_remaining, due_at, next_payment_attempt_at,
        attempt_count, collection_method, billing_reason)
    SELECT 'in_' || n, '', false, 'cus_' || n, (SELECT min(id) FROM accounts_organization) + n %% %(organizations)s,
        {INVOICE_STATUS}, 'jpy', now() - n * interval '30 seconds', 'sub_' || n, 'N-' || n, 5000, 5000,
        CASE WHEN n %% 100 < 92 THEN 5000 ELSE 0 END, CASE WHEN n %% 100 < 92 THEN 0 ELSE 5000 END,
        now() - n %% 1209600 * interval '1 second',
        CASE WHEN n %% 100 = 93 THEN now() + n %% 600000 * interval '1 second' END,
        n %% 4, 'charge_automatically', 'subscription_cycle'
    FROM generate_series(1, %(rows)s) AS n
"""
EVENT = """
    INSERT INTO billing_inboxevent (source, external_id, door, owner, account, livemode, type, api_version, object_kind,
        object_id, customer_id, occurred_at, received_at, payload, state, due_at, attempts, error, mirrored_at)
    SELECT 'stripe.com', 'evt_' || n, 'webhook', '', '', false, 'customer.subscription.updated', 'v', 'subscription',
        'sub_' || n, 'cus_' || n, now() - n * interval '40 seconds', now() - n * interval '40 seconds', '{}',
        CASE WHEN n %% 10000 = 0 THEN 'failed' ELSE 'mirrored' END, NULL, 1, '', now() - n * interval '40 seconds'
    FROM generate_series(1, %(rows)s) AS n
"""
STATEMENTS = (ORGANIZATION, CUSTOMER, PRODUCT, SUBSCRIPTION, SUBSCRIPTION_ROW, INVOICE, INVOICE_ROW, EVENT)
BIG = (
    "djstripe_customer",
    "djstripe_subscription",
    "djstripe_invoice",
    "billing_subscriptionrow",
    "billing_invoicerow",
    "billing_inboxevent",
)


def make_many(rows: int) -> None:
    """Fill the mirror and its read model with `rows` rows each, and let the planner look at them. Autocommit only."""
    values = {"rows": rows, "organizations": max(rows // 10, 1)}
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")  # the database need not check what it makes itself
        for statement in STATEMENTS:
            cursor.execute(statement, values)
        cursor.execute("SET session_replication_role = DEFAULT")
        for table in (*BIG, "accounts_organization"):
            cursor.execute(f"VACUUM (ANALYZE) {table}")
