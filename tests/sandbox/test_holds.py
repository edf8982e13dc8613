"""Money that is held: in parts, more of it, and for how long."""

from typing import Any

from tests.sandbox.travel import Travel

DAY = 24 * 3600


def hold(travel: Travel, card: str = "pm_card_visa", **requests: str) -> Any:
    asked = {f"payment_method_options[card][request_{name}]": word for name, word in requests.items()}
    return travel.post(
        "/v1/payment_intents", amount="5000", currency="jpy", capture_method="manual", payment_method=card,
        confirm="true", **{"payment_method_types[]": "card"}, **asked,
    )  # fmt: skip


def charge_of(travel: Travel, intent: Any) -> Any:
    return travel.get(f"/v1/charges/{intent['latest_charge']}")


def balance(travel: Travel) -> int:
    return int(travel.get("/v1/balance")["available"][0]["amount"])


def test_a_part_is_captured_and_the_rest_released(travel: Travel) -> None:
    intent = hold(travel)
    taken = travel.post(f"/v1/payment_intents/{intent['id']}/capture", amount_to_capture="3000")
    assert (taken["status"], taken["amount_received"], taken["amount_capturable"]) == ("succeeded", 3000, 0)
    charge = charge_of(travel, intent)
    assert (charge["amount"], charge["amount_captured"], charge["amount_refunded"]) == (5000, 3000, 2000)
    assert balance(travel) == 3000


def test_parts_are_captured_one_after_another(travel: Travel) -> None:
    intent = hold(travel, multicapture="if_available")
    path = f"/v1/payment_intents/{intent['id']}/capture"
    first = travel.post(path, amount_to_capture="1000", final_capture="false")
    assert (first["status"], first["amount_received"], first["amount_capturable"]) == ("requires_capture", 1000, 4000)
    second = travel.post(path, amount_to_capture="1500", final_capture="false")
    assert (second["amount_received"], second["amount_capturable"], balance(travel)) == (2500, 2500, 2500)
    last = travel.post(path, amount_to_capture="500")
    assert (last["status"], last["amount_received"]) == ("succeeded", 3000)
    charge = charge_of(travel, intent)
    assert (charge["captured"], charge["amount_captured"], charge["amount_refunded"]) == (True, 3000, 2000)
    lines = travel.get("/v1/balance_transactions", source=charge["id"])["data"]
    assert sorted(line["amount"] for line in lines) == [500, 1000, 1500]
    travel.post("/v1/refunds", payment_intent=intent["id"])
    assert balance(travel) == 0


def test_the_rest_is_given_back_by_a_last_capture_of_nothing(travel: Travel) -> None:
    intent = hold(travel, multicapture="if_available")
    path = f"/v1/payment_intents/{intent['id']}/capture"
    assert travel.ask("POST", path, amount_to_capture="0")[0] == 400
    travel.post(path, amount_to_capture="1000", final_capture="false")
    done = travel.post(path, amount_to_capture="0")
    assert (done["status"], done["amount_received"], balance(travel)) == ("succeeded", 1000, 1000)


def test_parts_need_to_be_asked_for(travel: Travel) -> None:
    intent = hold(travel)
    status, said = travel.ask(
        "POST", f"/v1/payment_intents/{intent['id']}/capture", amount_to_capture="1000", final_capture="false"
    )
    assert (status, said["error"]["param"], balance(travel)) == (400, "final_capture", 0)


def test_more_is_held_when_that_was_asked_for(travel: Travel) -> None:
    intent = hold(travel, incremental_authorization="if_available")
    path = f"/v1/payment_intents/{intent['id']}"
    raised = travel.post(f"{path}/increment_authorization", amount="7000", description="Longer stay")
    assert (raised["amount"], raised["amount_capturable"], raised["description"]) == (7000, 7000, "Longer stay")
    assert charge_of(travel, intent)["payment_method_details"]["card"]["amount_authorized"] == 7000
    for amount in ("7000", "6000"):
        assert travel.ask("POST", f"{path}/increment_authorization", amount=amount)[0] == 400
    travel.post(f"{path}/capture")
    assert balance(travel) == 7000
    status, said = travel.ask("POST", f"{path}/increment_authorization", amount="8000")
    assert (status, said["error"]["code"]) == (400, "payment_intent_unexpected_state")


def test_nothing_more_is_held_without_asking_for_it(travel: Travel) -> None:
    path = f"/v1/payment_intents/{hold(travel)['id']}/increment_authorization"
    assert travel.ask("POST", path, amount="7000")[0] == 400


def test_a_fifth_more_is_captured_when_that_was_asked_for(travel: Travel) -> None:
    path = f"/v1/payment_intents/{hold(travel, overcapture='if_available')['id']}/capture"
    status, said = travel.ask("POST", path, amount_to_capture="6001")
    assert (status, said["error"]["code"]) == (400, "amount_too_large")
    taken = travel.post(path, amount_to_capture="6000")
    assert (taken["amount"], taken["amount_received"], balance(travel)) == (6000, 6000, 6000)
    travel.post("/v1/refunds", payment_intent=taken["id"])
    assert balance(travel) == 0


def test_what_nobody_captures_is_released_after_seven_days(travel: Travel) -> None:
    intent = hold(travel)
    travel.advance(7 * DAY - 1)
    assert travel.get(f"/v1/payment_intents/{intent['id']}")["status"] == "requires_capture"
    travel.advance(1)
    released = travel.get(f"/v1/payment_intents/{intent['id']}")
    assert (released["status"], released["cancellation_reason"]) == ("canceled", "automatic")
    assert (charge_of(travel, intent)["refunded"], balance(travel)) == (True, 0)
    assert [event["type"] for event in travel.get("/v1/events")["data"][:2]] == [
        "payment_intent.canceled", "charge.expired",
    ]  # fmt: skip


def test_what_was_captured_in_parts_stays_when_the_rest_is_released(travel: Travel) -> None:
    intent = hold(travel, multicapture="if_available", extended_authorization="if_available")
    path = f"/v1/payment_intents/{intent['id']}"
    travel.post(f"{path}/capture", amount_to_capture="1000", final_capture="false")
    travel.advance(30 * DAY - 1)
    assert travel.get(path)["status"] == "requires_capture"
    travel.advance(1)
    assert (travel.get(path)["status"], balance(travel)) == ("succeeded", 1000)


def test_a_charge_without_an_intent_is_released_too(travel: Travel) -> None:
    form = {"amount": "2000", "currency": "usd", "source": "tok_visa", "capture": "false"}
    charge = travel.post("/v1/charges", **form)
    travel.advance(7 * DAY)
    assert travel.get(f"/v1/charges/{charge['id']}")["refunded"] is True
    status, said = travel.ask("POST", f"/v1/charges/{charge['id']}/capture")
    assert (status, said["error"]["code"], balance(travel)) == (400, "charge_expired_for_capture", 0)
