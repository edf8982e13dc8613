"""`manage.py backtest`: what it prints, and what it refuses."""

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from ops.models import Match
from tests.ops.rows import make_event, make_rule

PAID = '{"detail-type": ["invoice.paid"]}'


def said(*words: str, **options: Any) -> str:
    out = StringIO()
    call_command("backtest", *words, stdout=out, **options)
    return out.getvalue()


@pytest.fixture
def paid(db: None) -> Any:
    about = {"id": "in_1", "object": "invoice", "amount_due": 5000, "currency": "jpy"}
    payload = {"type": "invoice.paid", "data": {"object": about}}
    return make_event(timezone.now(), type="invoice.paid", object_id="in_1", payload=payload)


def test_a_pattern_is_tried_and_told_in_words(paid):
    words = said("--pattern", PAID)
    for part in ("1 of 1 events would have matched", "¥5,000 in 1 objects", "of no organization", paid.external_id):
        assert part in words
    assert not Match.objects.exists()


def test_it_is_told_as_one_json_document(paid):
    told = json.loads(said("--pattern", PAID, "--json"))
    assert (told["looked"], told["matched"], told["examples"]) == (1, 1, [paid.external_id])
    assert told["money"] == [{"kind": "invoice", "currency": "jpy", "amount": 5000, "objects": 1}]


def test_a_pattern_may_come_from_a_file(paid, tmp_path):
    file = tmp_path / "pattern.json"
    file.write_text(PAID)
    assert json.loads(said("--pattern", f"@{file}", "--json"))["matched"] == 1


def test_a_rule_is_tried_as_it_is_saved(db):
    make_rule(timezone.now() - timedelta(hours=1))
    told = json.loads(said("late-invoices", "--since", "2h", "--json"))
    assert (told["looked"], told["matched"]) == (1, 0)  # the event names no currency


# what is asked for, and what is said instead
@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        ((), "Name a rule, or give a --pattern"),
        (("nobody",), "There is no rule “nobody”"),
        (("--pattern", '{"source": "x"}'), "must be an array"),
        (("--pattern", "@/nowhere/at/all"), "cannot be read"),
        (("--pattern", PAID, "--since", "yesterday"), "is no moment"),
        (("--pattern", PAID, "--since", "1d", "--until", "2d"), "ends before it begins"),
        (("--pattern", PAID, "--account", "nobody"), "nobody"),
    ],
)
def test_what_cannot_be_tried_is_refused(db, words, refusal):
    with pytest.raises(CommandError, match=refusal):
        said(*words)
