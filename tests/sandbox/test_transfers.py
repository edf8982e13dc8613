"""Bank transfers: cash arrives in the amount its sender likes, and payments are funded from it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.reconciling import Waiting, share
from sandbox.testbanks import is_iban
from tests.sandbox.travel import Travel

DAY = 24 * 3600
TYPES = {"jpy": "jp_bank_transfer", "usd": "us_bank_transfer", "eur": "eu_bank_transfer", "gbp": "gb_bank_transfer"}


def customer(travel: Travel) -> str:
    return str(travel.post("/v1/customers", name="Alice", email="alice@example.com")["id"])


def awaiting(travel: Travel, owner: str, amount: int = 5000, currency: str = "jpy") -> Any:
    """An intent that waits for a transfer."""
    return travel.post(
        "/v1/payment_intents", amount=str(amount), currency=currency, customer=owner, confirm="true",
        **{
            "payment_method_types[]": "customer_balance", "payment_method_data[type]": "customer_balance",
            "payment_method_options[customer_balance][funding_type]": "bank_transfer",
            "payment_method_options[customer_balance][bank_transfer][type]": TYPES[currency],
        },
    )  # fmt: skip


def send(travel: Travel, owner: str, amount: int, currency: str = "jpy", **more: str) -> Any:
    """The customer's bank sends money."""
    path = f"/v1/test_helpers/customers/{owner}/fund_cash_balance"
    return travel.post(path, amount=str(amount), currency=currency, **more)


def cash(travel: Travel, owner: str) -> Any:
    return travel.get(f"/v1/customers/{owner}/cash_balance")["available"]


def status(travel: Travel, intent: Any) -> str:
    return str(travel.get(f"/v1/payment_intents/{intent['id']}")["status"])


def types(travel: Travel) -> list[str]:
    return [event["type"] for event in travel.get("/v1/events", limit="100")["data"]][::-1]


@pytest.mark.parametrize("currency", TYPES)
def test_a_customer_is_told_an_account_of_their_own(travel: Travel, currency: str) -> None:
    alice, bob = customer(travel), customer(travel)
    mine = awaiting(travel, alice, currency=currency)["next_action"]["display_bank_transfer_instructions"]
    again = awaiting(travel, alice, currency=currency)["next_action"]["display_bank_transfer_instructions"]
    other = awaiting(travel, bob, currency=currency)["next_action"]["display_bank_transfer_instructions"]
    assert mine["amount_remaining"] == 5000
    assert mine["financial_addresses"] == again["financial_addresses"] != other["financial_addresses"]
    if currency == "eur":
        assert is_iban(mine["financial_addresses"][0]["iban"]["iban"])


@pytest.mark.parametrize("currency", ["jpy", "eur"])
def test_funding_instructions_tell_the_same_account(travel: Travel, currency: str) -> None:
    """For pounds and dollars too, but of those the published schema knows nothing yet."""
    alice = customer(travel)
    told = travel.post(
        f"/v1/customers/{alice}/funding_instructions", currency=currency, funding_type="bank_transfer",
        **{"bank_transfer[type]": TYPES[currency]},
    )  # fmt: skip
    waits = awaiting(travel, alice, currency=currency)["next_action"]["display_bank_transfer_instructions"]
    assert told["bank_transfer"]["financial_addresses"] == waits["financial_addresses"]


def test_the_exact_amount_pays(travel: Travel) -> None:
    alice = customer(travel)
    intent = awaiting(travel, alice)
    send(travel, alice, 5000)
    assert status(travel, intent) == "succeeded"
    assert cash(travel, alice) == {"jpy": 0}
    moved = travel.get(f"/v1/customers/{alice}/cash_balance_transactions")["data"]
    assert [(one["type"], one["net_amount"]) for one in moved] == [("applied_to_payment", -5000), ("funded", 5000)]
    assert types(travel)[-2:] == ["charge.succeeded", "payment_intent.succeeded"]


def test_too_little_leaves_the_rest_to_be_sent(travel: Travel) -> None:
    alice = customer(travel)
    intent = awaiting(travel, alice)
    send(travel, alice, 2000)
    partly = travel.get(f"/v1/payment_intents/{intent['id']}")
    assert partly["status"] == "requires_action"
    assert partly["next_action"]["display_bank_transfer_instructions"]["amount_remaining"] == 3000
    assert types(travel)[-1] == "payment_intent.partially_funded"
    assert travel.get("/v1/balance")["available"][0]["amount"] == 0  # it is not ours before it is whole
    send(travel, alice, 3000)
    assert status(travel, intent) == "succeeded"


