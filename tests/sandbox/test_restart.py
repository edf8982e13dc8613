"""Killed and started again: nothing that was answered is lost, nothing that was queued is forgotten."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.running import ROOT, Receiver, RunningSandbox, new_key, until

pytestmark = pytest.mark.crash


def test_killed_after_it_answered_it_knows_everything_still(tmp_path: Path) -> None:
    key = new_key()
    sandbox = RunningSandbox(tmp_path).start()
    v1: Any = sandbox.client(key).v1
    for number in range(20):
        v1.customers.create({"email": f"{number}@example.com"}, {"idempotency_key": f"make-{number}"})
    intent = v1.payment_intents.create(
        {"amount": 5000, "currency": "jpy", "payment_method": "pm_card_visa", "confirm": True,
         "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"}}
    )  # fmt: skip
    before = [list_of(sandbox, key, what) for what in ("customers", "charges", "events", "balance")]
    sandbox.kill()
    sandbox.start()
    try:
        assert [list_of(sandbox, key, what) for what in ("customers", "charges", "events", "balance")] == before
        v1 = sandbox.client(key).v1
        again = v1.customers.create({"email": "3@example.com"}, {"idempotency_key": "make-3"})
        assert again.last_response.headers["Idempotent-Replayed"] == "true"
        assert v1.payment_intents.retrieve(intent.id).status == "succeeded"
    finally:
        sandbox.stop()


def list_of(sandbox: RunningSandbox, key: str, what: str) -> bytes:
    with sandbox.http(key) as http:
        return http.get(f"/v1/{what}").content


def test_killed_before_a_webhook_was_taken_it_is_sent_after_the_start(tmp_path: Path, receiver: Receiver) -> None:
    key = new_key()
    receiver.answers = [503]
    sandbox = RunningSandbox(tmp_path, "--webhook-retries", "1,1,1,1,1,1,1,1").start()
    v1: Any = sandbox.client(key).v1
    endpoint = v1.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["*"]})
    sandbox.client(key).v1.customers.create({})
    until(lambda: receiver.received)
    sandbox.kill()
    receiver.answers = [200]
    sandbox.start()
    try:
        [event] = sandbox.client(key).v1.events.list().data
        until(lambda: sandbox.client(key).v1.events.retrieve(event.id).pending_webhooks == 0)
        assert {one.id for one in receiver.events(endpoint.secret)} == {event.id}
    finally:
        sandbox.stop()


def test_a_taken_port_is_said_in_one_sentence(tmp_path: Path, running: RunningSandbox) -> None:
    port = running.url.rsplit(":", 1)[1]
    second = subprocess.run(
        [sys.executable, "-m", "sandbox", "--port", port, "--data", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert second.returncode == 1
    assert second.stderr.startswith(f"The sandbox cannot listen on 127.0.0.1:{port}")
    assert second.stderr.count("\n") == 1
