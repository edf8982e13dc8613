"""Mails that were not sent: a finding with the next step, acts of a person, an outbox that forgets what is settled."""

from datetime import timedelta

import pytest
from django.core import mail
from django.utils import timezone

from accounts.models import Membership
from ops.effects.mail.acts import CannotSend, send_again
from ops.effects.mail.prune import prune
from ops.effects.outcome import Done, Refused
from ops.models import Finding, FindingKind, Mail, MailState, StaffAct
from ops.remediation.findings import look
from ops.remediation.words import words_of
from tests.cast import sign_in
from tests.ops.effects.test_email import behind, letters, mail_server, send  # noqa: F401 - fixtures
from tests.ops.rows import make_mail

DAY = timedelta(days=1)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def refused(behind, settings) -> Mail:  # noqa: F811
    """Alice's address was refused for good; Yuki's letter went out."""
    with mail_server(settings, refuse={"alice@example.com": "550 5.1.1 nobody"}):
        assert send() == Done({"sent": 1, "refused": 1})
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    return Mail.objects.get(to="alice@example.com")


def seen() -> list[tuple[str, str]]:
    look(now=timezone.now())
    return [(row.kind, words_of(row).title) for row in Finding.objects.filter(closed_at=None)]


def test_an_address_that_is_refused_for_good_is_a_finding_until_the_mail_is_sent_again(refused, olga) -> None:
    assert seen() == [(FindingKind.MAILS_REFUSED, "1 mail to alice@example.com was refused for good")]
    finding = Finding.objects.get()
    assert "550 5.1.1 nobody" in finding.evidence["error"]
    page = sign_in(olga).get(f"/admin/ops/finding/{finding.pk}/change/").content.decode()
    assert "state__exact=refused" in page and "mend the address" in page
    send_again(refused, olga, reason="The address works again.", now=timezone.now())
    assert Mail.objects.get(pk=refused.pk).state == MailState.SENT
    assert [message.to for message in mail.outbox] == [["alice@example.com"]]
    assert seen() == []
    assert StaffAct.objects.get().act == "mail:send-again"
    with pytest.raises(CannotSend, match=r"settled already: Sent\."):
        send_again(refused, olga, reason="Twice", now=timezone.now())
    assert len(mail.outbox) == 1


def test_what_is_refused_again_says_why_and_stays(refused, olga, settings) -> None:
    with (
        mail_server(settings, refuse={"alice@example.com": "550 still nobody"}),
        pytest.raises(CannotSend, match=r"It was not taken: .*still nobody"),
    ):
        send_again(refused, olga, reason="Try", now=timezone.now())
    assert len(seen()) == 1


def test_a_mail_put_aside_is_no_problem_any_more(refused, olga) -> None:
    client = sign_in(olga)
    address = f"/admin/ops/mail/{refused.pk}/put-aside/"
    assert "Say how the customer knows" in client.get(address).content.decode()
    client.post(address, {"reason": ""})
    assert Mail.objects.get(pk=refused.pk).state == MailState.REFUSED
    client.post(address, {"reason": "Told by telephone."})
    assert Mail.objects.get(pk=refused.pk).state == MailState.ASIDE
    assert (seen(), len(mail.outbox), StaffAct.objects.get().reason) == ([], 0, "Told by telephone.")
    assert client.get(address).status_code == 403
    assert "settled already" in client.post(address, {"reason": "Twice."}).content.decode()
    assert StaffAct.objects.count() == 1


def test_an_organization_without_any_address_is_a_finding_and_its_letter_is_kept(behind, olga) -> None:  # noqa: F811
    members = list(Membership.objects.filter(organization=behind))
    Membership.objects.filter(organization=behind).delete()
    behind.billing_email = ""
    behind.save()
    assert isinstance(send(), Refused) and isinstance(send(), Refused)
    kept = Mail.objects.get()
    assert (kept.to, kept.state, kept.subject) == ("", MailState.REFUSED, "Business: ¥5,000 did not go through")
    assert seen() == [(FindingKind.MAILS_REFUSED, "1 mail to “Acme” has no address")]
    with pytest.raises(CannotSend, match="There is still no address"):
        send_again(kept, olga, reason="Try", now=timezone.now())
    assert sign_in(olga).get(f"/admin/ops/mail/{kept.pk}/change/").status_code == 200
    Membership.objects.bulk_create(members)
    assert send() == Done({"sent": 2, "refused": 0})  # the workflow is redriven
    assert (seen(), Mail.objects.get(pk=kept.pk).state) == ([], MailState.ASIDE)


def test_a_mail_server_that_is_away_is_a_finding_after_an_hour(behind, settings) -> None:  # noqa: F811
    with mail_server(settings):
        pass
    send()  # nobody listens there any more
    Mail.objects.update(written_at=timezone.now() - timedelta(minutes=50))
    assert seen() == []
    Mail.objects.update(written_at=timezone.now() - timedelta(minutes=70))
    assert seen() == [(FindingKind.MAILS_WAITING, "2 mails cannot be sent")]
    assert Finding.objects.get().evidence["error"].startswith("ConnectionRefusedError")


def test_the_outbox_forgets_what_is_settled_and_old_alone(acme, settings) -> None:
    settings.MAIL_KEEP_DAYS = 30
    now = timezone.now()
    for state, age in [("sent", 31), ("sent", 29), ("aside", 31), ("due", 400), ("refused", 400)]:
        row = make_mail(acme, now)
        row.key, row.state, row.written_at = f"{state}-{age}", state, now - age * DAY
        row.save()
    assert prune(now=now, budget_seconds=5) == 2
    assert sorted(Mail.objects.values_list("key", flat=True)) == ["due-400", "refused-400", "sent-29"]
    settings.MAIL_KEEP_DAYS = 0
    assert prune(now=now + 999 * DAY, budget_seconds=5) == 0
