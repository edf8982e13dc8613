"""Components say what they are given, in words and not in colour alone."""

import re
from datetime import UTC, date, datetime, timedelta

import pytest
from django import forms
from django.conf import settings
from django.template import Context, Template
from django.template.loader import render_to_string
from django.utils import timezone, translation

from billing.templatetags.billing_ui import TONES, WORDS, state_tone, state_word
from billing.thread import Moment, Now, Thread

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)


def render(source: str, **context: object) -> str:
    return Template("{% load billing_ui %}" + source).render(Context(context))


def test_every_status_has_a_tone_and_a_word() -> None:
    assert set(WORDS) == set(TONES)
    assert set(TONES.values()) == {"good", "waiting", "attention", "stopped"}


def test_a_status_that_stripe_adds_later_is_shown_as_it_is() -> None:
    assert state_word("half_paid") == "Half paid"
    assert state_tone("half_paid") == "stopped"


@pytest.mark.parametrize("tone", ["good", "waiting", "attention", "stopped"])
def test_a_state_has_an_icon_and_a_word(tone: str) -> None:
    drawn = render_to_string("components/state.html", {"tone": tone, "word": "Something"})
    assert "Something" in drawn
    assert "icons.svg#" in drawn


def test_every_icon_that_a_page_names_is_drawn() -> None:
    pages = "".join(path.read_text() for path in (settings.BASE_DIR / "templates").rglob("*.html"))
    named = set(re.findall(r'icon(?:_name=| )"([a-z-]+)"', pages))
    sprite = (settings.BASE_DIR / "static/kessai/icons.svg").read_text()
    assert named - set(re.findall(r'id="([a-z-]+)"', sprite)) == set()


def test_a_missing_amount_is_a_dash() -> None:
    assert render("{% money amount currency %}", amount=None, currency="jpy") == "–"
    assert render("{% day at %}{% moment at %}", at=None, now=NOW) == "––"


def test_money_is_in_the_active_language() -> None:
    with translation.override("ja"):
        assert render("{% money 5000 'jpy' %}") == "¥5,000"
    with translation.override("de"):
        assert render("{% money 5000 'eur' %}") == "50,00\xa0€"


def test_a_day_near_has_its_weekday_and_one_of_another_year_its_year() -> None:
    assert "Friday" in render("{% day at %}", at=NOW + timedelta(days=2), now=NOW)
    assert "2027" in render("{% day at %}", at=NOW + timedelta(days=400), now=NOW)


def test_a_date_stays_the_same_day_in_every_zone() -> None:
    for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Tokyo"):
        with timezone.override(zone):
            assert render("{% day at %}", at=date(2026, 6, 30), now=NOW) == "30 June"


def test_a_share_of_nothing_is_a_dash() -> None:
    assert render("{% percentage 1 4 %} {% percentage 1 0 %}") == "25% –"


class Specimen(forms.Form):
    name = forms.CharField(help_text="It stands on your invoices.")


def test_a_field_ties_its_label_help_and_error_to_its_input() -> None:
    form = Specimen({"name": ""})
    drawn = render_to_string("components/field.html", {"field": form["name"]})
    assert '<label for="id_name">' in drawn
    assert 'id="id_name_helptext"' in drawn
    assert 'id="id_name_error"' in drawn
    assert 'aria-describedby="id_name_helptext id_name_error"' in drawn
    assert 'aria-invalid="true"' in drawn


def test_what_a_person_typed_is_escaped() -> None:
    drawn = render_to_string("components/notice.html", {"tone": "good", "text": "<script>x</script>"})
    assert "<script>" not in drawn


def test_a_thread_stands_in_the_order_of_time() -> None:
    past = [Moment(NOW - timedelta(days=n), f"past {n}") for n in (1, 2, 3, 4)]
    coming = [Moment(NOW + timedelta(days=1), "soon"), Moment(None, "whenever")]
    thread = Thread(past=past, now=Now("It is so", "because", "good", "Active"), next=coming)
    drawn = render_to_string("components/thread.html", {"thread": thread, "now": NOW})
    order = ["past 4", "past 3", "past 2", "past 1", "It is so</h2>", "because</p>", "soon", "whenever"]
    places = [drawn.index(words) for words in order]
    assert places == sorted(places)


def test_a_thread_of_nothing_but_now_has_no_empty_lists() -> None:
    thread = Thread(past=[], now=Now("You have no plan", "", "stopped", ""), next=[])
    drawn = render_to_string("components/thread.html", {"thread": thread, "now": NOW})
    assert "<ol" not in drawn
    assert "You have no plan" in drawn
