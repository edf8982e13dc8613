"""Events on a bus of EventBridge, played by moto, and from there in a queue."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest

from tests.ports import next_port
from tests.sandbox.running import RunningSandbox, new_key, until


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    """The address of an AWS of this module's own."""
    port = next_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    until(lambda: answers(url), seconds=60)
    yield url
    process.terminate()
    process.wait()


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/moto-api/", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def sqs(aws: str) -> Any:
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    return boto3.client("sqs", endpoint_url=aws, region_name="us-east-1", **keys)


def received(aws: str, queue_url: str) -> list[Any]:
    answer = sqs(aws).receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10)
    return [json.loads(message["Body"]) for message in answer.get("Messages", [])]


def destination(running: RunningSandbox, aws: str, **fields: Any) -> Any:
    said = running.http().post("/_sandbox/event_destinations", json={"url": aws, **fields}, timeout=60)
    assert said.status_code == 200, said.text
    return said.json()


def test_an_event_comes_out_of_the_queue_in_a_partner_sources_envelope(running: RunningSandbox, aws: str) -> None:
    key = new_key()
    made = destination(running, aws, key=key, queue="one")
    v1 = running.client(key).v1
    customer = v1.customers.create({"name": "アリス"})
    [envelope] = until(lambda: received(aws, made["queue_url"]))
    [event] = v1.events.list().data
    assert envelope["source"] == f"aws.partner/stripe.com/{made['id']}"
    assert made["id"].startswith("ed_test_")
    assert (envelope["detail-type"], envelope["detail"]["id"]) == ("customer.created", event.id)
    assert (envelope["account"], envelope["region"], envelope["resources"]) == ("123456789012", "us-east-1", [])
    assert envelope["detail"]["data"]["object"]["name"] == customer.name
    assert envelope["time"] == time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(event.created))
    until(lambda: v1.events.retrieve(event.id).pending_webhooks == 0)


def test_only_the_wanted_types_of_ones_own_account_are_put_there(running: RunningSandbox, aws: str) -> None:
    key = new_key()
    made = destination(running, aws, key=key, queue="two", enabled_events=["product.created"])
    running.client(new_key()).v1.products.create({"name": "Another's"})
    running.client(key).v1.customers.create({})
    running.client(key).v1.products.create({"name": "Pro"})
    [envelope] = until(lambda: received(aws, made["queue_url"]))
    assert envelope["detail"]["data"]["object"]["name"] == "Pro"


def test_the_same_place_again_is_the_same_destination(running: RunningSandbox, aws: str) -> None:
    key = new_key()
    one, again = (destination(running, aws, key=key, queue="three") for _ in range(2))
    assert one["id"] == again["id"]
    listed = running.http().get("/_sandbox/event_destinations").json()["data"]
    assert [found["id"] for found in listed].count(one["id"]) == 1
    assert running.http().delete(f"/_sandbox/event_destinations/{one['id']}").json()["deleted"] is True
    running.client(key).v1.customers.create({})
    assert received(aws, one["queue_url"]) == []


def test_faults_strike_this_way_too(running: RunningSandbox, aws: str) -> None:
    key = new_key()
    made = destination(running, aws, key=key, queue="four")
    rule = running.http().post("/_sandbox/faults", json={"effect": "duplicate", "key": key, "count": 1}).json()
    running.client(key).v1.customers.create({})
    found: list[Any] = []
    until(lambda: found.extend(received(aws, made["queue_url"])) or len(found) == 2)
    assert found[0]["detail"]["id"] == found[1]["detail"]["id"]
    running.http().delete(f"/_sandbox/faults/{rule['id']}")


def test_an_aws_that_does_not_answer_is_said(running: RunningSandbox) -> None:
    said = running.http().post("/_sandbox/event_destinations", json={"url": "http://127.0.0.1:9"}, timeout=60)
    assert said.status_code == 400
    assert said.json()["error"]["message"].startswith("The AWS at http://127.0.0.1:9 cannot be used:")


def test_the_option_sets_it_up_at_the_start(tmp_path: Path, aws: str) -> None:
    sandbox = RunningSandbox(tmp_path, "--eventbridge", aws).start()
    try:
        [made] = sandbox.http().get("/_sandbox/event_destinations").json()["data"]
        sandbox.client("sk_test_123").v1.customers.create({})
        assert until(lambda: received(aws, made["queue_url"]))[0]["detail-type"] == "customer.created"
    finally:
        sandbox.stop()
