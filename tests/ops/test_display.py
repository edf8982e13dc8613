"""Single values as the console shows them, and the geometry of its chart. No database."""

import json
import re
from datetime import timedelta
from html import unescape

import pytest
from django.apps import apps
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from billing.mirror.facts import SubscriptionStatus
from billing.templatetags.billing_ui import TONES, WORDS
from ops.console.chart import stack
from ops.console.display import INVOICE_STATES, SUBSCRIPTION_STATES, Tone, copyable, json_block, pill, span, stripe_pill
from ops.console.empty_words import COMES, what_comes

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def text_of(html: str) -> str:
    return unescape(re.sub(r"<[^>]*>", "", html))


@given(JSON)
def test_coloured_json_reads_as_the_json_it_is(value):
    assert json.loads(text_of(json_block(value))) == value


@pytest.mark.parametrize("nasty", ["<script>alert(1)</script>", '"><img src=x>', "a & b", "</pre>", '\\"<b>'])
def test_json_is_escaped(nasty):
    html = json_block({nasty: nasty})
    assert "<script" not in html
    assert "<img" not in html
    assert "</pre>" not in html
    assert "<b>" not in html


def test_ids_in_json_lead_to_their_pages():
    html = json_block({"customer": "cus_Pab1234567", "secret": "cs_test_notalink123", "product": "prod_team"})
    assert html.count("<a ") == 2
    assert 'href="/admin/find/cus_Pab1234567/"' in html


# a length of time, and how it is said
@pytest.mark.parametrize(
    ("length", "said"),
    [
        (None, "–"),
        (timedelta(seconds=-3), "0.0 s"),  # the source's clock ran ahead of ours
        (timedelta(milliseconds=420), "0.4 s"),
        (timedelta(seconds=12), "12 s"),
        (timedelta(seconds=119), "119 s"),
        (timedelta(minutes=3, seconds=59), "3 min"),
        (timedelta(hours=2), "2 h"),
        (timedelta(days=2), "2 days"),
        (timedelta(days=40), "40 days"),
    ],
)
def test_a_span_is_said_in_its_largest_sensible_unit(length, said):
    assert span(length) == said


def test_a_state_is_an_icon_and_a_word():
    html = pill("Failed", Tone.ATTENTION)
    assert 'data-tone="attention"' in html
    assert text_of(html) == "errorFailed"
    assert 'aria-hidden="true"' in html


def test_a_status_that_stripe_added_since_stands_in_its_own_word():
    assert "hibernating" in stripe_pill(SUBSCRIPTION_STATES, "hibernating")


def test_an_id_to_copy_is_escaped():
    assert "<b>" not in copyable("<b>")


COUNTS = st.fixed_dictionaries({"a": st.integers(0, 10**6), "b": st.integers(0, 10**6)})


@given(st.lists(COUNTS, min_size=1, max_size=48))
def test_a_chart_stays_inside_its_box(rows):
    for column in stack(rows, ("a", "b"), width=720, height=120):
        for bar in column.bars:
            assert 0 <= bar.x <= bar.x + bar.width <= 720.01
            assert bar.y >= 0
            assert bar.height >= 1


def test_the_tallest_column_fills_the_chart():
    short, tall = stack([{"a": 1, "b": 0}, {"a": 3, "b": 1}], ("a", "b"), width=100, height=40)
    assert sum(bar.height for bar in tall.bars) == 40
    assert sum(bar.height for bar in short.bars) == 10


def test_one_failure_among_thousands_is_still_drawn():
    (column,) = stack([{"a": 100_000, "b": 1}], ("a", "b"), width=100, height=40)
    assert [bar.height for bar in column.bars] == [40, 1.0]
    assert column.bars[-1].y == 0


def test_nothing_is_drawn_where_nothing_came():
    columns = stack([{"a": 0, "b": 0}], ("a", "b"), width=100, height=40)
    assert columns[0].bars == ()


def test_the_console_and_the_account_pages_agree_on_every_status():
    statuses = {status.value for status in SubscriptionStatus} - {"unknown"}
    assert set(SUBSCRIPTION_STATES) == statuses
    for status, (word, tone) in (SUBSCRIPTION_STATES | INVOICE_STATES).items():
        assert (tone, str(word)) == (TONES[status], str(WORDS[status]))


def test_what_an_empty_list_will_hold_is_said_of_models_that_there_are():
    assert [label for label in COMES if apps.get_model(label)._meta.label_lower != label] == []
    for label in COMES:
        with translation.override("en"):
            english = what_comes(label)
        with translation.override("ja"):
            assert what_comes(label) != english
    assert what_comes("accounts.user") == ""
