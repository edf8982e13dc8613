"""The search language, as Stripe documents it."""

from typing import Any

import pytest

from tests.sandbox.travel import Travel


@pytest.fixture
def people(travel: Travel) -> Travel:
    """Alice and Bob, who have a name, and somebody who has none."""
    travel.post("/v1/customers", name="Alice Mary Smith", email="alice@example.com", **{"metadata[plan]": "pro"})
    travel.post("/v1/customers", name="Bob Smith", email="bob@example.org", **{"metadata[plan]": "free"})
    travel.post("/v1/customers", email="charlie@example.org")
    return travel


def found(travel: Travel, query: str, kind: str = "customers", field: str = "email") -> list[str]:
    return [one[field].split("@")[0] for one in travel.get(f"/v1/{kind}/search", query=query)["data"]][::-1]


@pytest.mark.parametrize(
    ("query", "who"),
    [
        ('email:"ALICE@example.com"', ["alice"]),  # large letters are small ones
        ('name:"smith"', ["alice", "bob"]),  # a string has all words of the value …
        ('name:"mary smith"', ["alice"]),
        ('name:"alice smith"', []),  # … one after the other
        ('name:"smi"', []),  # … and whole
        ('name~"smi"', ["alice", "bob"]),
        ('name~"ary sm"', ["alice"]),
        ('name:null', ["charlie"]),
        ('-name:"smith"', ["charlie"]),
        ('metadata["plan"]:"PRO"', ["alice"]),
        ('-metadata["plan"]:null', ["alice", "bob"]),
        ('name:"smith" metadata["plan"]:"free"', ["bob"]),  # a space means AND
        ('name:"smith" and -metadata["plan"]:"free"', ["alice"]),
        ('email~"example.com" OR metadata["plan"]:"free"', ["alice", "bob"]),
        ('created>="1" created<9999999999', ["alice", "bob", "charlie"]),  # quotes are optional for numbers
    ],
)  # fmt: skip
def test_customers_are_found(people: Travel, query: str, who: list[str]) -> None:
    assert found(people, query) == who


@pytest.mark.parametrize(
    "query",
    [
        "nickname:'al'",
        "email:'a' AND name:'b' OR name:'c'",
        "email:'a' name:'b' OR name:'c'",  # the space is an AND
        "name~'al'",  # three characters at least
        "metadata['plan']~'free'",  # a token is equal or not
        "email>5",  # a string is not compared
        "created~'180'",
        "email:'a' AND ",
        "email:alice",
        "(email:'a')",
        " ".join(f"metadata['{number}']:'x'" for number in range(11)),  # ten clauses at most
    ],
)
def test_what_is_no_query_is_refused(people: Travel, query: str) -> None:
    status, said = people.ask("GET", "/v1/customers/search", query=query)
    assert (status, said["error"]["type"], said["error"]["param"]) == (400, "invalid_request_error", "query")


def charge(travel: Travel, amount: str, refunded: str = "") -> Any:
    given = {"payment_method": "pm_card_visa", "payment_method_types[]": "card", "confirm": "true"}
    paid = travel.post("/v1/payment_intents", amount=amount, currency="jpy", **given)["latest_charge"]
    if refunded:
        travel.post("/v1/refunds", charge=paid, amount=refunded)
    return paid


def test_charges_are_found_by_how_much_of_them_was_refunded(travel: Travel) -> None:
    wholly, partly, never = charge(travel, "500", "500"), charge(travel, "600", "100"), charge(travel, "700")
    for query, id in (("refunded:'true'", wholly), ("refunded:'false'", partly), ("refunded:null", never)):
        assert [one["id"] for one in travel.get("/v1/charges/search", query=query)["data"]] == [id]


def test_charges_are_found_by_their_card_and_amount(travel: Travel) -> None:
    paid = charge(travel, "600")
    charge(travel, "400")
    query = "payment_method_details.card.last4:4242 AND amount>500"
    assert [one["id"] for one in travel.get("/v1/charges/search", query=query)["data"]] == [paid]
    assert travel.get("/v1/charges/search", query="payment_method_details.card_present.last4:4242")["data"] == []


def test_pages_follow_each_other(people: Travel) -> None:
    first = people.get("/v1/customers/search", query="created>0", limit="2", **{"expand[]": "total_count"})
    assert (len(first["data"]), first["has_more"], first["total_count"]) == (2, True, 3)
    rest = people.get("/v1/customers/search", query="created>0", limit="2", page=first["next_page"])
    assert (len(rest["data"]), rest["has_more"], rest["next_page"]) == (1, False, None)
    assert not {one["id"] for one in first["data"]} & {one["id"] for one in rest["data"]}
