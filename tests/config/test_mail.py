"""The demo's mail reader."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.core.mail import EmailMultiAlternatives, send_mail
from django.test import Client
from django.urls import clear_url_caches, include, path

from config.demo.mail import box
from config.urls import urlpatterns as portal_urls

urlpatterns = [path("mail/", include("config.demo.mail.urls")), *portal_urls]


@pytest.fixture(autouse=True)
def demo_mail(settings: LazySettings, tmp_path: Path) -> Iterator[None]:
    settings.EMAIL_BACKEND = "config.demo.mail.backend.MailToBox"
    settings.EMAIL_FILE_PATH = str(tmp_path / "mail")
    settings.ROOT_URLCONF = __name__
    clear_url_caches()
    yield
    clear_url_caches()


def send_with_html(html: str, *, subject: str = "ようこそ Kessai へ") -> None:
    mail = EmailMultiAlternatives(subject, "Open https://kessai.example/go?a=1&b=2 now", to=["alice@example.com"])
    mail.attach_alternative(html, "text/html")
    mail.send()


def test_the_demo_alone_has_the_reader(settings: LazySettings) -> None:
    settings.ROOT_URLCONF = "config.urls"
    clear_url_caches()
    assert settings.DEMO is False
    assert Client().get("/mail/").status_code == 404


def test_an_empty_box_says_what_will_come(db: None) -> None:
    assert "No mail yet" in Client().get("/mail/").content.decode()


def test_a_message_is_listed_and_its_link_opens(db: None) -> None:
    send_with_html("<p>Hello</p>")
    listed = Client().get("/mail/").content.decode()
    assert "ようこそ Kessai へ" in listed
    assert "alice@example.com" in listed
    (address,) = re.findall(r'href="(/mail/[^/"]+/)"', listed)
    shown = Client().get(address).content.decode()
    assert 'href="https://kessai.example/go?a=1&amp;b=2"' in shown


def test_the_html_of_a_message_is_a_stranger_in_a_frame(db: None) -> None:
    send_with_html("<script>alert(1)</script><a href='/somewhere'>go</a>")
    (mail,) = box.newest()
    framed = Client().get(f"/mail/{mail.name}/html/")
    policy = framed["Content-Security-Policy"]
    assert policy.startswith("sandbox ")
    assert "allow-scripts" not in policy
    assert "default-src 'none'" in policy
    assert framed["X-Frame-Options"] == "SAMEORIGIN"
    assert b'<base target="_top">' in framed.content
    page = Client().get(f"/mail/{mail.name}/")
    assert b"alert(1)" not in page.content  # it stands in the frame alone


def test_a_plain_message_is_shown_with_its_markup_as_text(db: None) -> None:
    send_mail("Plain", "<b>not bold</b>\nhttp://localhost:8000/accounts/confirm-email/x/", None, ["bob@example.com"])
    (mail,) = box.newest()
    shown = Client().get(f"/mail/{mail.name}/").content.decode()
    assert "&lt;b&gt;not bold&lt;/b&gt;" in shown
    assert 'href="http://localhost:8000/accounts/confirm-email/x/"' in shown
    assert "<iframe" not in shown


def test_the_newest_message_stands_first() -> None:
    for day in (1, 3, 2):
        box.put(f"Subject: day {day}\n\nx".encode(), now=datetime(2026, 1, day, tzinfo=UTC))
    assert [mail.subject for mail in box.newest()] == ["day 3", "day 2", "day 1"]


@pytest.mark.parametrize("name", ["nothing", "..", "..%2f..%2fenv", "20260101T000000000000-00000000"])
def test_what_is_not_in_the_box_is_not_found(db: None, name: str) -> None:
    assert Client().get(f"/mail/{name}/").status_code == 404


def test_sign_up_in_the_demo_ends_with_a_link_that_confirms(db: None) -> None:
    """The way a person goes: sign up, read the mail, follow its link, confirm, be inside."""
    from allauth.account.models import EmailAddress

    person = Client()
    answer = person.post(
        "/accounts/signup/",
        {
            "email": "dora@example.com",
            "password1": "a long and quiet evening",
            "name": "Dora",
            "organization_name": "Dora's Shop",
        },
    )
    assert answer.status_code == 302, answer.content.decode()
    (mail,) = box.newest()
    (link,) = set(re.findall(r"https?://[^\s\"<>]+/accounts/confirm-email/[^\s\"<>]+", mail.text))
    person.post(re.sub(r"https?://[^/]+", "", link))
    assert EmailAddress.objects.get(email="dora@example.com").verified
