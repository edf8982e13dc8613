"""Every kind of object that the mirror claims to hold, in the shape of Stripe's own example."""

import copy
import json
from typing import Any

import pytest
from django.db import transaction
from djstripe import models as djstripe

from billing.mirror.djstripe import ParentMissing, sync
from billing.mirror.fetch import complete
from billing.mirror.kinds import KINDS, Ref
from billing.mirror.resync import as_stored
from config.env import BASE_DIR

pytestmark = pytest.mark.django_db
EXAMPLES = BASE_DIR.parent / "shared" / "stripe" / "fixtures3.json"


@pytest.fixture(scope="module")
def examples() -> dict[str, Any]:
    if not EXAMPLES.exists():
        pytest.skip(f"Stripe's example objects are not at {EXAMPLES}.")
    resources: dict[str, Any] = json.loads(EXAMPLES.read_text())["resources"]
    return resources


def write(ref: Ref, data: dict[str, Any], examples: dict[str, Any], children: tuple[Ref, ...] = ()) -> Any:
    """Write an object; where a parent is missing, the example of its kind under the parent's id stands in."""
    absent: set[Ref] = set()
    for _ in range(20):
        try:
            with transaction.atomic():
                return sync(ref, data, owner=None, absent=frozenset(absent))
        except ParentMissing as missing:
            parent = missing.ref
        if parent in children:
            absent.add(parent)
        else:
            write(
                parent, expanded({**copy.deepcopy(examples[parent.kind]), "id": parent.id}), examples, (*children, ref)
            )
    raise AssertionError(f"{ref} misses ever more")


@pytest.mark.parametrize("name", list(KINDS))
def test_stripes_example_of_every_kind_is_written_and_kept_whole(examples, name):
    example = expanded(copy.deepcopy(examples[name]))
    row = write(Ref(name, example["id"]), example, examples)
    kept = KINDS[name].model.objects.get(id=example["id"]).stripe_data
    assert kept == as_stored(KINDS[name], example)
    assert {key: kept[key] for key in example} == example
    again = write(Ref(name, example["id"]), example, examples)  # over the row that is there
    assert again.pk == row.pk


def expanded(example: dict[str, Any]) -> dict[str, Any]:
    """The examples are not expanded; the mirror always asks for these expansions."""
    for line in (example.get("lines") or {}).get("data", []):
        line["discounts"] = []
    if "discounts" in example:
        example["discounts"] = []
    return example


def test_a_missing_parent_is_named_and_nothing_is_written(examples):
    example = examples["subscription"]
    with pytest.raises(ParentMissing) as missing, transaction.atomic():
        sync(Ref("subscription", example["id"]), example, owner=None, absent=frozenset())
    assert missing.value.ref == Ref("customer", example["customer"])
    assert not djstripe.Subscription.objects.exists()


def test_a_list_that_stripe_cut_short_is_completed(monkeypatch):
    asked = []

    def get(path: str, **params: Any) -> dict[str, Any]:
        asked.append((path, params))
        last = int(params["starting_after"].removeprefix("il_"))
        data = [{"id": f"il_{number}"} for number in range(last + 1, min(last + 3, 6))]
        return {"object": "list", "data": data, "has_more": data[-1]["id"] != "il_5", "url": path}

    monkeypatch.setattr("billing.mirror.fetch.get", get)
    lines = {
        "object": "list",
        "url": "/v1/invoices/in_1/lines",
        "has_more": True,
        "data": [{"id": "il_0"}, {"id": "il_1"}],
    }
    whole = complete({"id": "in_1", "lines": lines})["lines"]
    assert [line["id"] for line in whole["data"]] == [f"il_{number}" for number in range(6)]
    assert whole["has_more"] is False
    assert [path for path, _ in asked] == ["/v1/invoices/in_1/lines"] * 2
    assert asked[0][1]["expand"] == ["data.discounts"]
