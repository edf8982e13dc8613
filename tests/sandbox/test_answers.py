"""What every answer looks like: headers, errors, unknown addresses."""

import pytest

from tests.sandbox.running import RunningSandbox, new_key


def test_an_answer_names_its_request_and_the_version(running: RunningSandbox) -> None:
    http = running.http(new_key())
    answer = http.post("/v1/customers", headers={"Stripe-Version": "2026-08-26.dahlia", "Idempotency-Key": "k1"})
    assert answer.headers["Request-Id"].startswith("req_")
    assert answer.headers["Stripe-Version"] == "2026-08-26.dahlia"
    assert answer.headers["Idempotency-Key"] == "k1"
    assert answer.headers["Original-Request"] == answer.headers["Request-Id"]
    assert answer.headers["Content-Type"] == "application/json"


def test_a_version_that_is_none_is_refused(running: RunningSandbox) -> None:
    answer = running.http(new_key()).get("/v1/customers", headers={"Stripe-Version": "latest"})
    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith("Invalid Stripe API version: latest")


def test_an_error_has_stripes_fields(running: RunningSandbox) -> None:
    answer = running.http(new_key()).get("/v1/customers/cus_none")
    assert answer.status_code == 404
    error = answer.json()["error"]
    assert error.pop("request_log_url").endswith(answer.headers["Request-Id"])
    assert error == {
        "code": "resource_missing",
        "doc_url": "https://stripe.com/docs/error-codes/resource-missing",
        "message": "No such customer: 'cus_none'",
        "param": "id",
        "type": "invalid_request_error",
    }


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v1/unicorns"), ("PUT", "/v1/customers"), ("POST", "/v1/customers/cus_1/fly")]
)
def test_an_unknown_address_is_answered_as_stripe_does_and_counted(
    running: RunningSandbox, method: str, path: str
) -> None:
    http = running.http(new_key())

    def count() -> int:
        urls = http.get("/_sandbox/unsupported").json()["urls"]
        return sum(url["count"] for url in urls if url["name"] == f"{method} {path}")

    before = count()
    answer = http.request(method, path)
    assert answer.status_code == 404
    assert answer.json()["error"]["message"] == (
        f"Unrecognized request URL ({method}: {path}). Please see https://stripe.com/docs or we can help at "
        "https://support.stripe.com/."
    )
    assert count() == before + 1


def test_a_parameter_without_effect_is_counted(running: RunningSandbox) -> None:
    http = running.http(new_key())
    assert http.post("/v1/customers", data={"tax[ip_address]": "1.2.3.4"}).status_code == 200
    names = [row["name"] for row in http.get("/_sandbox/unsupported").json()["parameters"]]
    assert "POST /v1/customers tax" in names


def test_json_is_not_taken(running: RunningSandbox) -> None:
    answer = running.http(new_key()).post("/v1/customers", json={"name": "Alice"})
    assert answer.status_code == 400
    assert "application/x-www-form-urlencoded" in answer.json()["error"]["message"]


def test_health_tells_the_time(running: RunningSandbox) -> None:
    assert running.http().get("/_sandbox/health").json()["status"] == "ok"
