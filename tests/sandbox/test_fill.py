"""A filled company cannot be told from one that the API made: shapes, sums, references, and a future."""

import json
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import jobs
from sandbox.clock import Clock
from sandbox.engine import Engine
from sandbox.fill.command import CannotFill, Order, fill, main
from sandbox.fill.people import MOST_DAYS, SPREAD, Plot, person
from sandbox.fill.stamps import Gaps, Person, pattern
from sandbox.fill.stories import COUPON, TELLINGS
from sandbox.store import Store
from tests.sandbox.travel import Travel

DAY = 24 * 3600
NOW = 1_800_000_000
ORDER = Order(Path(), customers=320, months=3, seed=7, now=NOW, key="sk_test_123", base_url="http://sandbox.example")


def quietly(done: int, whole: int, what: str) -> None:
    assert 0 < done <= whole, what


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("company")
    fill(replace(ORDER, data=data), quietly)
    return data


@pytest.fixture
def company(folder: Path, tmp_path: Path) -> Iterator[Travel]:
    """A copy of the company, at the time at which its history ends."""
    (tmp_path / "sandbox.sqlite3").write_bytes((folder / "sandbox.sqlite3").read_bytes())
    store = Store(tmp_path)
    yield Travel(Engine(store, Clock(wall=lambda: NOW), "http://sandbox.example", ()), now=NOW)
    store.close()


def documents(travel: Travel, kind: str) -> list[Any]:
    with travel.engine.store.read() as tx:
        rows = tx.sql("SELECT body FROM objects WHERE kind=? AND deleted=0 ORDER BY seq", kind).fetchall()
    return [json.loads(row[0]) for row in rows]


def shape(value: Any) -> Any:
    """The key set, through and through."""
    if isinstance(value, dict):
        return {key: shape(held) for key, held in value.items() if key != "metadata" and not key.startswith("_")}
    return [shape(value[0])] if isinstance(value, list) and value else None


@pytest.mark.parametrize("kind", ["customer", "subscription", "invoice", "payment_intent", "charge"])
def test_a_filled_object_has_the_fields_of_one_that_the_api_made(company: Travel, kind: str) -> None:
    customer = company.post("/v1/customers", name="Alice")["id"]
    card = company.post("/v1/payment_methods/pm_card_visa/attach", customer=customer)["id"]
    price = company.get("/v1/prices", **{"lookup_keys[0]": "pro_jpy"})["data"][0]["id"]
    company.post(
        "/v1/subscriptions", customer=customer, default_payment_method=card, **{"items[0][price]": price}
    )  # fmt: skip
    *filled, made = documents(company, kind)
    assert set(made) in [set(doc) for doc in filled]
    assert any(shape(doc) == shape(made) for doc in filled)


def test_everybody_has_ids_secrets_and_names_of_their_own(company: Travel) -> None:
    for kind, field in (("customer", "email"), ("customer", "invoice_prefix"), ("payment_intent", "client_secret")):
        values = [doc[field] for doc in documents(company, kind)]
        assert len(values) == len(set(values)), field
    numbers = [doc["number"] for doc in documents(company, "invoice") if doc["number"]]
    assert len(numbers) == len(set(numbers))
    assert not any("LIVES" in doc["name"] for doc in documents(company, "customer"))


def test_every_reference_leads_somewhere(company: Travel) -> None:
    with company.engine.store.read() as tx:
        known = {row[0] for row in tx.sql("SELECT id FROM objects")}
        bodies = [row[0] for row in tx.sql("SELECT body FROM objects WHERE kind NOT IN ('event')")]
    for body in bodies:
        named = re.findall(r'"((?:cus|sub|in|pi|ch|py|txn|re|du|dp|prod|price|inpay)_[A-Za-z0-9]{14,})"', body)
        assert set(named) <= known, body


def test_no_two_times_disagree_about_the_history(company: Travel) -> None:
    for subscription in documents(company, "subscription"):
        for item in subscription["items"]["data"]:
            assert item["current_period_start"] < item["current_period_end"]
            if not subscription["ended_at"] and subscription["status"] not in ("incomplete", "paused"):
                assert item["current_period_start"] <= NOW < item["current_period_end"], subscription["status"]
    for kind in ("customer", "invoice", "charge", "event"):
        assert all(doc["created"] <= NOW for doc in documents(company, kind))
    for event in documents(company, "event"):
        assert event["created"] >= NOW - 30 * DAY
        if event["type"] != "invoice.upcoming":  # shows an invoice that is yet to be made
            assert event["data"]["object"].get("created", 0) <= event["created"]


def test_dates_in_sentences_follow(company: Travel) -> None:
    invoices = documents(company, "invoice")
    lines = [line for invoice in invoices for line in invoice["lines"]["data"] if " after " in line["description"]]
    assert lines
    for line in lines:
        day = datetime.fromtimestamp(line["period"]["start"], UTC).strftime("%d %b %Y")
        assert line["description"].endswith(f"after {day}")


