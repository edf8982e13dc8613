"""Features of products, and who may use them."""

from typing import Any

import pytest

from sandbox.billing.periods import DAY
from tests.sandbox.running import new_key
from tests.sandbox.travel import Travel


class Company:
    """A product with the feature "export", and Alice with a card."""

    def __init__(self, travel: Travel) -> None:
        travel.key = new_key()
        self.travel, self.post, self.get = travel, travel.post, travel.get
        self.product, self.price = self.sells("Pro")
        self.feature = self.post("/v1/entitlements/features", name="Export", lookup_key="export")["id"]
        self.attached = self.attach(self.product, self.feature)
        self.alice = self.post("/v1/customers", email="alice@example.com")["id"]
        card = self.post("/v1/payment_methods/pm_card_visa/attach", customer=self.alice)["id"]
        self.post(f"/v1/customers/{self.alice}", **{"invoice_settings[default_payment_method]": card})

    def sells(self, name: str) -> tuple[str, str]:
        product = self.post("/v1/products", name=name)["id"]
        sold = {"product": product, "currency": "usd", "unit_amount": "2000", "recurring[interval]": "month"}
        return product, self.post("/v1/prices", **sold)["id"]

    def attach(self, product: str, feature: str) -> str:
        return str(self.post(f"/v1/products/{product}/features", entitlement_feature=feature)["id"])

    def subscribe(self, price: str = "", **more: str) -> Any:
        return self.post("/v1/subscriptions", customer=self.alice, **{"items[0][price]": price or self.price}, **more)

    def may_use(self) -> list[str]:
        found = self.get("/v1/entitlements/active_entitlements", customer=self.alice)["data"]
        return sorted(one["lookup_key"] for one in found)

    def told(self) -> list[Any]:
        """The summaries that were told of, oldest first."""
        type = "entitlements.active_entitlement_summary.updated"
        found: list[Any] = self.get("/v1/events", type=type)["data"]
        return [event["data"] for event in reversed(found)]


@pytest.fixture
def company(travel: Travel) -> Company:
    return Company(travel)


def test_a_subscription_entitles_from_its_first_payment_to_its_end(company: Company) -> None:
    assert company.may_use() == []
    subscription = company.subscribe()
    assert company.may_use() == ["export"]
    company.travel.ask("DELETE", f"/v1/subscriptions/{subscription['id']}")
    assert company.may_use() == []
    given, taken = company.told()
    [entitlement] = given["object"]["entitlements"]["data"]
    assert (entitlement["lookup_key"], entitlement["feature"]) == ("export", company.feature)
    assert given["previous_attributes"]["entitlements"]["data"] == []
    assert (taken["object"]["entitlements"]["data"], taken["object"]["customer"]) == ([], company.alice)
    assert taken["previous_attributes"]["entitlements"]["data"] == [entitlement]


@pytest.mark.parametrize(
    ("how", "features"),
    [
        ({}, ["export"]),
        ({"trial_period_days": "7"}, ["export"]),
        ({"payment_behavior": "default_incomplete"}, []),  # nothing was paid yet
    ],
)
def test_it_depends_on_the_state_of_the_subscription(
    company: Company, how: dict[str, str], features: list[str]
) -> None:
    company.subscribe(**how)
    assert company.may_use() == features


def test_a_planned_end_takes_the_features_away(company: Company) -> None:
    company.subscribe(cancel_at_period_end="true")
    company.travel.advance(32 * DAY)
    assert company.may_use() == []
    assert company.told()[-1]["object"]["entitlements"]["data"] == []


def test_a_feature_of_two_subscriptions_is_held_once_and_kept_by_the_other(company: Company) -> None:
    other, price = company.sells("Other")
    company.attach(other, company.feature)
    first = company.subscribe()
    company.subscribe(price)
    assert company.may_use() == ["export"]
    company.travel.ask("DELETE", f"/v1/subscriptions/{first['id']}")
    assert (company.may_use(), len(company.told())) == (["export"], 1)


def test_another_plan_brings_other_features(company: Company) -> None:
    larger, price = company.sells("Larger")
    api = company.post("/v1/entitlements/features", name="API", lookup_key="api")["id"]
    company.attach(larger, api)
    subscription = company.subscribe()
    item = subscription["items"]["data"][0]["id"]
    company.post(f"/v1/subscriptions/{subscription['id']}", **{"items[0][id]": item, "items[0][price]": price})
    assert company.may_use() == ["api"]


def test_a_products_new_feature_reaches_who_subscribes_already(company: Company) -> None:
    company.subscribe()
    api = company.post("/v1/entitlements/features", name="API", lookup_key="api")["id"]
    attached = company.attach(company.product, api)
    assert company.may_use() == ["api", "export"]
    company.travel.ask("DELETE", f"/v1/products/{company.product}/features/{attached}")
    assert company.may_use() == ["export"]


def test_an_archived_feature_leaves_the_list_and_is_attached_no_more(company: Company) -> None:
    company.post(f"/v1/entitlements/features/{company.feature}", active="false")
    assert company.get("/v1/entitlements/features")["data"] == []
    assert len(company.get("/v1/entitlements/features", archived="true")["data"]) == 1
    product, _ = company.sells("New")
    given = {"entitlement_feature": company.feature}
    assert company.travel.ask("POST", f"/v1/products/{product}/features", **given)[0] == 400
    [attached] = company.get(f"/v1/products/{company.product}/features")["data"]
    assert attached["entitlement_feature"]["active"] is False


def test_a_lookup_key_is_taken_once(company: Company) -> None:
    status, said = company.travel.ask("POST", "/v1/entitlements/features", name="Again", lookup_key="export")
    assert (status, said["error"]["code"]) == (400, "resource_already_exists")


def test_a_feature_can_be_expanded(company: Company) -> None:
    company.subscribe()
    asked = {"customer": company.alice, "expand[0]": "data.feature"}
    [held] = company.get("/v1/entitlements/active_entitlements", **asked)["data"]
    assert held["feature"]["name"] == "Export"
