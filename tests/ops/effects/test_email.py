"""Letters of playbooks: to whom, in which words, and once for one execution and step."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.core import mail

from accounts.models import CustomerLink, Membership, Role
from ops.effects.mail import outbox
from ops.effects.mail.letters import BadLetter, write
from ops.effects.mail.models import Mail, MailState
from ops.effects.outcome import Done, Refused, Retry
from ops.effects.registry import Call, by_arn
from tests.billing.mirrored import put_in_mirror
from tests.billing.objects import open_invoice, price, product, subscription
from tests.cast import make_user
from tests.ops.effects.smtp import Server

NOW = datetime(2026, 2, 10, 9, tzinfo=UTC)
ENGLISH = """Subject: {{ plan }}: {{ invoice.owed }} did not go through

Hello {{ name }},

{{ invoice.day }}: {{ data.note }} {{ data.fee|money }} until {{ data.until|day }}.

{% button invoice.pay_url %}Pay {{ invoice.owed }}{% endbutton %}
"""
JAPANESE = """Subject: {{ plan }}のお支払い（{{ invoice.owed }}）

{{ name }}様、{{ data.until|day }}までにお支払いください。
"""
CUSTOMER = {"id": "cus_1", "object": "customer", "created": 1_770_000_000, "livemode": False}
DATA = {"note": "<b>Soon</b>", "fee": {"amount": 500, "currency": "jpy"}, "until": "2026-02-14T20:00:00Z"}


@pytest.fixture
def letters(tmp_path: Path, settings: LazySettings) -> Path:
    settings.PLAYBOOKS_DIRECTORY = str(tmp_path)
    place = tmp_path / "dunning" / "emails"
    place.mkdir(parents=True)
    (place / "failed.en.txt").write_text(ENGLISH)
    (place / "failed.ja.txt").write_text(JAPANESE)
    return place


@pytest.fixture
def behind(acme, alice, letters) -> Any:
    """Acme, whose renewal was not paid: Alice owns, Bob is a member, Yuki sees to billing in Tokyo."""
    yuki = make_user("Yuki", language="ja", time_zone="Asia/Tokyo")
    Membership.objects.create(organization=acme, user=yuki, role=Role.BILLING)
    CustomerLink.objects.create(
        organization=acme, livemode=False, idempotency_key="key", keyed_at=NOW, customer_id="cus_1"
    )
    put_in_mirror(CUSTOMER, product(), price(), subscription(status="past_due"), open_invoice())
    return acme


def send(key: str = "dunning:e:1", step: str = "dunning:e:Tell", **given: Any) -> Any:
    text = json.dumps({"template": "dunning/failed", "invoice": "in_2", "data": DATA} | given)
    call = Call(key=key, now=NOW, cause="dunning", customer_id="cus_1", step=step)
    return by_arn("arn:aws:states:local:000000000000:activity:send-email").call(text, call)


def test_each_reads_it_in_their_own_language_and_zone(behind) -> None:
    assert send() == Done({"sent": 2, "refused": 0})
    by_reader = {message.to[0]: message for message in mail.outbox}
    assert set(by_reader) == {"alice@example.com", "yuki@example.com"}
    english, japanese = by_reader["alice@example.com"], by_reader["yuki@example.com"]
    assert english.subject == "Business: ¥5,000 did not go through"
    assert "3 February 2026: <b>Soon</b> ¥500 until 14 February 2026." in english.body
    assert "Pay ¥5,000:\nhttps://invoice.stripe.com/i/in_2" in english.body
    assert "&lt;b&gt;Soon&lt;/b&gt;" in english.alternatives[0].content
    assert 'class="button" href="https://invoice.stripe.com/i/in_2">Pay ¥5,000</a>' in english.alternatives[0].content
    # eight in the evening in London is the next day in Tokyo
    assert "Yuki様、2026年2月15日までにお支払いください。" in japanese.body
    assert japanese.subject == "Businessのお支払い（¥5,000）"


def test_one_execution_and_step_sends_it_once_however_often_it_is_tried(behind) -> None:
    assert send() == send() == send(key="dunning:e:2", data={**DATA, "note": "Later"})
    assert len(mail.outbox) == 2
    send(step="dunning:e:Again")
    assert len(mail.outbox) == 4
    assert len({message.message()["Message-ID"] for message in mail.outbox}) == 4


def test_the_billing_address_hears_of_it_once(behind) -> None:
    behind.billing_email = "Billing@acme.example"
    behind.save()
    send()
    assert sorted(message.to[0] for message in mail.outbox) == [
        "Billing@acme.example", "alice@example.com", "yuki@example.com",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"template": "dunning/gone"}, "Email.Letter: There is no letter dunning/gone"),
        ({"template": "../../etc/passwd"}, "InvalidInput: "),
        ({"invoice": "in_9"}, "Email.NoSuchInvoice: "),
        ({"data": {}}, "Email.Letter: "),
        ({"data": {**DATA, "fee": 5}}, "Email.Letter: A value does not fit: money is"),
        ({"customer": "cus_9"}, "NoOrganization: "),
    ],
)
def test_what_cannot_be_written_is_not_sent(behind, given, error) -> None:
    outcome = send(**given)
    assert isinstance(outcome, Refused)
    assert outcome.error.startswith(error)
    assert not Mail.objects.exists() and not mail.outbox


@contextmanager
def mail_server(settings: LazySettings, **answers: Any) -> Iterator[Server]:
    with Server(**answers) as server:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = server.address
        settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
        yield server


def test_a_server_that_is_away_is_tried_again_and_those_who_have_it_get_no_second(behind, settings) -> None:
    with mail_server(settings, refuse={"yuki@example.com": "451 4.3.0 later"}) as server:
        outcome = send()
        assert isinstance(outcome, Retry) and outcome.error.startswith("Email.Unreachable: 451")
        server.refuse.clear()
        assert send(key="dunning:e:2") == Done({"sent": 2, "refused": 0})
        assert sorted(server.took) == ["alice@example.com", "yuki@example.com"]
    settings.EMAIL_PORT = 9
    assert isinstance(send(step="dunning:e:Other"), Retry)


def test_an_address_that_is_refused_for_good_stops_no_other(behind, settings) -> None:
    with mail_server(settings, refuse={"alice@example.com": "550 5.1.1 nobody"}) as server:
        assert send() == Done({"sent": 1, "refused": 1})
        assert server.took == ["yuki@example.com"]
    assert Mail.objects.get(to="alice@example.com").state == MailState.REFUSED


def test_killed_after_the_server_took_it_before_it_was_recorded(behind, settings, monkeypatch) -> None:
    """The one gap that SMTP leaves: the same mail goes out again, and says by its Message-ID that it is the same."""

    class Killed(BaseException):
        pass

    def kill(*_args: Any) -> None:
        raise Killed

    with mail_server(settings) as server:
        with monkeypatch.context() as patch:
            patch.setattr(outbox, "settle", kill)
            with pytest.raises(Killed):
                send()
        assert isinstance(send(), Retry)  # until the claim has run out
        Mail.objects.update(claimed_until=NOW)
        assert send() == Done({"sent": 2, "refused": 0})
        assert server.took.count("alice@example.com") == 2
        assert len(server.message_ids) == 2


@pytest.mark.django_db(transaction=True)
def test_two_workers_send_it_once(behind, settings) -> None:
    with mail_server(settings) as server:
        threads = [threading.Thread(target=in_thread, args=(send,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(server.took) == ["alice@example.com", "yuki@example.com"]


def in_thread(act: Any) -> None:
    from django.db import connections

    try:
        act()
    finally:
        connections.close_all()


def test_no_value_makes_a_link_of_its_own() -> None:
    sly = "\ue000https://evil.example\ue001Pay\ue002"
    letter = write("Subject: x\n\n{{ name }}\n\n<a>\n", {"name": sly}, site_url="")
    assert "href" not in letter.html.split('class="paper"')[1].split('class="foot"')[0]
    assert "&lt;a&gt;" in letter.html


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("Hello\n\nText", "The first line must be"),
        ("Subject: x\n\n", "there is nothing"),
        ("Subject: x\n\n{% if %}", "Unexpected end of expression"),
        ("Subject: x\n\n{% button %}x{% endbutton %}", "A button has one address"),
        ("Subject: {{ nobody }}\n\nx", "There is no value nobody"),
    ],
)
def test_a_letter_says_what_is_wrong_with_it(source, sentence) -> None:
    with pytest.raises(BadLetter, match=sentence):
        write(source, {"name": "Alice"}, site_url="")
