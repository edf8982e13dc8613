"""The pages of people and organizations: who may open them, what they say, what their buttons do."""

import re

import pytest
import time_machine
from django.core import mail
from django.test import Client
from django.utils import timezone

from accounts import invitations
from accounts.invitations import BETWEEN_MAILS, MOST_PENDING
from accounts.models import Invitation, Membership, Organization, Role, User
from tests.accounts.browser import link_in_mail, new_browser
from tests.cast import make_user, sign_in

# What each page answers to: an outsider, a member, billing, an admin, the owner.
OUTSIDER, MEMBER, BILLING, ADMIN, OWNER = None, Role.MEMBER, Role.BILLING, Role.ADMIN, Role.OWNER
WHO = (OUTSIDER, MEMBER, BILLING, ADMIN, OWNER)
TABLE = [
    # method, page, answers in the order of WHO
    ("get", "members/", (404, 200, 200, 200, 200)),  # every member sees who belongs
    ("get", "members/invite/", (404, 403, 403, 302, 302)),  # the form stands on the page of members
    ("post", "members/invite/", (404, 403, 403, 422, 422)),  # an empty form is said to be wrong
    ("post", "members/{bob}/role/", (404, 403, 403, 302, 302)),
    ("get", "members/{bob}/remove/", (404, 403, 403, 200, 200)),
    ("post", "members/{bob}/remove/", (404, 403, 403, 302, 302)),
    ("post", "members/invitations/1/resend/", (404, 403, 403, 302, 302)),
    ("post", "members/invitations/1/revoke/", (404, 403, 403, 302, 302)),
    ("get", "members/leave/", (404, 200, 200, 200, 200)),  # the owner reads what must come first
    ("get", "members/transfer/", (404, 403, 403, 403, 200)),  # the owner's alone
    ("post", "members/transfer/", (404, 403, 403, 403, 200)),
    ("get", "settings/", (404, 403, 403, 200, 200)),
    ("post", "settings/", (404, 403, 403, 200, 200)),
    # What changes something cannot be done by following a link.
    ("get", "members/{bob}/role/", (405,) * 5),
    ("get", "members/invitations/1/resend/", (405,) * 5),
    ("get", "members/invitations/1/revoke/", (405,) * 5),
]
ROWS = [
    (method, page, who, answer) for method, page, answers in TABLE for who, answer in zip(WHO, answers, strict=True)
]


def with_role(organization: Organization, role: Role | None) -> Client:
    viewer = make_user("Viewer")
    if role == Role.OWNER:
        Membership.objects.filter(organization=organization, role=Role.OWNER).update(role=Role.ADMIN)
    if role:
        Membership.objects.create(organization=organization, user=viewer, role=role)
    return sign_in(viewer)


@pytest.mark.parametrize(("method", "page", "who", "answer"), ROWS)
def test_each_page_answers_each_role_by_the_table(acme, bob, method, page, who, answer) -> None:
    bobs = Membership.objects.get(organization=acme, user=bob).pk
    path = f"/o/{acme.public_id}/{page.format(bob=bobs)}"
    assert getattr(with_role(acme, who), method)(path).status_code == answer


@pytest.mark.parametrize("page", ["members/", "members/leave/", "members/transfer/", "settings/"])
def test_who_is_not_signed_in_is_led_to_sign_in_and_back(acme, page) -> None:
    path = f"/o/{acme.public_id}/{page}"
    answer = new_browser().get(path)
    assert (answer.status_code, answer.headers["Location"]) == (302, f"/accounts/login/?next={path}")


def test_an_organization_that_exists_and_one_that_does_not_look_alike_to_outsiders(acme, charlie) -> None:
    browser = sign_in(charlie)
    ids = (acme.public_id, "org_0000000000000000")
    answers = [browser.get(f"/o/{public_id}/members/") for public_id in ids]
    assert [answer.status_code for answer in answers] == [404, 404]
    pages = [answer.content.decode().replace(public_id, "") for answer, public_id in zip(answers, ids, strict=True)]
    assert strip_secrets(pages[0]) == strip_secrets(pages[1])


def strip_secrets(page: str) -> str:
    return re.sub(r'(csrfmiddlewaretoken" value|nonce)="[^"]+"', "", page)


def members_page(acme: Organization) -> str:
    return f"/o/{acme.public_id}/members/"


def test_the_members_page_shows_people_and_lets_managers_change_them(acme, alice, bob) -> None:
    managed = sign_in(alice).get(members_page(acme)).content.decode()
    assert "bob@example.com" in managed
    assert "Remove…" in managed
    assert "Send invitation" in managed
    seen = sign_in(bob).get(members_page(acme)).content.decode()
    assert "alice@example.com" in seen
    assert "Remove…" not in seen
    assert "Send invitation" not in seen


