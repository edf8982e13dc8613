"""Our rows are dj-stripe's rows, column by column, for every kind that it has a model for."""

import copy
import json
from typing import Any

import pytest
from djstripe import models as djstripe

from billing.mirror.columns import references, rows_of
from billing.mirror.kinds import KINDS, Ref
from billing.mirror.tables import write
from config.env import BASE_DIR
from tests.billing.mirror import oracle
from tests.billing.objects import NOW

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


@pytest.mark.parametrize("name", list(KINDS))
def test_stripes_example_of_every_kind_makes_the_rows_that_dj_stripe_makes(examples, name):
    if name not in examples:
        pytest.skip("no example")
    kind, data = KINDS[name], copy.deepcopy(examples[name])
    rows = rows_of(kind, data, owner_id=oracle.OWNER_ID, now=NOW)
    oracle.put_parents(rows, examples)
    expected = oracle.theirs(kind, data, rows)
    assert oracle.ours(rows) == expected