def test_the_money_adds_up(company: Travel) -> None:
    charged: Counter[str] = Counter()
    for charge in documents(company, "charge"):
        if charge["captured"] and charge["status"] == "succeeded":
            charged[charge["id"]] = charge["amount_captured"]
    with company.engine.store.read() as tx:
        rows = tx.sql("SELECT cause, amount FROM ledger WHERE entry='charge'").fetchall()
        times = [row[0] for row in tx.sql("SELECT at FROM ledger ORDER BY id")]
    assert dict(rows) == dict(charged) and len(rows) == len(charged)
    assert times == sorted(times)
    for invoice in documents(company, "invoice"):
        off = sum(discount["amount"] for discount in invoice["total_discount_amounts"])
        assert invoice["total"] == sum(line["amount"] for line in invoice["lines"]["data"]) - off
        assert invoice["amount_remaining"] == max(invoice["amount_due"] - invoice["amount_paid"], 0)


def test_lists_find_what_was_filled(company: Travel) -> None:
    for status in ("active", "past_due", "canceled", "trialing"):
        wanted = [doc["id"] for doc in documents(company, "subscription") if doc["status"] == status]
        found = company.get("/v1/subscriptions", status=status, limit="100")["data"]
        assert wanted and {doc["id"] for doc in found} <= set(wanted)
        assert len(found) == min(len(wanted), 100)
    customer = documents(company, "customer")[0]
    assert [one["id"] for one in company.get("/v1/customers", email=customer["email"])["data"]] == [customer["id"]]


