"""What the index finds is what reading every document finds."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.kinds import KINDS
from sandbox.resources.search import FIELDS
from sandbox.searching import parse
from sandbox.store import Store
from tests.sandbox.travel import Travel

MAILS = ("alice@example.com", "Alice@Example.com", "bob@example.com", "ÉMILE@example.com")
ORDERS = ("7", "Seven", "seven", "")
CLAUSES = (
    "email:'alice@example.com'", "-email:'ALICE@example.com'", "email:null", "email~'example'", "name:'charlie'",
    "name:'brown'", "name:'Charlie Brown'", "-name:'charlie brown'",
    "metadata['order']:'seven'", "metadata['order']:null", "-metadata['order']:'7'", "email:'émile@example.com'",
)  # fmt: skip
WHO = st.tuples(
    st.sampled_from([None, *MAILS]),
    st.sampled_from([None, "Charlie", "Charlie Brown", "Brown"]),
    st.sampled_from(ORDERS),
)
"""E-mail, name, the order in the metadata."""


def found(travel: Travel, text: str, *, indexed: bool) -> list[str]:
    query = parse(text, FIELDS["customer"], "customers")
    entry = query.entry("customer", KINDS["customer"].indexed) if indexed else None
    condition, values = query.sql()
    scope = f"{travel.get('/v1/account')['id']}:test"
    with travel.engine.store.read() as tx:
        docs = tx.matching(scope, "customer", condition, values, entry=entry, limit=-1, offset=0)
        assert tx.count_matching(scope, "customer", condition, values, entry=entry) == len(docs)
    return [doc["id"] for doc in docs]


def registered(travel: Travel, who: tuple[str | None, str | None, str]) -> str:
    mail, name, order = who
    given = {"email": mail, "name": name, "metadata[order]": order}
    return str(travel.post("/v1/customers", **{key: value for key, value in given.items() if value})["id"])


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    people=st.lists(st.tuples(WHO, WHO), min_size=1, max_size=5),
    clauses=st.lists(st.sampled_from(CLAUSES), min_size=1, max_size=3),
    joint=st.sampled_from([" AND ", " OR "]),
)
def test_the_index_finds_what_is_there_now(travel: Travel, people: Any, clauses: list[str], joint: str) -> None:
    for at_first, later in people:
        id = registered(travel, at_first)
        mail, name, order = later
        changed = {"email": mail or "", "name": name or "", "metadata[order]": order}
        travel.post(f"/v1/customers/{id}", **changed)
    text = joint.join(clauses)
    assert found(travel, text, indexed=True) == found(travel, text, indexed=False)


@pytest.mark.parametrize(
    ("text", "entry"),
    [
        ("email:'Alice@example.com'", ("~email", "alice@example.com")),
        ("created>5 AND metadata['Order']:'A7'", ("~metadata[Order]", "a7")),  # keys are told apart, values folded
        ("email:'a@example.com' OR name:'Bob'", None),  # what has the one need not have the other
        ("-email:'a@example.com'", None),
        ("name:null", None),
    ],
)
def test_a_search_looks_up_what_everything_found_has(text: str, entry: tuple[str, str] | None) -> None:
    assert parse(text, FIELDS["customer"], "customers").entry("customer", ("email",)) == entry


def test_what_is_gone_is_not_found(travel: Travel) -> None:
    id = registered(travel, ("alice@example.com", None, "7"))
    travel.ask("DELETE", f"/v1/customers/{id}")
    assert travel.get("/v1/customers/search", query="email:'alice@example.com'")["data"] == []


def test_a_file_of_an_earlier_sandbox_is_indexed_when_it_is_opened(travel: Travel, tmp_path: Path) -> None:
    id = registered(travel, ("Alice@example.com", None, "7"))
    with closing(sqlite3.connect(tmp_path / "sandbox.sqlite3", isolation_level=None)) as older:
        older.execute("DELETE FROM object_index WHERE field LIKE '~%'")
        older.execute("PRAGMA user_version=0")
    assert found(travel, "email:'alice@example.com'", indexed=True) == []
    Store(tmp_path).close()
    assert found(travel, "email:'alice@example.com'", indexed=True) == [id]
