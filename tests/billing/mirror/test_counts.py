"""What the mirror holds of each kind, for the console, the command and the document."""

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from billing.mirror import counts as counting
from billing.mirror import tables
from billing.mirror.columns import rows_of
from billing.mirror.counts import counts
from billing.mirror.kinds import KINDS, RAW, kind_for
from config.env import BASE_DIR
from tests.billing.objects import NOW, product

DOCUMENT = BASE_DIR / "docs" / "kinds.md"


def put(*objects: dict[str, Any]) -> None:
    for data in objects:
        tables.write(rows_of(kind_for(data["object"]), data, owner_id=None, now=NOW))


def printed(*arguments: str) -> str:
    out = StringIO()
    call_command("mirror_kinds", *arguments, stdout=out)
    return out.getvalue()


@pytest.mark.django_db
def test_every_kind_is_counted_and_those_that_nobody_named_as_well(django_assert_num_queries):
    put(product(), product(id="prod_2"), {"id": "odd_1", "object": "never.heard_of"})
    with django_assert_num_queries(2):
        found = {count.kind.name: count.rows for count in counts()}
    assert found["product"] == 2
    assert found["never.heard_of"] == 1
    assert found["credit_note"] == found["price"] == 0
    assert set(found) == {*KINDS, *RAW, "never.heard_of"}


@pytest.mark.django_db
def test_a_long_table_is_not_counted_to_its_end(monkeypatch):
    monkeypatch.setattr(counting, "EXACT", 1)
    put(product(), product(id="prod_2"), product(id="prod_3"))
    [count] = [count for count in counts() if count.kind.name == "product"]
    assert count.exact is False
    assert count.rows >= 2


@pytest.mark.django_db
def test_the_command_prints_the_same_as_a_table_and_as_json():
    put(product())
    [told] = [kind for kind in json.loads(printed("--json")) if kind["kind"] == "product"]
    assert told == {
        "kind": "product",
        "model": "djstripe.Product",
        "path": "/v1/products/{id}",
        "listed": "as a whole",
        "rows": 1,
        "exact": True,
    }
    assert "djstripe.Product" in printed()


def test_the_document_says_what_the_kinds_are_now():
    assert DOCUMENT.read_text() == printed("--markdown"), "python manage.py mirror_kinds --markdown > docs/kinds.md"
