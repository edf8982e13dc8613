"""Signing in: passwords, one-time codes, passkey pages, the way back; allauth as we set it up."""

import time

import pytest
import time_machine
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.core import mail
from django.test import Client

from tests.accounts.browser import is_signed_in, link_in_mail, log_in, new_browser, one_time_code, prove_oneself


@pytest.fixture
def browser(db: None) -> Client:
    return new_browser()


def test_the_session_gets_a_new_key_at_sign_in(browser, alice) -> None:
    browser.get("/accounts/login/")
    session = browser.session
    session["seen"] = "before"
    session.save()
    browser.cookies["sessionid"] = session.session_key
    log_in(browser, alice.email)
    assert is_signed_in(browser)
    assert browser.session.session_key != session.session_key
    assert not type(session)().exists(session.session_key)


def test_guessing_passwords_is_slowed_down(browser, alice) -> None:
    for _ in range(5):
        log_in(browser, alice.email, "wrong")
    log_in(browser, alice.email)
    assert not is_signed_in(browser)


def test_the_link_to_a_new_password_stands_behind_the_field_and_the_button(browser) -> None:
    page = browser.get("/accounts/login/").content.decode()
    assert page.index('name="password"') < page.index("Forgot your password?")
    assert page.count("Forgot your password?") == 1


def test_a_code_that_does_not_fit_says_what_a_code_is_good_for(browser, alice) -> None:
    log_in(browser, alice.email)
    prove_oneself(browser)
    browser.get("/accounts/2fa/totp/activate/")
    answer = browser.post("/accounts/2fa/totp/activate/", {"code": "000000"})
    assert "This code does not fit." in answer.content.decode()


def test_capital_letters_in_the_address_make_no_difference(browser, alice) -> None:
    log_in(browser, "ALICE@Example.Com")
    assert is_signed_in(browser)


def test_a_wrong_password_and_an_unknown_address_are_answered_alike(browser, alice) -> None:
    answers = [log_in(browser, alice.email, "wrong"), log_in(browser, "nobody@example.com", "wrong")]
    assert [answer.status_code for answer in answers] == [200, 200]
    errors = [str(answer.context["form"].non_field_errors()) for answer in answers]  # type: ignore[attr-defined]
    assert errors[0] == errors[1]
    assert "Check both, or choose a new password." in errors[0]


