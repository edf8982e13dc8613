"""The file, its one writer, and what a transaction knows of it."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from sandbox import jobs
from sandbox.discovery import discover
from sandbox.kinds import Doc
from sandbox.store import Store, Transaction
from tests.sandbox.running import until
from tests.sandbox.travel import Travel

DAY = 24 * 3600
SCOPE = "acct_1:test"
ALICE: Doc = {"id": "cus_1", "object": "customer", "created": 5, "email": "alice@example.com", "metadata": {}}


@pytest.fixture
def store(tmp_path: Path) -> Any:
    discover()
    store = Store(tmp_path)
    yield store
    store.close()


def test_whoever_waits_to_write_is_next(store: Store) -> None:
    order: list[str] = []

    def wait() -> None:
        with store.write():
            order.append("who waited")

    other = threading.Thread(target=wait)
    with store.write():
        other.start()
        until(lambda: store.wanted)
    with store.write():
        order.append("who comes again at once")
    other.join()
    assert order == ["who waited", "who comes again at once"]


def test_what_is_undone_is_not_known_any_more(store: Store) -> None:
    with store.write() as tx:
        tx.insert(SCOPE, ALICE)
        tx.sql("SAVEPOINT attempt")
        tx.save(SCOPE, ALICE | {"email": "bob@example.com"})
        tx.insert(SCOPE, ALICE | {"id": "cus_2"})
        tx.sql("ROLLBACK TO attempt")
        assert tx.get(SCOPE, "customer", "cus_1") == ALICE
        assert tx.get(SCOPE, "customer", "cus_2") is None
        assert [doc["id"] for doc in tx.page(SCOPE, "customer", {"email": "alice@example.com"})] == ["cus_1"]


def test_a_document_that_was_handed_out_may_get_other_fields(store: Store) -> None:
    with store.write() as tx:
        tx.insert(SCOPE, ALICE)
        doc = tx.get(SCOPE, "customer", "cus_1")
        assert doc is not None
        doc["email"] = "mallory@example.com"
        assert tx.get(SCOPE, "customer", "cus_1") == ALICE


def test_a_short_list_is_read_anew_when_one_of_its_kind_changes(store: Store) -> None:
    endpoint: Doc = {"id": "we_1", "object": "webhook_endpoint", "created": 5, "status": "enabled"}
    with store.write() as tx:
        assert tx.listed(SCOPE, "webhook_endpoint", status="enabled") == []
        tx.insert(SCOPE, endpoint)
        assert tx.listed(SCOPE, "webhook_endpoint", status="enabled") == [endpoint]
        tx.save(SCOPE, endpoint | {"status": "disabled"})
        assert tx.listed(SCOPE, "webhook_endpoint", status="enabled") == []
        tx.delete(SCOPE, endpoint, None)
        assert tx.get(SCOPE, "webhook_endpoint", "we_1") is None


def test_what_jobs_know_of_a_document_is_what_is_stored(travel: Travel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody changes what lies inside a document that others will be handed too."""
    price = travel.post(
        "/v1/prices",
        unit_amount="1200",
        currency="jpy",
        **{"recurring[interval]": "month", "product_data[name]": "Pro"},
    )["id"]
    for card in ("pm_card_visa", "pm_card_chargeCustomerFail"):
        owner = travel.post("/v1/customers", name="Alice")["id"]
        kept = travel.post(f"/v1/payment_methods/{card}/attach", customer=owner)["id"]
        given = {"customer": owner, "default_payment_method": kept, "items[0][price]": price, "trial_period_days": "5"}
        travel.post("/v1/subscriptions", **given)
    asked = []
    get = Transaction.get

    def checked(tx: Transaction, scope: str, kind: str, id: str) -> Doc | None:
        doc = get(tx, scope, kind, id)
        row = tx.sql("SELECT body FROM objects WHERE scope=? AND kind=? AND id=?", scope, kind, id).fetchone()
        assert doc == (json.loads(row[0]) if row else None)
        asked.append(kind)
        return doc

    monkeypatch.setattr(Transaction, "get", checked)
    jobs.advance(travel.engine, travel.engine.clock.now() + 40 * DAY)
    assert {"subscription", "invoice", "payment_intent", "customer"} <= set(asked)
    with travel.engine.store.read() as tx:
        assert tx.sql("SELECT error FROM jobs WHERE error NOT NULL").fetchall() == []


def test_what_is_not_written_yet_is_found_by_every_question(store: Store) -> None:
    with store.write() as tx:
        tx.insert(SCOPE, ALICE)
        tx.save(SCOPE, ALICE | {"email": "bob@example.com"})
        assert [doc["id"] for doc in tx.page(SCOPE, "customer", {"email": "bob@example.com"})] == ["cus_1"]
        tx.save(SCOPE, ALICE | {"email": "charlie@example.com"})
        assert tx.count(SCOPE, "customer", {"email": "bob@example.com"}) == 0
        assert tx.locate("customer", "cus_1") == SCOPE
        tx.delete(SCOPE, ALICE, None)
        assert tx.get(SCOPE, "customer", "cus_1") is None
        assert tx.sql("SELECT count(*) FROM object_index").fetchone() == (0,)


def test_a_rehearsal_leaves_what_was_not_written_yet(store: Store) -> None:
    with store.write() as tx:
        tx.insert(SCOPE, ALICE)
        with tx.rehearsal():
            tx.save(SCOPE, ALICE | {"email": "bob@example.com"})
            tx.insert(SCOPE, ALICE | {"id": "cus_2"})
            assert tx.count(SCOPE, "customer") == 2
    with store.read() as tx:
        assert tx.page(SCOPE, "customer") == [ALICE]


def test_an_exception_leaves_nothing(store: Store) -> None:
    with pytest.raises(RuntimeError), store.write() as tx:
        tx.insert(SCOPE, ALICE)
        raise RuntimeError
    with store.read() as tx:
        assert tx.count(SCOPE, "customer") == 0
