"""Usage by the second version of the API, and the reports of what could not be counted."""

import json
import secrets
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import stripe

from sandbox.thin_events import iso
from tests.sandbox.running import Receiver, RunningSandbox, new_key, until
from tests.sandbox.test_triggers import RECIPES, cook

REPORTS = ("v1.billing.meter.error_report_triggered", "v1.billing.meter.no_meter_found")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    """A sandbox whose time may be moved."""
    sandbox = RunningSandbox(tmp_path_factory.mktemp("metered")).start()
    yield sandbox
    sandbox.stop()


def client_of(sandbox: RunningSandbox, key: str) -> stripe.StripeClient:
    addresses: Any = {"api": sandbox.url, "meter_events": sandbox.url}
    return stripe.StripeClient(key, base_addresses=addresses, max_network_retries=0)


def metered(client: stripe.StripeClient) -> tuple[str, str, str]:
    """A meter's id and the name of its events, and a customer."""
    name = f"calls_{secrets.token_hex(4)}"
    meter = client.v1.billing.meters.create(
        {"display_name": "Calls", "event_name": name, "default_aggregation": {"formula": "sum"}}
    )
    return meter.id, name, client.v1.customers.create({}).id


def used(client: stripe.StripeClient, meter: str, customer: str, at: int) -> float:
    day = at - at % 86400
    asked: Any = {"customer": customer, "start_time": day - 86400, "end_time": day + 2 * 86400}
    return sum(one.aggregated_value for one in client.v1.billing.meters.event_summaries.list(meter, asked).data)


def test_an_event_of_the_second_version_counts_and_is_taken_back(own: RunningSandbox) -> None:
    client = client_of(own, new_key())
    meter, name, customer = metered(client)
    now = client.v1.customers.retrieve(customer).created
    for identifier, value in (("one", "2.5"), ("two", "4")):
        payload = {"stripe_customer_id": customer, "value": value}
        made = client.v2.billing.meter_events.create(
            {"event_name": name, "payload": payload, "identifier": identifier, "timestamp": iso(now)}
        )
        assert (made.identifier, made.timestamp, made.payload["value"]) == (identifier, iso(now), value)
    client.v2.billing.meter_event_adjustments.create(
        {"event_name": name, "type": "cancel", "cancel": {"identifier": "one"}}
    )
    assert used(client, meter, customer, now) == 4


def test_a_stream_is_opened_with_its_session_and_counts_what_can_be_counted(own: RunningSandbox) -> None:
    client = client_of(own, new_key())
    meter, name, customer = metered(client)
    session = client.v2.billing.meter_event_session.create()
    events: Any = [
        {"event_name": name, "payload": {"stripe_customer_id": customer, "value": "3"}, "identifier": "once"},
        {"event_name": name, "payload": {"stripe_customer_id": customer, "value": "3"}, "identifier": "once"},
        {"event_name": name, "payload": {"stripe_customer_id": customer, "value": "some"}},
        {"event_name": "nothing", "payload": {"stripe_customer_id": customer, "value": "1"}},
    ]
    client_of(own, session.authentication_token).v2.billing.meter_event_stream.create({"events": events})
    assert used(client, meter, customer, client.v1.customers.retrieve(customer).created) == 3
    pass_ten_seconds(own)
    told = {event.type: event for event in client.v2.core.events.list({"limit": 1}).auto_paging_iter()}
    assert set(told) == set(REPORTS)
    codes = {type: event.to_dict()["data"]["reason"]["error_types"][0]["code"] for type, event in told.items()}
    assert codes == {REPORTS[0]: "meter_event_invalid_value", REPORTS[1]: "no_meter"}


def pass_ten_seconds(sandbox: RunningSandbox) -> None:
    assert httpx.post(f"{sandbox.url}/_sandbox/advance", json={"by": 12}, trust_env=False).is_success


def test_a_report_is_delivered_thin_and_fetched_whole(own: RunningSandbox, receiver: Receiver) -> None:
    client = client_of(own, new_key())
    meter, name, _ = metered(client)
    wanted: Any = [REPORTS[0]]
    endpoint = client.v1.webhook_endpoints.create({"url": receiver.url, "enabled_events": wanted})
    client.v1.billing.meter_events.create(
        {"event_name": name, "payload": {"stripe_customer_id": "cus_nobody", "value": "1"}}
    )
    pass_ten_seconds(own)
    body, headers = until(lambda: receiver.received)[0]
    assert "data" not in json.loads(body)
    notification: Any = client.parse_event_notification(body, headers["Stripe-Signature"], endpoint.secret or "")
    assert notification.fetch_related_object().id == meter
    assert notification.fetch_event().data.reason.error_types[0].code == "meter_event_customer_not_found"


@pytest.mark.parametrize("type", REPORTS)
def test_the_recipe_makes_its_report(type: str, own: RunningSandbox) -> None:
    recipe = RECIPES / f"{type}.json"
    if not recipe.exists():
        pytest.skip("The recipes of Stripe's command line are not beside the project, so they cannot be tried.")
    http = own.http(new_key())
    now = httpx.get(f"{own.url}/_sandbox/health", trust_env=False).json()["now"]
    text = recipe.read_text().replace("${generate-uuid}", str(uuid.uuid4())).replace("${time-now-RFC3339}", iso(now))
    cook(http, json.loads(text))
    pass_ten_seconds(own)
    assert [event["type"] for event in http.get("/v2/core/events").json()["data"]] == [type]


def test_a_body_that_is_no_object_is_refused(own: RunningSandbox) -> None:
    http = own.http(new_key())
    for body in (b"{", b"[]", b'"event"'):
        said = http.post("/v2/billing/meter_events", content=body, headers={"Content-Type": "application/json"})
        assert (said.status_code, said.json()["error"]["type"]) == (400, "invalid_request_error")
