"""Which organization a page is about, and what its frame knows of the viewer."""

from django.test import RequestFactory

from accounts.context_processors import viewer
from accounts.models import Membership, Organization, Role
from tests.cast import sign_in


def join_another(user, name: str = "Zenith") -> Organization:
    other = Organization.objects.create(name=name, billing_email="z@example.com")
    Membership.objects.create(organization=other, user=user, role=Role.ADMIN)
    return other


def test_the_frame_shows_the_organization_last_looked_at(acme, bob) -> None:
    other, browser = join_another(bob), sign_in(bob)
    assert browser.get("/profile/").context["viewer"]["organization"] == acme  # the first joined
    browser.get(f"/o/{other.public_id}/members/")
    assert browser.get("/profile/").context["viewer"]["organization"] == other
    Membership.objects.filter(user=bob, organization=other).delete()
    assert browser.get("/profile/").context["viewer"]["organization"] == acme  # no longer a member there


def test_the_frame_knows_what_the_viewer_may(acme, bob) -> None:
    may = sign_in(bob).get(f"/o/{acme.public_id}/members/").context["viewer"]["may"]
    assert may["see_billing"]
    assert not may["manage_billing"]
    assert not may["transfer_ownership"]


def test_looking_again_writes_no_session(acme, bob) -> None:
    browser = sign_in(bob)
    written = ["sessionid" in browser.get(f"/o/{acme.public_id}/members/").cookies for _ in range(2)]
    assert written == [True, False]


def test_a_visitor_has_no_organization(rf: RequestFactory) -> None:
    assert viewer(rf.get("/"))["viewer"]["organization"] is None


def test_pages_speak_the_viewers_language_and_zone(acme, bob, alice) -> None:
    bob.language, bob.time_zone = "ja", "Asia/Tokyo"
    bob.save()
    page = sign_in(bob).get(f"/o/{acme.public_id}/members/", headers={"accept-language": "en"})
    assert '<html lang="ja"' in page.content.decode()
    assert '<html lang="en"' in sign_in(alice).get(f"/o/{acme.public_id}/members/").content.decode()


def test_a_zone_that_no_longer_exists_is_read_as_utc(acme, bob) -> None:
    bob.time_zone = "Mars/Olympus"
    bob.save()
    assert sign_in(bob).get(f"/o/{acme.public_id}/members/").status_code == 200
    assert sign_in(bob).get("/profile/").status_code == 200
