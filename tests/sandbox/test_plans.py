"""Plans, the older name of recurring prices."""

from typing import Any

import pytest

from tests.sandbox.travel import Travel


def plan(travel: Travel, **more: str) -> Any:
    form = {"id": "gold", "amount": "1200", "currency": "eur", "interval": "month", "product[name]": "Gold"} | more
    return travel.post("/v1/plans", **form)


def test_a_plan_is_the_price_of_the_same_id(travel: Travel) -> None:
    made = plan(travel, nickname="Gold", **{"metadata[rank]": "1"})
    price = travel.get("/v1/prices/gold")
    assert (price["unit_amount"], price["recurring"]["interval"], price["product"]) == (1200, "month", made["product"])
    assert travel.get("/v1/plans/gold") == made
    assert [one["id"] for one in travel.get("/v1/plans", product=made["product"])["data"]] == ["gold"]


def test_a_price_that_is_paid_once_is_no_plan(travel: Travel) -> None:
    once = travel.post("/v1/prices", currency="eur", unit_amount="5", **{"product_data[name]": "Once"})
    status, said = travel.ask("GET", f"/v1/plans/{once['id']}")
    assert (status, said["error"]["code"]) == (404, "resource_missing")
    assert travel.get("/v1/plans")["data"] == []


def test_one_may_subscribe_to_a_plan(travel: Travel) -> None:
    plan(travel, amount="0")
    customer = travel.post("/v1/customers")["id"]
    made = travel.post("/v1/subscriptions", customer=customer, **{"items[0][plan]": "gold"})
    assert made["items"]["data"][0]["plan"]["id"] == "gold"


def test_a_plan_changes_and_is_deleted_and_told_of(travel: Travel) -> None:
    plan(travel)
    again = {"id": "gold", "amount": "1", "currency": "eur", "interval": "day", "product[name]": "Gold"}
    status, said = travel.ask("POST", "/v1/plans", **again)
    assert (status, said["error"]["code"]) == (400, "resource_already_exists")
    changed = travel.post("/v1/plans/gold", nickname="Best", trial_period_days="7", **{"metadata[rank]": "2"})
    assert (changed["nickname"], changed["trial_period_days"], changed["metadata"]) == ("Best", 7, {"rank": "2"})
    assert travel.ask("DELETE", "/v1/plans/gold")[1] == {"id": "gold", "object": "plan", "deleted": True}
    assert travel.get("/v1/plans")["data"] == []
    told = {event["type"] for event in travel.get("/v1/events", limit="100")["data"]}
    assert {"plan.created", "price.created", "price.updated", "plan.deleted", "price.deleted"} <= told


@pytest.mark.parametrize("mode", ["graduated", "volume"])
def test_a_plan_may_have_tiers(travel: Travel, mode: str) -> None:
    tiers = {
        "tiers[0][up_to]": "5", "tiers[0][unit_amount]": "100", "tiers[1][up_to]": "inf", "tiers[1][flat_amount]": "7",
    }  # fmt: skip
    form = {"currency": "eur", "interval": "year", "product[name]": "Gold", "billing_scheme": "tiered"}
    made = travel.post("/v1/plans", tiers_mode=mode, **{"expand[]": "tiers"}, **form, **tiers)
    assert [tier["up_to"] for tier in made["tiers"]] == [5, None]
    assert (made["amount"], made["tiers_mode"]) == (None, mode)
