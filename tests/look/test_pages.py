"""Every page of the frame: allauth's in our look, errors that say what to do, nothing that the CSP would stop."""

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.core import mail
from django.template.loader import render_to_string
from django.test import Client
from django.urls import reverse

from accounts.models import Organization, User
from tests.cast import sign_in

TEMPLATES = Path(settings.BASE_DIR) / "templates"
VISITORS_PAGES = ["account_login", "account_signup", "account_reset_password", "account_reset_password_done"]
MEMBERS_PAGES = ["account_email", "account_change_password", "mfa_index", "account_logout"]


@pytest.mark.django_db
@pytest.mark.parametrize("name", VISITORS_PAGES)
def test_a_visitors_page_is_in_our_look(client: Client, name: str) -> None:
    page = client.get(reverse(name)).content.decode()
    assert "kessai/app.css" in page
    assert 'id="main"' in page
    assert page.count("<h1") == 1


@pytest.mark.parametrize("name", MEMBERS_PAGES)
def test_a_members_page_is_in_our_look(alice: User, acme: Organization, name: str) -> None:
    page = sign_in(alice).get(reverse(name)).content.decode()
    assert "kessai/app.css" in page
    assert page.count("<h1") == 1
    assert "Acme" in page


def test_signing_out_is_a_post(alice: User, acme: Organization) -> None:
    page = sign_in(alice).get(reverse("mfa_index")).content.decode()
    assert f'<form method="post" action="{reverse("account_logout")}">' in page


@pytest.mark.django_db
def test_a_page_that_is_not_there_says_so_with_a_next_step(client: Client) -> None:
    answer = client.get("/no/such/page/")
    assert answer.status_code == 404
    assert "There is no such page" in answer.content.decode()
    assert 'href="/"' in answer.content.decode()


def test_the_page_for_our_own_failure_needs_no_context() -> None:
    page = render_to_string("500.html")
    assert "Try again" in page


@pytest.mark.django_db
def test_the_style_page_is_hidden_in_production(client: Client) -> None:
    assert client.get(reverse("style")).status_code == 404


@pytest.mark.django_db
def test_the_language_switch_keeps_a_visitors_choice(client: Client) -> None:
    answer = client.post(reverse("set_language"), {"language": "ja", "next": "/accounts/login/"})
    assert answer["Location"] == "/accounts/login/"
    assert '<html lang="ja">' in client.get("/accounts/login/").content.decode()


def test_the_language_switch_changes_the_profile_of_who_is_signed_in(alice: User) -> None:
    sign_in(alice).post(reverse("set_language"), {"language": "ja", "next": "/"})
    alice.refresh_from_db()
    assert alice.language == "ja"


@pytest.mark.parametrize("language", ["xx", "", "../../etc"])
def test_an_unknown_language_changes_nothing(alice: User, language: str) -> None:
    sign_in(alice).post(reverse("set_language"), {"language": language, "next": "/"})
    alice.refresh_from_db()
    assert alice.language == "en"


@pytest.mark.django_db
def test_the_language_switch_never_leads_to_another_site(client: Client) -> None:
    answer = client.post(reverse("set_language"), {"language": "ja", "next": "https://evil.example/"})
    assert "evil.example" not in answer["Location"]


def pages_of_ours() -> list[Path]:
    mails = {TEMPLATES / "emails"}
    return [
        path
        for path in TEMPLATES.rglob("*.html")
        if not mails & set(path.parents) and path.parent.name != "email" and "admin" not in path.parts
    ]


@pytest.mark.parametrize("path", pages_of_ours(), ids=lambda path: str(path.relative_to(TEMPLATES)))
def test_a_template_has_nothing_that_the_content_security_policy_stops(path: Path) -> None:
    text = re.sub(r"{#.*?#}", "", path.read_text(), flags=re.S)
    assert not re.search(r"""\sstyle\s*=\s*["']""", text), "an inline style"
    assert not re.search(r"""\son[a-z]+\s*=\s*["']""", text), "an inline handler"
    for script in re.findall(r"<script\b[^>]*>", text):
        assert "src=" in script or "application/json" in script or "nonce" in script, "an inline script"
    assert not re.search(r"""(src|href)=["'](https?:)?//""", text), "something from another site"


def test_mails_of_allauth_are_ours_in_text_and_html(db: None, alice: User) -> None:
    Client().post(reverse("account_reset_password"), {"email": alice.email})
    (sent,) = mail.outbox
    assert sent.subject == "Choose a new password"
    assert "This link works once." in sent.body
    (page, kind) = sent.alternatives[0]  # type: ignore[attr-defined]
    assert kind == "text/html"
    assert "/accounts/password/reset/key/" in page
    assert "/accounts/password/reset/key/" in sent.body


@pytest.mark.django_db
def test_a_form_from_before_signing_in_elsewhere_is_told_to_be_reloaded() -> None:
    client = Client(enforce_csrf_checks=True)
    answer = client.post(reverse("account_login"), {"login": "alice@example.com", "password": "x"})
    assert answer.status_code == 403
    assert "reload the page" in answer.content.decode()


def test_an_operator_who_belongs_to_no_organization_begins_in_the_console(olga: User) -> None:
    answer = sign_in(olga).get("/")
    assert answer["Location"] == reverse("admin:index")
