"""Our rows are dj-stripe's rows, column by column, for every kind that it has a model for."""

import copy
import json
from typing import Any

import pytest
import stripe as stripe_library
from djstripe import models as djstripe

from billing.mirror.columns import TableRow, references, rows_of
from billing.mirror.fetch import get
from billing.mirror.kinds import KINDS, RAW, Kind, Ref, kind_for
from billing.mirror.tables import write
from config.env import BASE_DIR
from tests.billing.mirror import oracle
from tests.billing.objects import NOW

# Columns in which our rows are not what dj-stripe's own sync writes, and why.
MOVED = "Stripe moved it (2025-03-31.basil); dj-stripe looks at the old place and leaves it empty"
OURS_DIFFER = {
    "djstripe_account.livemode": "dj-stripe writes the mode of its key; Stripe says none, as an account has both",
    "djstripe_discount": "dj-stripe keeps no discount of a customer",
    "djstripe_event.request_id": "dj-stripe writes the request as a whole: stripe's library gives no dict any more",
    "djstripe_invoice.subscription_id": MOVED,
    "djstripe_invoiceitem.subscription_id": MOVED,
    "djstripe_invoiceitem.price_id": MOVED,
    "djstripe_djstripeinvoicedefaulttaxrate": "dj-stripe has this link and never fills it",
    "djstripe_lineitem.subscription_id": MOVED,
    "djstripe_lineitem.subscription_item_id": MOVED,
    "djstripe_lineitem.invoice_item_id": MOVED,
}
IMPOSSIBLE = {"country_spec": "dj-stripe's own sync cannot write what stripe's library gives since its version 15"}
# The examples leave empty what Stripe always gives, or there is none.
FILLED: dict[str, dict[str, Any]] = {
    "fee_refund": {"balance_transaction": "txn_1"},
    "v2.core.account": {
        "id": "acct_v2",
        "object": "v2.core.account",
        "created": "2026-02-10T09:00:00.000Z",
        "livemode": False,
        "metadata": {"a": "b"},
    },
    "product_feature": {"id": "prodft_1", "product": "prod_1", "entitlement_feature": "feat_1"},
}

pytestmark = pytest.mark.django_db
EXAMPLES = BASE_DIR.parent / "shared" / "stripe" / "fixtures3.json"


@pytest.fixture(scope="module")
def examples() -> dict[str, Any]:
    if not EXAMPLES.exists():
        pytest.skip(f"Stripe's example objects are not at {EXAMPLES}.")
    resources: dict[str, Any] = json.loads(EXAMPLES.read_text())["resources"]
    return resources


@pytest.fixture(autouse=True)
def owner() -> None:
    djstripe.Account.objects.create(id=oracle.OWNER_ID, stripe_data={})


@pytest.mark.parametrize("name", [name for name in KINDS if name not in IMPOSSIBLE])
def test_stripes_example_of_every_kind_makes_the_rows_that_dj_stripe_makes(examples, name):
    kind, data = KINDS[name], {**copy.deepcopy(examples.get(name, {})), **FILLED.get(name, {})}
    rows = rows_of(kind, data, owner_id=oracle.OWNER_ID, now=NOW)
    oracle.put_parents(rows, examples)
    found = oracle.differences(rows, oracle.theirs(kind, data, rows), oracle.ours(rows))
    assert {column: values for column, values in found.items() if column not in OURS_DIFFER} == {}


def test_a_country_is_kept_though_it_has_no_owner_and_no_number(examples):
    data = examples["country_spec"]
    assert write(rows_of(KINDS["country_spec"], data, owner_id=oracle.OWNER_ID, now=NOW)) == set()
    row = djstripe.CountrySpec.objects.get()
    assert (row.id, row.default_currency) == (data["id"], data["default_currency"])
    assert row.supported_payment_currencies == data["supported_payment_currencies"]


def test_the_objects_of_a_living_account_make_the_rows_that_dj_stripe_makes(stripe):
    live_a_little(stripe)
    objects = [data for kind in (KINDS | RAW).values() if kind.listing is not None for data in listed(kind)]
    assert write([row for data in with_parents(objects) for row in our_rows(data)]) == set()
    compared = [data for data in objects if data["object"] in KINDS and data["object"] not in IMPOSSIBLE]
    assert {"customer", "subscription", "invoice", "charge", "refund"} <= {data["object"] for data in compared}
    for data in compared:
        rows = our_rows(data)
        found = oracle.differences(rows, oracle.theirs(KINDS[data["object"]], data, rows), oracle.ours(rows))
        assert {column: values for column, values in found.items() if column not in OURS_DIFFER} == {}


def our_rows(data: dict[str, Any]) -> list[TableRow]:
    return rows_of(kind_for(data["object"]), data, owner_id=oracle.OWNER_ID, now=NOW)


def with_parents(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The objects, and those that they refer to and that no list has."""
    known = {Ref(data["object"], data["id"]) for data in objects}
    missing = {reference.ref for data in objects for reference in references(our_rows(data))} - known
    return [*objects, *(get(f"{kind_for(ref.kind).path}/{ref.id}") for ref in missing)]


def live_a_little(stripe: Any) -> None:
    """A customer with a card and a discount, a subscription with two items, its invoice paid and refunded in part."""
    v1 = stripe.v1
    coupon = v1.coupons.create({"percent_off": 10, "duration": "forever"})
    customer = v1.customers.create({"email": "alice@example.com", "metadata": {"from": "Alice"}})
    method = v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    v1.customers.update(customer.id, {"invoice_settings": {"default_payment_method": method.id}})
    rate = v1.tax_rates.create({"display_name": "Tax", "percentage": 10, "inclusive": False})
    items = []
    for name, amount in (("Pro", 5000), ("Seats", 300)):
        product = v1.products.create({"name": name})
        recurring = {"interval": "month"}
        price = v1.prices.create(
            {"product": product.id, "currency": "jpy", "unit_amount": amount, "recurring": recurring}
        )
        items.append({"price": price.id, "tax_rates": [rate.id]})
    v1.subscriptions.create({"customer": customer.id, "items": items, "discounts": [{"coupon": coupon.id}]})
    charge = v1.charges.list().data[0]
    v1.refunds.create({"charge": charge.id, "amount": 1000})
    v1.setup_intents.create({"customer": customer.id})


def listed(kind: Kind) -> list[dict[str, Any]]:
    try:
        objects: list[dict[str, Any]] = get(kind.path, **(kind.listing or {}))["data"]
    except stripe_library.InvalidRequestError:
        return []  # the sandbox has no such list
    return objects