def test_it_is_plausible(company: Travel) -> None:
    states = Counter(doc["status"] for doc in documents(company, "subscription"))
    assert states["active"] > 60
    assert {"past_due", "canceled", "trialing", "incomplete_expired"} <= set(states)
    assert {"paid", "open"} <= {doc["status"] for doc in documents(company, "invoice")}
    assert {"jpy", "usd", "eur"} <= {doc["currency"] for doc in documents(company, "invoice")}
    assert any(doc["amount_refunded"] for doc in documents(company, "charge"))
    assert any(doc["failure_code"] for doc in documents(company, "charge"))
    ages = Counter((NOW - doc["created"]) // (10 * DAY) for doc in documents(company, "customer"))
    assert len(ages) >= 9 and max(ages.values()) < 80


def test_living_subscriptions_renew(company: Travel) -> None:
    active = [doc for doc in documents(company, "subscription") if doc["status"] == "active"]
    living = [doc for doc in active if not doc["test_clock"]][:40]
    monthly = [doc for doc in living if doc["items"]["data"][0]["plan"]["interval"] == "month"]
    jobs.advance(company.engine, NOW + 32 * DAY)
    for before in monthly:
        after = company.get(f"/v1/subscriptions/{before['id']}")
        if after["status"] in ("active", "past_due"):
            item = after["items"]["data"][0]
            assert item["current_period_start"] >= before["items"]["data"][0]["current_period_end"]
    with company.engine.store.read() as tx:
        assert tx.sql("SELECT error FROM jobs WHERE error NOT NULL").fetchall() == []


def test_somebody_begins_at_the_end_of_a_month(company: Travel) -> None:
    begun = [datetime.fromtimestamp(doc["billing_cycle_anchor"], UTC) for doc in documents(company, "subscription")]
    assert {30, 31} & {one.day for one in begun}
    late = [doc for doc, at in zip(documents(company, "subscription"), begun, strict=True) if at.day == 31]
    days = {datetime.fromtimestamp(doc["items"]["data"][0]["current_period_start"], UTC).day for doc in late}
    assert days <= {28, 29, 30, 31}


def test_usage_is_counted_and_paid_for_in_tiers(company: Travel) -> None:
    price = company.get("/v1/prices", **{"lookup_keys[0]": "calls_jpy"})["data"][0]["id"]
    lines = [line for invoice in documents(company, "invoice") for line in invoice["lines"]["data"]]
    used = [line for line in lines if line["pricing"] and line["pricing"]["price_details"]["price"] == price]
    assert used
    with company.engine.store.read() as tx:
        customers = [row[0] for row in tx.sql("SELECT DISTINCT customer FROM usage")]
    assert set(customers) <= {doc["id"] for doc in documents(company, "customer")}


def test_the_coupon_says_how_many_came_with_it(company: Travel) -> None:
    coupon = company.get(f"/v1/coupons/{COUPON}")
    off = {invoice["customer"] for invoice in documents(company, "invoice") if invoice["total_discount_amounts"]}
    assert coupon["times_redeemed"] == len(off) > 0


def test_what_was_sent_and_not_yet_spent_is_in_the_ledger(company: Travel) -> None:
    balances = [doc for doc in documents(company, "cash_balance") if doc["available"]]
    assert balances
    for balance in balances:
        sums = company.get("/_sandbox/ledger", customer=balance["customer"])["sums"]["jpy"]
        assert sums[f"cash:{balance['customer']}"] == balance["available"]["jpy"] == 3000


def test_a_schedule_waits_for_its_next_phase(company: Travel) -> None:
    schedules = documents(company, "subscription_schedule")
    assert {doc["status"] for doc in schedules} == {"active"}


def test_a_few_live_on_test_clocks_that_can_be_advanced(company: Travel) -> None:
    clocks = company.get("/v1/test_helpers/test_clocks")["data"]
    assert len(clocks) == 3 and {clock["status"] for clock in clocks} == {"ready"}
    clock = clocks[0]
    assert clock["frozen_time"] < NOW
    (subscription,) = company.get("/v1/subscriptions", test_clock=clock["id"])["data"]
    later = str(clock["frozen_time"] + 31 * DAY)
    company.post(f"/v1/test_helpers/test_clocks/{clock['id']}/advance", frozen_time=later)
    jobs.run_due(company.engine)
    after = company.get(f"/v1/subscriptions/{subscription['id']}")
    assert after["latest_invoice"] != subscription["latest_invoice"]


def test_names_are_written_as_people_write_them(company: Travel) -> None:
    names = [doc["name"] for doc in documents(company, "customer")]
    assert any(re.search("[一-龠]", name) for name in names) and any(name.isascii() for name in names)
    found = company.get("/v1/customers/search", query=f"name:'{names[0]}'")["data"]
    assert names[0] in {doc["name"] for doc in found}


def dump(path: Path) -> list[str]:
    connection = sqlite3.connect(path / "sandbox.sqlite3")
    found = [line for line in connection.iterdump() if line.startswith("INSERT")]
    connection.close()
    return found


def test_the_same_seed_makes_the_same_company(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for data in (one, other):
        fill(replace(ORDER, data=data, customers=80, months=1), quietly)
    assert dump(one) == dump(other)


def plot(age: int) -> Plot:
    return Plot(TELLINGS[0], "pro_jpy", age // (30 * DAY), NOW - age)


def test_another_seed_makes_other_people() -> None:
    one, other = (person(0, plot(90 * DAY), NOW, Random(f"{seed}:people")) for seed in (7, 8))
    assert one != other


def _details(invoice: Any) -> list[Any]:
    """What the lines of an invoice take back."""
    return [line["parent"]["subscription_item_details"] for line in invoice["lines"]["data"]]


def test_the_present_state_alone_has_what_it_refers_to(tmp_path: Path) -> None:
    fill(replace(ORDER, data=tmp_path, months=0, customers=60), quietly)
    store = Store(tmp_path)
    company = Travel(Engine(store, Clock(wall=lambda: NOW), "http://sandbox.example", ()), now=NOW)
    test_every_reference_leads_somewhere(company)
    invoices = {doc["id"]: doc for doc in documents(company, "invoice")}
    living = [doc for doc in documents(company, "subscription") if doc["latest_invoice"]]
    latest = {doc["latest_invoice"] for doc in living}
    credited = {id for id in invoices for one in latest if f'"invoice": "{id}"' in json.dumps(_details(invoices[one]))}
    assert latest | credited == set(invoices)
    test_the_money_adds_up(company)
    test_everybody_has_ids_secrets_and_names_of_their_own(company)
    assert len(documents(company, "customer")) == 60 and documents(company, "event") == []
    jobs.advance(company.engine, NOW + 32 * DAY)
    with store.read() as tx:
        assert tx.sql("SELECT error FROM jobs WHERE error NOT NULL").fetchall() == []
    store.close()


def test_a_folder_that_holds_something_is_left_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (folder / "sandbox.sqlite3").read_bytes()
    with pytest.raises(CannotFill):
        fill(replace(ORDER, data=folder), quietly)
    assert main(["--data", str(folder), "--customers", "1"]) == 1
    assert "Give a new folder with --data." in capsys.readouterr().err
    assert (folder / "sandbox.sqlite3").read_bytes() == before
    assert [path.name for path in folder.iterdir()] == ["sandbox.sqlite3"]


@given(number=st.integers(0, 10**6), age=st.integers(0, 400 * DAY), seed=st.integers())
def test_nobody_is_moved_into_the_future(number: int, age: int, seed: int) -> None:
    who = person(number, plot(age), NOW, Random(seed))
    assert 0 <= who.shift <= min(age, MOST_DAYS * DAY + SPREAD)
    assert re.fullmatch(r"[a-z.0-9]+", who.mail)


def test_only_what_is_random_or_a_time_is_a_gap() -> None:
    gaps = Gaps(["aB3dE6gH"])
    text = '{"id":"in_11234512345678901aB3dE6gH","at":1799999999,"amount":99999999,"p":"100%","s":"after 01 Jan 2027"}'
    text = text.replace("11234512345678901", "1123451234567890")
    filled = pattern(text, gaps).fill(gaps.fill(Person("Alice", "alice", 2 * DAY), Random(1)))
    doc = json.loads(filled)
    assert doc["id"].startswith("in_1123451234567890") and not doc["id"].endswith("aB3dE6gH")
    assert (doc["at"], doc["amount"], doc["p"]) == (1799999999 + 2 * DAY, 99999999, "100%")
    assert doc["s"] == "after 03 Jan 2027"
