"""Meters, entitlements and tax ids have the fields that Stripe's own examples have."""

from typing import Any

import pytest

from sandbox.billing.periods import DAY
from tests.sandbox.metered import MIDNIGHT, Shop
from tests.sandbox.test_shapes import examples  # noqa: F401 (a fixture)
from tests.sandbox.travel import Travel

KINDS = (
    "billing.meter", "billing.meter_event", "billing.meter_event_adjustment", "billing.meter_event_summary",
    "deleted_product_feature", "deleted_tax_id", "entitlements.active_entitlement",
    "entitlements.active_entitlement_summary", "entitlements.feature", "product_feature", "tax_id",
)  # fmt: skip


@pytest.fixture
def ours(travel: Travel) -> dict[str, Any]:
    shop = Shop(travel)
    price = shop.get(f"/v1/prices/{shop.licensed()}")
    feature = shop.post("/v1/entitlements/features", name="Export", lookup_key="export")
    attached = shop.post(f"/v1/products/{price['product']}/features", entitlement_feature=feature["id"])
    shop.subscribe(price["id"])
    summary = shop.get("/v1/events", type="entitlements.active_entitlement_summary.updated")["data"][0]
    tax_id = shop.post(f"/v1/customers/{shop.customer}/tax_ids", type="eu_vat", value="DE123456789")
    used = shop.use(25, identifier="one")[1]
    period = {"start_time": str(MIDNIGHT), "end_time": str(MIDNIGHT + DAY), "customer": shop.customer}
    counted = shop.get(f"/v1/billing/meters/{shop.meter}/event_summaries", **period)
    canceled = {"event_name": "calls", "type": "cancel", "cancel[identifier]": "one"}
    return {
        "billing.meter": shop.get(f"/v1/billing/meters/{shop.meter}"),
        "billing.meter_event": used,
        "billing.meter_event_summary": counted["data"][0],
        "billing.meter_event_adjustment": shop.post("/v1/billing/meter_event_adjustments", **canceled),
        "entitlements.active_entitlement": summary["data"]["object"]["entitlements"]["data"][0],
        "entitlements.active_entitlement_summary": summary["data"]["object"],
        "entitlements.feature": feature,
        "product_feature": attached,
        "deleted_product_feature": travel.ask("DELETE", f"/v1/products/{price['product']}/features/{attached['id']}")[
            1
        ],
        "tax_id": tax_id,
        "deleted_tax_id": travel.ask("DELETE", f"/v1/tax_ids/{tax_id['id']}")[1],
    }


def test_objects_have_the_fields_of_stripes_examples(ours: dict[str, Any], examples: dict[str, Any]) -> None:  # noqa: F811
    assert {kind: set(ours[kind]) for kind in KINDS} == {kind: set(examples[kind]) for kind in KINDS}
