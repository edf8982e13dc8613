"""Tax ids: kept with a customer or the account, verified a moment later."""

import pytest

from tests.sandbox.travel import Travel


@pytest.mark.parametrize(
    ("type", "value", "country", "first", "later"),
    [
        # Stripe docs, "Testing Stripe Billing": the three numbers that answer
        ("eu_vat", "000000000", None, "pending", "verified"),
        ("eu_vat", "DE111111111", "DE", "pending", "unverified"),
        ("gb_vat", "222222222", "GB", "pending", "pending"),
        ("eu_vat", "EL123456789", "GR", "pending", "verified"),
        # no register is asked for these
        ("jp_trn", "T1234567890123", "JP", "unavailable", "unavailable"),
        ("us_ein", "12-3456789", "US", "unavailable", "unavailable"),
    ],
)
def test_a_tax_id_is_verified_where_there_is_a_register(
    travel: Travel, type: str, value: str, country: str | None, first: str, later: str
) -> None:
    customer = travel.post("/v1/customers")["id"]
    made = travel.post(f"/v1/customers/{customer}/tax_ids", type=type, value=value)
    assert (made["country"], made["verification"]["status"]) == (country, first)
    travel.advance(5)
    assert travel.get(f"/v1/customers/{customer}/tax_ids/{made['id']}")["verification"]["status"] == later
    told = [event["type"] for event in travel.get("/v1/events", type="customer.tax_id.*")["data"]][::-1]
    assert told == ["customer.tax_id.created", *(["customer.tax_id.updated"] if first != later else [])]


@pytest.mark.parametrize(("type", "value"), [("eu_vat", "XX123456789"), ("jp_trn", "1234567890123"), ("gb_vat", "12")])
def test_a_value_that_cannot_be_one_is_refused(travel: Travel, type: str, value: str) -> None:
    customer = travel.post("/v1/customers")["id"]
    status, said = travel.ask("POST", f"/v1/customers/{customer}/tax_ids", type=type, value=value)
    assert (status, said["error"]["code"], said["error"]["message"]) == (
        400, "tax_id_invalid", f"Invalid value for {type}.",
    )  # fmt: skip


def test_a_customer_is_born_with_tax_ids_and_takes_them_along(travel: Travel) -> None:
    data = {"tax_id_data[0][type]": "eu_vat", "tax_id_data[0][value]": "DE123456789", "expand[0]": "tax_ids"}
    customer = travel.post("/v1/customers", **data)
    [held] = customer["tax_ids"]["data"]
    assert (held["value"], held["owner"]["customer"]) == ("DE123456789", customer["id"])
    travel.ask("DELETE", f"/v1/customers/{customer['id']}")
    assert travel.ask("GET", f"/v1/tax_ids/{held['id']}")[0] == 404


def test_only_its_own_customer_shows_a_tax_id(travel: Travel) -> None:
    alice, charlie = (travel.post("/v1/customers")["id"] for _ in range(2))
    made = travel.post(f"/v1/customers/{alice}/tax_ids", type="eu_vat", value="DE123456789")
    assert travel.ask("DELETE", f"/v1/customers/{charlie}/tax_ids/{made['id']}")[0] == 404
    assert travel.get(f"/v1/customers/{charlie}/tax_ids")["data"] == []
    assert travel.ask("DELETE", f"/v1/customers/{alice}/tax_ids/{made['id']}")[1]["deleted"] is True
    assert travel.get(f"/v1/customers/{alice}/tax_ids")["data"] == []


def test_the_account_has_tax_ids_of_its_own(travel: Travel) -> None:
    made = travel.post("/v1/tax_ids", type="jp_trn", value="T1234567890123")
    customer = travel.post("/v1/customers")["id"]
    owner = {"owner[type]": "customer", "owner[customer]": customer}
    theirs = travel.post("/v1/tax_ids", type="jp_trn", value="T1234567890123", **owner)
    assert [one["id"] for one in travel.get("/v1/tax_ids")["data"]] == [made["id"]]
    assert [one["id"] for one in travel.get("/v1/tax_ids", **owner)["data"]] == [theirs["id"]]
    assert made["owner"] == {"customer_account": None, "type": "self"}