def test_too_much_stays_the_customers_and_can_be_sent_back(travel: Travel) -> None:
    alice = customer(travel)
    intent = awaiting(travel, alice)
    send(travel, alice, 7000)
    assert (status(travel, intent), cash(travel, alice)) == ("succeeded", {"jpy": 2000})
    assert types(travel)[-1] == "cash_balance.funds_available"
    refund = travel.post("/v1/refunds", origin="customer_balance", customer=alice, amount="2000", currency="jpy")
    assert (refund["status"], refund["charge"]) == ("requires_action", None)
    assert cash(travel, alice) == {"jpy": 0}
    assert travel.get("/v1/balance")["available"][0]["amount"] == 5000
    code = travel.ask("POST", "/v1/refunds", origin="customer_balance", customer=alice, amount="1", currency="jpy")[0]
    assert code == 400


def test_cash_sent_back_that_nobody_claims_returns(travel: Travel) -> None:
    alice = customer(travel)
    send(travel, alice, 2000)
    travel.post("/v1/refunds", origin="customer_balance", customer=alice, amount="2000", currency="jpy")
    travel.advance(45 * DAY)
    assert cash(travel, alice) == {"jpy": 2000}


def test_cash_that_is_there_already_pays_at_once(travel: Travel) -> None:
    alice = customer(travel)
    send(travel, alice, 6000)
    assert awaiting(travel, alice)["status"] == "succeeded"
    assert cash(travel, alice) == {"jpy": 1000}


def test_by_hand_nothing_is_funded_until_somebody_says_so(travel: Travel) -> None:
    alice = customer(travel)
    travel.post(f"/v1/customers/{alice}/cash_balance", **{"settings[reconciliation_mode]": "manual"})
    intent = awaiting(travel, alice)
    send(travel, alice, 5000)
    assert (status(travel, intent), cash(travel, alice)) == ("requires_action", {"jpy": 5000})
    partly = travel.post(f"/v1/payment_intents/{intent['id']}/apply_customer_balance", amount="1000")
    assert partly["status"] == "requires_action"
    assert travel.ask("POST", f"/v1/payment_intents/{intent['id']}/apply_customer_balance", amount="4001")[0] == 400
    assert travel.post(f"/v1/payment_intents/{intent['id']}/apply_customer_balance")["status"] == "succeeded"


@pytest.mark.parametrize("otherwise", ["cancel", "card"])
def test_what_was_set_aside_comes_back_when_the_payment_goes_another_way(travel: Travel, otherwise: str) -> None:
    alice = customer(travel)
    intent = awaiting(travel, alice)
    send(travel, alice, 2000)
    path = f"/v1/payment_intents/{intent['id']}"
    if otherwise == "cancel":
        travel.post(f"{path}/cancel")
    else:
        both = {"payment_method_types[0]": "card", "payment_method_types[1]": "customer_balance"}
        travel.post(f"{path}/confirm", payment_method="pm_card_visa", **both)
    assert cash(travel, alice) == {"jpy": 2000}
    last = travel.get(f"/v1/customers/{alice}/cash_balance_transactions")["data"][0]
    assert (last["type"], last["net_amount"]) == ("unapplied_from_payment", 2000)


def test_a_payment_by_transfer_is_refunded_into_the_cash_balance(travel: Travel) -> None:
    alice = customer(travel)
    intent = awaiting(travel, alice)
    send(travel, alice, 5000)
    refund = travel.post("/v1/refunds", payment_intent=intent["id"], amount="1500")
    assert (refund["status"], refund["destination_details"]["type"]) == ("succeeded", "customer_cash_balance")
    assert cash(travel, alice) == {"jpy": 1500}


def test_a_transfer_pays_an_invoice_that_was_sent(travel: Travel) -> None:
    alice = customer(travel)
    invoice = travel.post("/v1/invoices", customer=alice, collection_method="send_invoice", days_until_due="30",
                          currency="jpy")  # fmt: skip
    travel.post("/v1/invoiceitems", customer=alice, amount="5000", currency="jpy", invoice=invoice["id"])
    travel.post(f"/v1/invoices/{invoice['id']}/finalize")
    send(travel, alice, 5000)
    paid = travel.get(f"/v1/invoices/{invoice['id']}")
    assert (paid["status"], paid["amount_paid"]) == ("paid", 5000)


def test_a_transfer_needs_a_customer(travel: Travel) -> None:
    way = {"payment_method_types[]": "customer_balance", "payment_method_data[type]": "customer_balance"}
    asked = {"amount": "5000", "currency": "jpy", "confirm": "true", **way}
    code, said = travel.ask("POST", "/v1/payment_intents", **asked)
    assert (code, said["error"]["param"]) == (400, "customer")


def test_money_is_sent_on_the_page_of_the_transfer(travel: Travel) -> None:
    alice = customer(travel)
    intent = awaiting(travel, alice)
    details = intent["next_action"]["display_bank_transfer_instructions"]
    page = details["hosted_instructions_url"].removeprefix("http://sandbox.example")
    assert travel.visit("GET", page) == 200
    assert travel.visit("POST", page, amount="all of it") == 422
    assert travel.visit("POST", page, amount="5000", reference=details["reference"]) == 200
    assert status(travel, intent) == "succeeded"


