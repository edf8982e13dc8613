import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.inbox.refusals import Reason, Refused
from billing.inbox.signature import signers
from billing.stripe_accounts import StripeAccount
from tests.stripe_sandbox import sign

NOW = 1_767_225_600


def account(name: str, *secrets: str) -> StripeAccount:
    return StripeAccount(name=name, secret_key="sk_test_1", livemode=False, webhook_secrets=secrets)


def names(body: str, header: str, *accounts: StripeAccount, now: float = NOW) -> list[str]:
    return [found.name for found in signers(body.encode(), header, accounts, now=now, tolerance=300)]


def test_an_event_is_of_the_account_whose_secret_signed_it():
    header = sign("{}", secret="whsec_b", at=NOW)
    assert names("{}", header, account("a", "whsec_a"), account("b", "whsec_0", "whsec_b")) == ["b"]


def test_one_secret_may_stand_for_several_accounts():
    header = sign("{}", secret="whsec_org", at=NOW)
    assert names("{}", header, account("a", "whsec_org"), account("b", "whsec_org")) == ["a", "b"]


def test_while_a_secret_is_rolled_each_of_two_signatures_is_enough():
    both = sign("{}", secret="whsec_old", at=NOW) + "," + sign("{}", secret="whsec_new", at=NOW).partition(",")[2]
    assert names("{}", both, account("a", "whsec_old")) == names("{}", both, account("a", "whsec_new")) == ["a"]


@given(st.text(max_size=200), st.text(min_size=1, max_size=40))
def test_what_stripes_own_library_signs_is_accepted_whatever_the_body(body, secret):
    body, secret = (text.encode(errors="replace").decode() for text in (body, secret))
    assert names(body, sign(body, secret=secret, at=NOW), account("a", secret)) == ["a"]


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("", Reason.NO_SIGNATURE),
        ("v1=00", Reason.NO_SIGNATURE),
        (f"t={NOW}", Reason.NO_SIGNATURE),
        (f"t={NOW},v0=00", Reason.NO_SIGNATURE),  # a scheme that only tests use
        (f"t={NOW},t={NOW},v1=00", Reason.NO_SIGNATURE),
        (f"t=-{NOW},v1=00", Reason.NO_SIGNATURE),
        ("t=" + "9" * 5000 + ",v1=00", Reason.NO_SIGNATURE),
        ("t=²,v1=00", Reason.NO_SIGNATURE),  # a digit, in Python's eyes
        (f"t={NOW},v1=00", Reason.SIGNATURE),
        (f"t={NOW},v1=é", Reason.SIGNATURE),
        (sign("{}", secret="whsec_b", at=NOW), Reason.SIGNATURE),
        (sign("{ }", secret="whsec_a", at=NOW), Reason.SIGNATURE),
        (sign("{}", secret="whsec_a", at=NOW - 301), Reason.STALE),
        (sign("{}", secret="whsec_a", at=NOW + 301), Reason.STALE),
    ],
)
def test_what_is_not_signed_now_by_one_of_us_is_refused(header, reason):
    with pytest.raises(Refused) as refused:
        names("{}", header, account("a", "whsec_a"))
    assert refused.value.reason is reason


@given(st.text())
def test_any_header_is_read_or_refused(header):
    with pytest.raises(Refused):
        names("{}", header, account("a", "whsec_a"))