def test_invitations_are_not_shown_to_who_cannot_manage_them(acme, alice, bob) -> None:
    invitations.invite(acme, actor=alice, email="dora@example.com", role=Role.MEMBER, now=timezone.now())
    assert "dora@example.com" in sign_in(alice).get(members_page(acme)).content.decode()
    assert "dora@example.com" not in sign_in(bob).get(members_page(acme)).content.decode()


def test_many_members_come_in_pages_with_few_queries(acme, alice, django_assert_max_num_queries) -> None:
    people = User.objects.bulk_create(
        User(email=f"person{number}@example.com", name=f"Person {number:03}") for number in range(120)
    )
    Membership.objects.bulk_create(Membership(organization=acme, user=person) for person in people)
    browser = sign_in(alice)
    with django_assert_max_num_queries(16):
        first = browser.get(members_page(acme))
    assert "Person 047" in first.content.decode()
    assert "Person 048" not in first.content.decode()
    assert "Person 119" in browser.get(members_page(acme) + "?page=3").content.decode()
    assert browser.get(members_page(acme) + "?page=nonsense").status_code == 200


def test_changing_a_role_says_so(acme, alice, bob) -> None:
    bobs = Membership.objects.get(organization=acme, user=bob)
    page = sign_in(alice).post(f"{members_page(acme)}{bobs.pk}/role/", {"role": "admin"}, follow=True)
    bobs.refresh_from_db()
    assert bobs.role == Role.ADMIN
    assert "Bob now has the role “Admin”." in page.content.decode()


@pytest.mark.parametrize("role", ["owner", "emperor", ""])
def test_a_role_that_is_not_offered_changes_nothing(acme, alice, bob, role) -> None:
    bobs = Membership.objects.get(organization=acme, user=bob)
    page = sign_in(alice).post(f"{members_page(acme)}{bobs.pk}/role/", {"role": role}, follow=True)
    bobs.refresh_from_db()
    assert bobs.role == Role.MEMBER
    assert "Nothing was changed." in page.content.decode()


def test_a_member_leaves_and_the_organization_is_gone_for_them(acme, bob) -> None:
    browser = sign_in(bob)
    assert f"Leave {acme}" in browser.get(f"{members_page(acme)}leave/").content.decode()
    browser.post(f"{members_page(acme)}leave/")
    assert browser.get(members_page(acme)).status_code == 404


def test_the_owner_is_told_to_transfer_first(acme, alice) -> None:
    browser = sign_in(alice)
    assert "Transfer ownership to a member first" in browser.get(f"{members_page(acme)}leave/").content.decode()
    page = browser.post(f"{members_page(acme)}leave/", follow=True).content.decode()
    assert "Transfer ownership to a member first." in page
    assert Membership.objects.filter(organization=acme, user=alice).exists()


def test_ownership_is_transferred_by_the_form(acme, alice, bob) -> None:
    bobs = Membership.objects.get(organization=acme, user=bob)
    page = sign_in(alice).post(f"{members_page(acme)}transfer/", {"member": bobs.pk}, follow=True)
    bobs.refresh_from_db()
    assert bobs.role == Role.OWNER
    assert "Bob now owns Acme. You are an admin." in page.content.decode()


def test_ownership_does_not_go_to_an_outsider(acme, alice, charlie) -> None:
    theirs = Membership.objects.get(user=charlie)
    assert sign_in(alice).post(f"{members_page(acme)}transfer/", {"member": theirs.pk}).status_code == 200
    assert Membership.objects.get(organization=acme, role=Role.OWNER).user == alice


def test_with_nobody_to_transfer_to_the_page_says_what_comes_first(charlie) -> None:
    theirs = charlie.organizations.get()
    page = sign_in(charlie).get(f"/o/{theirs.public_id}/members/transfer/").content.decode()
    assert "There is nobody to transfer to yet" in page


def invite(browser: Client, acme: Organization, email: str = "dora@example.com", role: str = "billing") -> str:
    answer = browser.post(f"{members_page(acme)}invite/", {"email": email, "role": role}, follow=True)
    return answer.content.decode()


