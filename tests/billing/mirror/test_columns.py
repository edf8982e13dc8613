"""Our rows are dj-stripe's rows, column by column, for every kind that it has a model for."""

import copy
import json
from typing import Any

import pytest
from djstripe import models as djstripe

from billing.mirror.columns import rows_of
from billing.mirror.kinds import KINDS
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
    "djstripe_lineitem.subscription_id": MOVED,
    "djstripe_lineitem.subscription_item_id": MOVED,
    "djstripe_lineitem.invoice_item_id": MOVED,
}
IMPOSSIBLE = {"country_spec": "dj-stripe's own sync cannot write what stripe's library gives since its version 15"}
# The examples leave empty what Stripe always gives.
FILLED: dict[str, dict[str, Any]] = {
    "fee_refund": {"balance_transaction": "txn_1"},
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
    if name not in examples:
        pytest.skip(f"Stripe has no example of {name}.")
    kind, data = KINDS[name], {**copy.deepcopy(examples[name]), **FILLED.get(name, {})}
    rows = rows_of(kind, data, owner_id=oracle.OWNER_ID, now=NOW)
    oracle.put_parents(rows, examples)
    found = oracle.differences(rows, oracle.theirs(kind, data, rows), oracle.ours(rows))
    assert {column: values for column, values in found.items() if column not in OURS_DIFFER} == {}
