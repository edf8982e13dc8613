"""Webhooks: signed, retried, counted down."""

import inspect
import re
from typing import Any

import pytest
import stripe
from stripe.params import _webhook_endpoint_create_params

from sandbox.event_types import EVENT_TYPES
from tests.sandbox.running import Receiver, RunningSandbox, new_key, until


def deliveries(running: RunningSandbox, endpoint: str) -> Any:
    return running.http().get("/_sandbox/deliveries", params={"endpoint": endpoint}).json()["data"]


def endpoint_for(v1: Any, receiver: Receiver, **params: Any) -> Any:
    return v1.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["*"]} | params)


def test_an_event_arrives_signed_and_counts_down(v1: Any, receiver: Receiver) -> None:
    endpoint = endpoint_for(v1, receiver)
    customer = v1.customers.create({"name": "アリス"})
    until(lambda: receiver.received)
    [event] = receiver.events(endpoint.secret)
    assert (event.type, event.data.object.id, event.pending_webhooks) == ("customer.created", customer.id, 1)
    assert "アリス" in receiver.received[0][0].decode()
    until(lambda: v1.events.retrieve(event.id).pending_webhooks == 0)
    assert [found.id for found in v1.events.list({"delivery_success": True}).data] == [event.id]


def test_the_secret_is_shown_once(v1: Any, receiver: Receiver) -> None:
    endpoint = endpoint_for(v1, receiver)
    assert endpoint.secret.startswith("whsec_")
    assert "secret" not in v1.webhook_endpoints.retrieve(endpoint.id).to_dict()
    assert "secret" not in v1.webhook_endpoints.update(endpoint.id, {"description": "mine"}).to_dict()


def test_a_receiver_that_fails_is_tried_again(running: RunningSandbox, v1: Any, receiver: Receiver) -> None:
    receiver.answers = [500, 302, 200]
    endpoint = endpoint_for(v1, receiver)
    v1.customers.create({})
    delivery = until(
        lambda: next((one for one in deliveries(running, endpoint.id) if one["state"] == "delivered"), None)
    )
    assert [attempt["status"] for attempt in delivery["attempts"]] == [500, 302, 200]
    assert len({event.id for event in receiver.events(endpoint.secret)}) == 1


def test_a_receiver_that_never_answers_well_is_given_up_and_can_be_asked_for_again(
    running: RunningSandbox, v1: Any, receiver: Receiver
) -> None:
    receiver.answers = [500]
    endpoint = endpoint_for(v1, receiver)
    v1.customers.create({})
    until(lambda: [one for one in deliveries(running, endpoint.id) if one["state"] == "failed"])
    [event] = v1.events.list().data
    assert event.pending_webhooks == 1
    assert [found.id for found in v1.events.list({"delivery_success": False}).data] == [event.id]
    receiver.answers = [200]
    running.http().post("/_sandbox/deliveries/redeliver", json={"event": event.id})
    until(lambda: v1.events.retrieve(event.id).pending_webhooks == 0)


def test_only_the_wanted_types_are_sent(v1: Any, receiver: Receiver) -> None:
    endpoint = endpoint_for(v1, receiver, enabled_events=["product.created"])
    v1.customers.create({})
    v1.products.create({"name": "Business"})
    until(lambda: receiver.received)
    assert [event.type for event in receiver.events(endpoint.secret)] == ["product.created"]


@pytest.mark.parametrize("how", ["disable", "delete"])
def test_an_endpoint_that_is_off_gets_nothing(running: RunningSandbox, v1: Any, receiver: Receiver, how: str) -> None:
    endpoint = endpoint_for(v1, receiver)
    if how == "disable":
        assert v1.webhook_endpoints.update(endpoint.id, {"disabled": True}).status == "disabled"
    else:
        v1.webhook_endpoints.delete(endpoint.id)
    v1.customers.create({})
    assert deliveries(running, endpoint.id) == []
    assert v1.events.list().data[0].pending_webhooks == 0


def test_a_rolled_secret_signs_beside_the_old_one_until_that_expires(
    running: RunningSandbox, v1: Any, receiver: Receiver
) -> None:
    endpoint = endpoint_for(v1, receiver)
    rolled = running.http().post(f"/_sandbox/webhook_endpoints/{endpoint.id}/roll_secret", json={"expires_in": 3600})
    v1.customers.create({})
    until(lambda: receiver.received)
    assert receiver.events(endpoint.secret)
    assert receiver.events(rolled.json()["secret"])
    again = running.http().post(f"/_sandbox/webhook_endpoints/{endpoint.id}/roll_secret", json={"expires_in": 0})
    receiver.received.clear()
    v1.customers.create({})
    until(lambda: receiver.received)
    assert receiver.events(again.json()["secret"])
    with pytest.raises(stripe.SignatureVerificationError):
        receiver.events(endpoint.secret)


def test_an_endpoint_can_speak_its_own_version(v1: Any, receiver: Receiver) -> None:
    endpoint = endpoint_for(v1, receiver, api_version="2026-10-28.endive")
    v1.customers.create({})
    until(lambda: receiver.received)
    assert receiver.events(endpoint.secret)[0].api_version == "2026-10-28.endive"


def test_a_known_secret_can_be_given_and_given_again(running: RunningSandbox, receiver: Receiver) -> None:
    key = new_key()
    given = {"url": receiver.url, "secret": "whsec_first", "key": key}
    first = running.http().post("/_sandbox/webhook_endpoints", json=given).json()
    second = running.http().post("/_sandbox/webhook_endpoints", json=given | {"secret": "whsec_second"}).json()
    assert first["id"] == second["id"]
    running.client(key).v1.customers.create({})
    until(lambda: receiver.received)
    assert receiver.events("whsec_second")


@pytest.mark.parametrize("act", ["create", "update"])
def test_an_event_that_there_is_not_cannot_be_wanted(v1: Any, act: str) -> None:
    wrong: Any = {"enabled_events": ["invoice.paid", "invoice.eaten"]}
    known = v1.webhook_endpoints.create({"url": "http://127.0.0.1:9/", "enabled_events": ["*"]})
    with pytest.raises(stripe.InvalidRequestError) as refused:
        if act == "create":
            v1.webhook_endpoints.create({"url": "http://127.0.0.1:9/", **wrong})
        else:
            v1.webhook_endpoints.update(known.id, wrong)
    assert refused.value.param == "enabled_events[1]"
    assert "must be one of *, account.application.authorized" in str(refused.value)


def test_every_event_of_the_official_library_can_be_wanted() -> None:
    source = inspect.getsource(_webhook_endpoint_create_params)
    known = re.findall(r'^            "([a-z_0-9]+\.[a-z_.0-9]+)",$', source, flags=re.MULTILINE)
    assert len(known) > 250
    assert set(known) <= set(EVENT_TYPES)