def waiting(*missing: int, invoices: tuple[int, ...] = ()) -> list[Waiting]:
    """Named by their place, the first is the oldest."""
    return [Waiting(str(place), one, place, place in invoices, (f"R{place}",)) for place, one in enumerate(missing)]


@pytest.mark.parametrize(
    ("available", "asked", "invoices", "paid"),
    [
        (3000, (1000, 2000, 3000), (), [("2", 3000)]),  # the smallest group that fits exactly
        (3000, (1000, 2000, 5000), (), [("0", 1000), ("1", 2000)]),  # two together
        (3000, (3000, 3000), (1,), [("1", 3000)]),  # invoices first
        (3000, (3000, 3000), (), [("0", 3000)]),  # then the oldest
        (2500, (1000, 2000), (), [("0", 1000), ("1", 1500)]),  # no group fits: the oldest first, the last in part
        (9000, (1000, 2000), (), [("0", 1000), ("1", 2000)]),  # the rest is left over
    ],
)
def test_yen_find_the_group_that_they_are_for(
    available: int, asked: tuple[int, ...], invoices: tuple[int, ...], paid: list[tuple[str, int]]
) -> None:
    assert share(available, waiting(*asked, invoices=invoices), "jpy", None) == paid


@pytest.mark.parametrize(
    ("available", "reference", "paid"),
    [
        (2000, "Payment R0", [("0", 1000), ("1", 1000)]),  # the reference names it
        (2000, None, [("1", 2000)]),  # the exact amount
        (500, None, [("0", 500)]),  # the oldest
    ],
)
def test_other_money_finds_its_payment_by_name_amount_or_age(
    available: int, reference: str | None, paid: list[tuple[str, int]]
) -> None:
    assert share(available, waiting(1000, 2000, 4000), "usd", reference) == paid


@given(
    available=st.integers(min_value=0, max_value=10_000),
    asked=st.lists(st.integers(min_value=1, max_value=3000), max_size=8),
    currency=st.sampled_from(["jpy", "usd"]),
)
def test_no_more_is_shared_than_there_is_or_is_missing(available: int, asked: list[int], currency: str) -> None:
    parts = share(available, waiting(*asked), currency, None)
    assert sum(part for _, part in parts) == min(available, sum(asked))
    assert all(0 < part <= asked[int(place)] for place, part in parts)
    assert len({place for place, _ in parts}) == len(parts)


def test_an_invoice_offers_the_ways_that_it_names(travel: Travel) -> None:
    """And passes on what is said of them; what is said of a subscription its invoices begin with."""
    settings = {
        "payment_settings[payment_method_types][]": "customer_balance",
        "payment_settings[payment_method_options][customer_balance][funding_type]": "bank_transfer",
        "payment_settings[payment_method_options][customer_balance][bank_transfer][type]": "eu_bank_transfer",
        "payment_settings[payment_method_options][customer_balance][bank_transfer][eu_bank_transfer][country]": "FR",
    }
    alice, sent = customer(travel), {"collection_method": "send_invoice", "days_until_due": "30"}
    made = travel.post("/v1/invoices", customer=alice, currency="eur", **sent, **settings)
    travel.post("/v1/invoiceitems", customer=alice, invoice=made["id"], amount="5000", currency="eur")
    product = {"price_data[product]": travel.post("/v1/products", name="Pro")["id"]}
    monthly = {"price_data[currency]": "eur", "price_data[unit_amount]": "900",
               "price_data[recurring][interval]": "month"}  # fmt: skip
    item = {f"items[0][{name.replace('[', '][', 1)}": value for name, value in {**product, **monthly}.items()}
    subscription = travel.post("/v1/subscriptions", customer=alice, **item, **sent, **settings)
    for id in (made["id"], subscription["latest_invoice"]):
        invoice = travel.post(f"/v1/invoices/{id}/finalize", **{"expand[]": "payments"})
        assert invoice["payment_settings"]["payment_method_types"] == ["customer_balance"]
        intent = travel.get(f"/v1/payment_intents/{invoice['payments']['data'][0]['payment']['payment_intent']}")
        assert intent["payment_method_types"] == ["customer_balance"]
        assert intent["payment_method_options"]["customer_balance"]["bank_transfer"] == {
            "eu_bank_transfer": {"country": "FR"}, "type": "eu_bank_transfer",
        }  # fmt: skip


def test_a_changed_amount_changes_what_is_still_to_be_sent(travel: Travel) -> None:
    alice = customer(travel)
    intent = awaiting(travel, alice)
    send(travel, alice, 2000)
    more = travel.post(f"/v1/payment_intents/{intent['id']}", amount="6000")
    assert more["next_action"]["display_bank_transfer_instructions"]["amount_remaining"] == 4000
    less = travel.post(f"/v1/payment_intents/{intent['id']}", amount="2000")
    assert (less["status"], less["amount_received"]) == ("succeeded", 2000)
    code, said = travel.ask("POST", f"/v1/payment_intents/{awaiting(travel, alice)['id']}", amount="0")
    assert (code, said["error"]["param"]) == (400, "amount")