def test_an_invitation_goes_out_by_mail_and_its_link_works(acme, alice) -> None:
    assert "We have sent an invitation to dora@example.com." in invite(sign_in(alice), acme)
    (message,) = mail.outbox
    assert message.subject == "Alice invites you to join Acme"
    assert message.alternatives  # type: ignore[attr-defined]
    dora = make_user("Dora")
    browser, link = sign_in(dora), link_in_mail(dora.email, "/invitations/")
    assert "Alice invites dora@example.com to join Acme" in browser.get(link).content.decode()
    assert not Membership.objects.filter(user=dora).exists()
    answer = browser.post(link)
    assert answer.headers["Location"] == f"/o/{acme.public_id}/"
    assert Membership.objects.get(user=dora).role == Role.BILLING
    assert browser.session["current_organization"] == acme.public_id
    assert browser.post(link).headers["Location"] == f"/o/{acme.public_id}/"  # a second click


def test_names_cannot_break_the_mail(acme, alice) -> None:
    alice.name, acme.name = "Alice\r\nBcc: all@example.com <b>", "A & B <script>"
    alice.save()
    acme.save()
    invite(sign_in(alice), acme)
    (message,) = mail.outbox
    assert "\n" not in message.subject
    assert "A & B <script>" in str(message.body)
    html = str(message.alternatives[0][0])  # type: ignore[attr-defined]
    assert "<script>" not in html
    assert "A &amp; B &lt;script&gt;" in html


def test_the_mail_speaks_the_recipients_language_if_we_know_it_else_the_inviters(acme, alice) -> None:
    make_user("Dora", language="ja")
    browser = sign_in(alice)
    languages = []
    for email in ("dora@example.com", "stranger@example.com"):
        invite(browser, acme, email)
        html = str(mail.outbox[-1].alternatives[0][0])  # type: ignore[union-attr]
        languages.append("".join(re.findall(r'<html lang="(\w+)"', html)))
    assert languages == ["ja", "en"]


def test_mail_that_cannot_be_sent_is_said_and_can_be_sent_again(acme, alice, settings) -> None:
    browser = sign_in(alice)
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    assert "could not be sent" in invite(browser, acme)
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    pending, later = Invitation.objects.get(), timezone.now() + BETWEEN_MAILS
    with time_machine.travel(later):
        browser.post(f"{members_page(acme)}invitations/{pending.pk}/resend/")
    assert link_in_mail("dora@example.com", "/invitations/")


def test_what_is_wrong_with_an_invitation_is_said_beside_what_was_typed(acme, alice) -> None:
    browser = sign_in(alice)
    page = invite(browser, acme, "bob@example.com")
    assert "This person is already a member." in page
    assert 'value="bob@example.com"' in page
    for number in range(MOST_PENDING):
        invitations.invite(acme, actor=alice, email=f"g{number}@example.com", role=Role.MEMBER, now=timezone.now())
    assert "invitations are still unanswered" in invite(browser, acme)
    assert mail.outbox == []


def test_the_answer_to_an_invitation_does_not_tell_whether_the_address_has_an_account(acme, alice, charlie) -> None:
    browser = sign_in(alice)
    known = invite(browser, acme, charlie.email)
    unknown = invite(browser, acme, "nobody@example.com")
    assert f"We have sent an invitation to {charlie.email}." in known
    assert "We have sent an invitation to nobody@example.com." in unknown


def test_revoking_says_so_and_kills_the_link(acme, alice) -> None:
    browser = sign_in(alice)
    invite(browser, acme)
    link = link_in_mail("dora@example.com", "/invitations/")
    revoke = f"{members_page(acme)}invitations/{Invitation.objects.get().pk}/revoke/"
    assert "its link no longer works" in browser.post(revoke, follow=True).content.decode()
    answer = new_browser().get(link)
    assert answer.status_code == 410
    assert "This invitation was withdrawn." in answer.content.decode()


@pytest.fixture
def link(acme, alice) -> str:
    """An open invitation of Dora."""
    offer = invitations.invite(acme, actor=alice, email="dora@example.com", role=Role.BILLING, now=timezone.now())
    return f"/invitations/{offer.token}/"


def test_who_is_not_signed_in_is_offered_both_ways_and_told_nothing_more(link) -> None:
    page = new_browser().get(link).content.decode()
    assert f"/accounts/signup/?next={link.replace('/', '%2F')}" in page
    assert f"/accounts/login/?next={link.replace('/', '%2F')}" in page
    make_user("Dora")
    assert strip_secrets(new_browser().get(link).content.decode()) == strip_secrets(page)


def test_who_is_signed_in_as_another_is_told_what_to_do(link, charlie) -> None:
    browser = sign_in(charlie)
    assert "You are signed in as charlie@example.com" in browser.get(link).content.decode()
    page = browser.post(link, follow=True).content.decode()
    assert "You are signed in as charlie@example.com, and this invitation is for dora@example.com." in page
    assert Invitation.objects.get().accepted_at is None
    (sign_out,) = re.findall(r'action="(/accounts/logout/[^"]+)"', page)
    assert browser.post(sign_out).headers["Location"] == link


