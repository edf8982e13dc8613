"""Keys: who may do what, and that modes and accounts never mix."""

from typing import Any

import httpx
import pytest

from tests.sandbox.running import RunningSandbox, new_account, new_key


def error_of(answer: httpx.Response) -> Any:
    return answer.json()["error"]


def test_no_key_is_a_401_that_says_where_to_put_one(running: RunningSandbox) -> None:
    answer = running.http().get("/v1/customers")
    assert (answer.status_code, error_of(answer)["type"]) == (401, "invalid_request_error")
    assert error_of(answer)["message"].startswith("You did not provide an API key.")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("key", ["nonsense", "sk_other_1234567", "sk_test_", "sk_test_with space"])
def test_a_malformed_key_is_a_401_that_does_not_repeat_it(running: RunningSandbox, key: str) -> None:
    answer = running.http(key).get("/v1/customers")
    assert answer.status_code == 401
    assert error_of(answer)["message"].startswith("Invalid API Key provided: ")
    assert "*" in error_of(answer)["message"]


def test_a_key_may_come_as_the_user_of_basic_authentication(running: RunningSandbox) -> None:
    assert running.http().get("/v1/customers", auth=(new_key(), "")).status_code == 200


def test_a_publishable_key_cannot_do_a_secret_keys_work(running: RunningSandbox) -> None:
    answer = running.http(new_key("pk")).get("/v1/customers")
    assert (answer.status_code, error_of(answer)["code"]) == (403, "secret_key_required")


def test_a_restricted_key_reads_no_account_unless_it_was_allowed(running: RunningSandbox) -> None:
    key = new_key("rk")
    http = running.http(key)
    refused = http.get("/v1/account")
    assert refused.status_code == 403
    assert "'rak_account_read' permission would allow" in error_of(refused)["message"]
    assert http.get("/v1/customers").status_code == 200
    running.http().post("/_sandbox/keys", json={"key": key, "permissions": {"account": "read"}})
    assert http.get("/v1/account").status_code == 200
    assert http.get("/v1/customers").status_code == 403


def test_a_key_that_may_read_may_not_write(running: RunningSandbox) -> None:
    key = new_key("rk")
    running.http().post("/_sandbox/keys", json={"key": key, "permissions": {"*": "read"}})
    assert running.http(key).get("/v1/customers").status_code == 200
    assert running.http(key).post("/v1/customers").status_code == 403


def test_an_expired_key_is_refused(running: RunningSandbox) -> None:
    key = new_key()
    running.http().post("/_sandbox/keys", json={"key": key, "expired": True})
    answer = running.http(key).get("/v1/customers")
    assert (answer.status_code, error_of(answer)["code"]) == (401, "api_key_expired")


def test_secret_and_restricted_key_of_one_account_see_the_same(running: RunningSandbox) -> None:
    account = new_account()
    made = running.http(new_key("sk", account=account)).post("/v1/customers").json()
    assert running.http(new_key("rk", account=account)).get(f"/v1/customers/{made['id']}").status_code == 200


def test_another_accounts_object_does_not_exist(running: RunningSandbox) -> None:
    made = running.http(new_key()).post("/v1/customers").json()
    answer = running.http(new_key()).get(f"/v1/customers/{made['id']}")
    assert (answer.status_code, error_of(answer)["code"]) == (404, "resource_missing")


def test_live_objects_are_not_found_in_test_mode_and_the_error_says_so(running: RunningSandbox) -> None:
    account = new_account()
    live = running.http(new_key("sk", "live", account)).post("/v1/customers").json()
    assert live["livemode"] is True
    test = running.http(new_key("sk", "test", account))
    answer = test.get(f"/v1/customers/{live['id']}")
    assert answer.status_code == 404
    assert error_of(answer)["message"] == (
        f"No such customer: '{live['id']}'; a similar object exists in live mode, but a test mode key was used to make "
        "this request."
    )
    assert test.get("/v1/customers").json()["data"] == []


def test_another_accounts_header_is_refused(running: RunningSandbox) -> None:
    answer = running.http(new_key()).get("/v1/customers", headers={"Stripe-Account": "acct_1Other"})
    assert (answer.status_code, error_of(answer)["code"]) == (403, "account_invalid")