@pytest.mark.parametrize(
    ("wanted", "reached"),
    [
        ("/profile/", "/profile/"),  # our own pages
        ("https://evil.example/", "/"),  # other sites
        ("//evil.example/", "/"),  # other sites, shortened
        ("https:///evil.example", "/"),  # as some browsers read it
        ("/\\evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("//[", "/"),  # no address at all
    ],
)
def test_the_way_back_leads_nowhere_else(browser, alice, wanted, reached) -> None:
    answer = log_in(browser, alice.email, next=wanted)
    assert (answer.status_code, answer.headers["Location"]) == (302, reached)


def test_a_forgotten_password_is_set_anew_by_the_link_in_the_mail_once(browser, alice) -> None:
    browser.post("/accounts/password/reset/", {"email": alice.email})
    link = link_in_mail(alice.email, "password/reset/key")
    form = browser.get(link).headers["Location"]
    answer = browser.post(form, {"password1": "a brand new phrase", "password2": "a brand new phrase"})
    assert answer.status_code == 302
    assert not is_signed_in(browser)
    log_in(browser, alice.email, "a brand new phrase")
    assert is_signed_in(browser)
    assert new_browser().get(link).context["token_fail"]


def test_a_reset_for_an_unknown_address_is_answered_like_any_other(browser, alice) -> None:
    answers = [
        browser.post("/accounts/password/reset/", {"email": email}) for email in (alice.email, "nobody@example.com")
    ]
    assert len({(answer.status_code, answer.headers["Location"]) for answer in answers}) == 1


def test_mails_speak_the_language_of_their_reader(browser, alice) -> None:
    alice.language = "ja"
    alice.save()
    browser.post("/accounts/password/reset/", {"email": alice.email}, headers={"accept-language": "en"})
    (html,) = [str(content) for content, kind in mail.outbox[-1].alternatives]  # type: ignore[union-attr]
    assert '<html lang="ja"' in html


def in_a_minute() -> float:
    """When the code of now is used up and its period is over; in seconds since 1970."""
    return time.time() + 60


def test_second_factors_are_not_changed_by_whoever_finds_the_screen_unlocked(browser, alice) -> None:
    log_in(browser, alice.email)
    for page in ("/accounts/2fa/totp/activate/", "/accounts/2fa/webauthn/add/"):
        assert browser.get(page).headers["Location"].startswith("/accounts/reauthenticate/")


def turn_on_codes(browser: Client) -> str:
    """Sign-in by time-based codes, through the pages; return the secret."""
    prove_oneself(browser)
    page = browser.get("/accounts/2fa/totp/activate/")
    secret = str(page.context["form"].secret)
    with time_machine.travel(time.time(), tick=False):  # or the half minute of the code might end on its way
        browser.post("/accounts/2fa/totp/activate/", {"code": one_time_code(secret)})
    return secret


def test_with_time_based_codes_the_password_alone_lets_nobody_in(browser, alice) -> None:
    log_in(browser, alice.email)
    secret = turn_on_codes(browser)
    with time_machine.travel(in_a_minute(), tick=False):
        other = new_browser()
        answer = log_in(other, alice.email)
        assert answer.headers["Location"] == "/accounts/2fa/authenticate/"
        assert not is_signed_in(other)
        other.post("/accounts/2fa/authenticate/", {"code": "000000"})
        assert not is_signed_in(other)
        other.post("/accounts/2fa/authenticate/", {"code": one_time_code(secret)})
        assert is_signed_in(other)


def test_a_code_works_once(browser, alice) -> None:
    log_in(browser, alice.email)
    secret = turn_on_codes(browser)
    with time_machine.travel(in_a_minute(), tick=False):
        first, second = new_browser(), new_browser()
        for other in (first, second):
            log_in(other, alice.email)
            other.post("/accounts/2fa/authenticate/", {"code": one_time_code(secret)})
    assert is_signed_in(first)
    assert not is_signed_in(second)


def test_a_recovery_code_lets_in_who_lost_the_device(browser, alice) -> None:
    log_in(browser, alice.email)
    turn_on_codes(browser)
    codes = browser.get("/accounts/2fa/recovery-codes/").context["unused_codes"]
    other = new_browser()
    log_in(other, alice.email)
    other.post("/accounts/2fa/authenticate/", {"code": codes[0]})
    assert is_signed_in(other)


def test_the_secrets_of_codes_are_not_stored_in_clear(browser, alice) -> None:
    log_in(browser, alice.email)
    secret = turn_on_codes(browser)
    stored = Authenticator.objects.values_list("data", flat=True)
    assert stored
    assert secret not in str(list(stored))


@pytest.mark.parametrize(
    "page",
    [
        "/accounts/2fa/",
        "/accounts/2fa/webauthn/",
        "/accounts/2fa/webauthn/add/",
        "/accounts/2fa/totp/activate/",
        "/accounts/email/",
        "/accounts/password/change/",
        "/accounts/logout/",
    ],
)
def test_the_pages_of_sign_in_and_passkeys_open(browser, alice, page) -> None:
    log_in(browser, alice.email)
    prove_oneself(browser)
    assert browser.get(page).status_code == 200


@pytest.mark.parametrize("page", ["/accounts/login/", "/accounts/signup/", "/accounts/password/reset/"])
def test_the_pages_before_sign_in_open(browser, page) -> None:
    assert browser.get(page).status_code == 200


def test_devices_keep_passkeys_under_the_services_name(browser, alice) -> None:
    log_in(browser, alice.email)
    prove_oneself(browser)
    asked = browser.get("/accounts/2fa/webauthn/add/").context["js_data"]
    assert asked["creation_options"]["publicKey"]["rp"]["name"] == "Kessai"


def test_a_passkey_can_be_asked_for_at_sign_in(browser) -> None:
    answer = browser.get("/accounts/2fa/webauthn/login/", headers={"accept": "application/json"})
    assert answer.status_code == 200
    assert answer.json()["request_options"]["publicKey"]["challenge"]


@pytest.mark.parametrize(
    ("second", "offered"),
    [
        (None, []),  # nothing can be done with the only address, which is confirmed
        (True, ["action_primary", "action_remove"]),
        (False, ["action_primary", "action_send", "action_remove"]),
    ],
)
def test_only_what_can_be_done_with_an_address_is_offered(browser, alice, second, offered) -> None:
    if second is not None:
        EmailAddress.objects.create(user=alice, email="a.second@example.com", verified=second)
    log_in(browser, alice.email)
    prove_oneself(browser)
    page = browser.get("/accounts/email/").content.decode()
    assert [act for act in ("action_primary", "action_send", "action_remove") if f'name="{act}"' in page] == offered