def test_a_member_reads_that_there_is_nothing_to_accept(link, acme) -> None:
    dora = make_user("Dora")
    Membership.objects.create(organization=acme, user=dora)
    assert "You are a member already" in sign_in(dora).get(link).content.decode()


@pytest.mark.parametrize(
    ("state", "status", "sentence"),
    [
        ({"expires_at": timezone.now()}, 410, "This invitation has expired"),
        ({"revoked_at": timezone.now()}, 410, "This invitation was withdrawn"),
        ({"accepted_at": timezone.now()}, 410, "has already been accepted"),
        ({"token_hash": "another"}, 404, "is not valid"),
    ],
)
def test_a_link_that_is_no_longer_good_says_why(link, state, status, sentence) -> None:
    Invitation.objects.update(**state)
    for browser in (new_browser(), sign_in(make_user("Dora"))):
        answer = browser.get(link)
        assert answer.status_code == status
        assert sentence in answer.content.decode()


def test_an_invitations_page_is_kept_in_no_cache(link) -> None:
    assert "no-store" in new_browser().get(link).headers["Cache-Control"]


def test_a_new_organization_belongs_to_who_made_it_and_two_clicks_make_one(bob) -> None:
    browser = sign_in(bob)
    for _ in range(2):
        answer = browser.post("/organizations/new/", {"name": "Bob's", "billing_email": "pay@example.com"})
        made = Organization.objects.get(name="Bob's")
        assert answer.headers["Location"] == f"/o/{made.public_id}/"
    assert Membership.objects.get(organization=made).role == Role.OWNER
    assert browser.session["current_organization"] == made.public_id


def test_who_has_no_organization_is_led_to_making_one_and_reads_what_it_is_for(db) -> None:
    assert sign_in(make_user("Fred")).get("/").headers["Location"] == "/organizations/new/"
    page = sign_in(make_user("Ella")).get("/organizations/new/").content.decode()
    assert "Make your organization" in page
    assert 'value="ella@example.com"' in page


def test_switching_goes_to_ones_own_organizations_only(acme, bob, charlie) -> None:
    browser = sign_in(bob)
    answer = browser.post(f"/organizations/{acme.public_id}/switch/")
    assert answer.headers["Location"] == f"/o/{acme.public_id}/"
    theirs = charlie.organizations.get()
    assert browser.post(f"/organizations/{theirs.public_id}/switch/").status_code == 404
    assert browser.session["current_organization"] == acme.public_id
    assert browser.get(f"/organizations/{acme.public_id}/switch/").status_code == 405


def test_settings_are_saved_and_show_where_the_organization_belongs(acme, alice) -> None:
    acme.parent = Organization.objects.create(name="Acme Holding", billing_email="h@example.com")
    acme.save()
    browser, path = sign_in(alice), f"/o/{acme.public_id}/settings/"
    page = browser.post(path, {"name": "Acme 決済", "billing_email": "pay@acme.example"}, follow=True).content.decode()
    acme.refresh_from_db()
    assert (acme.name, acme.billing_email) == ("Acme 決済", "pay@acme.example")
    assert "Acme Holding" in page
    assert "The organization's settings are saved." in page.replace("&#x27;", "'")


def test_settings_that_are_wrong_change_nothing_and_lose_nothing(acme, alice) -> None:
    form = {"name": "x" * 121, "billing_email": "no address"}
    page = sign_in(alice).post(f"/o/{acme.public_id}/settings/", form).content.decode()
    assert 'value="no address"' in page
    acme.refresh_from_db()
    assert acme.name == "Acme"


def test_the_profile_changes_language_and_zone_at_once(bob) -> None:
    browser = sign_in(bob)
    form = {"name": "ボブ", "language": "ja", "time_zone": "Asia/Tokyo"}
    page = browser.post("/profile/", form, follow=True)
    bob.refresh_from_db()
    assert (bob.name, bob.language, bob.time_zone) == ("ボブ", "ja", "Asia/Tokyo")
    assert '<html lang="ja"' in page.content.decode()


@pytest.mark.parametrize(("field", "value"), [("language", "tlh"), ("time_zone", "Mars/Olympus"), ("name", "")])
def test_a_profile_that_is_wrong_is_not_saved(bob, field, value) -> None:
    form = {"name": "Bob", "language": "en", "time_zone": "UTC", field: value}
    assert sign_in(bob).post("/profile/", form).status_code == 200
    bob.refresh_from_db()
    assert (bob.name, bob.language, bob.time_zone) == ("Bob", "en", "UTC")
