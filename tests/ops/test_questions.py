"""Questions to customers: a link for each reader, a page that decides by POST alone, one answer, to the workflow."""

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone

from accounts.models import CustomerLink, Membership, Role
from billing.models import InboxEvent
from config.logging import blot_secrets
from ops.effects.outcome import Refused
from ops.effects.registry import Call, by_arn
from ops.models import Execution, Mail, Question, QuestionLink, TaskCall
from ops.questions.links import signed
from ops.rules.deliver import deliver_due
from ops.rules.dispatch import dispatch_due
from ops.workflows import acts, engine
from ops.workflows.machines import ARN as MACHINE
from ops.workflows.start import Cause, start
from tests.cast import make_user, sign_in
from tests.ops.rows import make_event
from tests.ops.rules.made import make_rule, target
from tests.ops.workflows.moving import Clock, finish, machine_of

ARN = "arn:aws:states:local:000000000000:activity:ask-customer"
LETTERS = {
    "en": "Subject: {{ question }}\n\nHello {{ name }},\n\n{% button answer_url %}Answer{% endbutton %}\n",
    "ja": "Subject: {{ question }}\n\n{{ name }}様\n\n{% button answer_url %}回答する{% endbutton %}\n",
}
QUESTION = {
    "template": "dunning/ask",
    "question": {"en": "Move to Business?", "ja": "Businessに変更しますか？"},
    "note": {"en": "You pay more from March."},
    "amount": 5000,
    "currency": "jpy",
    "customer": "cus_1",
    "subject": "sub_1",
}
LATE = [{"ErrorEquals": ["States.Timeout"], "Next": "Late"}]
ASK = {"Type": "Task", "Resource": ARN, "Parameters": QUESTION, "TimeoutSeconds": 86_400, "Catch": LATE, "End": True}

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def now(settings, tmp_path: Path, acme) -> datetime:
    """Acme with a customer and two who see to money: Alice, and Yuki who reads Japanese in Tokyo."""
    settings.PLAYBOOKS_DIRECTORY = str(tmp_path)
    place = tmp_path / "dunning" / "emails"
    place.mkdir(parents=True)
    for language, text in LETTERS.items():
        (place / f"ask.{language}.txt").write_text(text)
    yuki = make_user("Yuki", language="ja", time_zone="Asia/Tokyo")
    Membership.objects.create(organization=acme, user=yuki, role=Role.BILLING)
    now = timezone.now().replace(microsecond=0)
    CustomerLink.objects.create(
        organization=acme, livemode=False, idempotency_key="k", keyed_at=now, customer_id="cus_1"
    )
    return now


@pytest.fixture
def asked(now) -> Clock:
    """A workflow that waits a day for an answer, and goes on without one."""
    clock = Clock(now)
    machine = machine_of(Ask=ASK, Late={"Type": "Pass", "Result": "nobody", "End": True})
    start(machine, "ask", {}, now=now, cause=Cause("", "cus_1", 0))
    engine.advance_due(clock, budget_seconds=10)
    return clock


def link_to(email: str) -> str:
    """The path of the link in the last mail to an address."""
    message = next(each for each in reversed(mail.outbox) if each.to == [email])
    [path] = set(re.findall(r"(/questions/[^/\s]+/)", str(message.body)))
    return path


def output(clock: Clock) -> Any:
    clock.now = max(clock.now, timezone.now())
    engine.advance_due(clock, budget_seconds=10)
    return Execution.objects.order_by("pk").first().output


def page(path: str) -> tuple[int, str]:
    answer = Client().get(path)
    return answer.status_code, answer.content.decode()


def test_each_reader_has_a_link_of_their_own_and_no_row_knows_it(asked) -> None:
    links = [link_to("alice@example.com"), link_to("yuki@example.com")]
    assert len(set(links)) == 2
    tokens = [path.split("/")[2] for path in links]
    assert all(len(token) == 43 for token in tokens)
    kept = repr([*Mail.objects.values(), *QuestionLink.objects.values(), *Question.objects.values()])
    kept += repr(list(Execution.objects.values()))
    assert not [token for token in tokens if token in kept]
    assert "to-be-signed" in Mail.objects.first().text
    assert [message.subject for message in mail.outbox] == ["Move to Business?", "Businessに変更しますか？"]
    # Tried again, as after a crash, the same question goes out under the same links and no second mail.
    question = Question.objects.get()
    call = Call(key=question.key, now=asked.now, cause=question.by, customer_id="cus_1", call_id=question.call_id)
    by_arn(ARN).call('{"template": "dunning/ask", "question": "Move?", "subject": "sub_1"}', call)
    assert (Question.objects.count(), QuestionLink.objects.count(), len(mail.outbox)) == (1, 2, 2)


def test_looking_decides_nothing_and_the_page_speaks_the_readers_language(asked) -> None:
    path = link_to("yuki@example.com")
    for client in (Client(), Client(HTTP_USER_AGENT="scanner")):
        assert client.head(path).status_code == client.get(path).status_code == 200
        client.get(path + "?answer=yes")
    code, text = page(path)
    assert code == 200
    assert 'lang="ja"' in text and "Businessに変更しますか？" in text and "5,000" in text and "yuki@example.com" in text
    assert "You pay more from March." in text  # there is no Japanese note
    assert "no-store" in Client().get(path)["Cache-Control"]
    assert (output(asked), Question.objects.get().answer) == (None, "")


@pytest.mark.parametrize(("answer", "approved"), [("yes", True), ("no", False)])
def test_the_first_click_answers_for_all(asked, answer, approved) -> None:
    alice, yuki = link_to("alice@example.com"), link_to("yuki@example.com")
    client = Client(enforce_csrf_checks=True)
    assert client.post(alice, {"answer": answer}).status_code == 403  # no other site answers for anybody
    client.get(alice)
    csrf = {"csrfmiddlewaretoken": client.cookies["csrftoken"].value}
    assert client.post(alice, {**csrf, "answer": "perhaps"}).status_code == 302
    assert Question.objects.get().answer == ""
    said = client.post(alice, {**csrf, "answer": answer}, follow=True).content.decode()
    assert ("You agreed on" if approved else "You declined on") in said
    assert "Alice" in page(yuki)[1] and 'name="answer"' not in page(yuki)[1]
    Client().post(yuki, {"answer": "no" if approved else "yes"})
    told = output(asked)
    assert (told["approved"], told["by"]) == (approved, "alice@example.com")
    assert Execution.objects.get().status == "SUCCEEDED"
    types = list(InboxEvent.objects.order_by("pk").values_list("type", flat=True))
    assert types == ["question.asked", "question.answered"]


def test_operators_see_what_is_asked_and_no_link(asked, olga) -> None:
    client, question = sign_in(olga), Question.objects.get()
    listed = client.get("/admin/ops/question/").content.decode()
    assert "Move to Business?" in listed and "Waits for the customer" in listed and "¥5,000" in listed
    page = client.get(f"/admin/ops/question/{question.pk}/change/").content.decode()
    assert "alice@example.com, yuki@example.com" in page and "You pay more from March." in page
    assert not [link for link in question.links.all() if link.token_hash in page or link.salt in page]


def test_the_signed_in_reader_sees_the_same_page(asked, alice) -> None:
    assert "Move to Business?" in sign_in(alice).get(link_to("alice@example.com")).content.decode()


def test_a_link_that_expired_says_so_and_answers_nothing(asked, time_machine) -> None:
    path = link_to("alice@example.com")
    time_machine.move_to(asked.now + timedelta(days=1, minutes=1))
    code, text = page(path)
    assert code == 410 and "This question is closed." in text
    Client().post(path, {"answer": "yes"})
    asked.now += timedelta(days=1, minutes=1)
    finish(asked)
    assert (Execution.objects.get().output, Question.objects.get().answer) == ("nobody", "")


@pytest.mark.parametrize("answered_before", [False, True])
def test_a_state_that_is_tried_again_waits_by_the_same_links(now, settings, answered_before) -> None:
    """The mail server was away for the first call; the second bears its key, and the links of both mails are one."""
    clock = Clock(now)
    again = {**ASK, "Retry": [{"ErrorEquals": ["Lost"], "IntervalSeconds": 1, "MaxAttempts": 2}]}
    start(machine_of(Ask=again, Late={"Type": "Pass", "End": True}), "ask", {}, now=now, cause=Cause("", "cus_1", 0))
    engine.advance_due(clock, budget_seconds=10)
    path, question = link_to("alice@example.com"), Question.objects.get()
    if answered_before:
        Question.objects.update(answer="yes", answered_at=now, answered_by=question.links.first())
    first = question.call_id
    TaskCall.objects.filter(pk=first).update(state="answered", answer={"error": "Lost"}, may_be_done=True)
    Execution.objects.update(due_at=now)
    clock.now += timedelta(seconds=2)
    engine.advance_due(clock, budget_seconds=10)
    clock.now += timedelta(seconds=2)
    engine.advance_due(clock, budget_seconds=10)
    assert (Question.objects.count(), len(mail.outbox)) == (1, 2)
    if not answered_before:
        assert Question.objects.get().call_id != first
        Client().post(path, {"answer": "yes"})
    assert output(clock)["approved"] is True


def test_a_question_that_is_asked_anew_replaces_the_older_link(asked) -> None:
    older = link_to("alice@example.com")
    again = start(Execution.objects.get().machine, "again", {}, now=asked.now, cause=Cause("", "cus_1", 0))
    engine.advance_due(asked, budget_seconds=10)
    code, text = page(older)
    assert code == 410 and "asked anew" in text
    Client().post(older, {"answer": "yes"})
    assert output(asked) is None
    Client().post(link_to("alice@example.com"), {"answer": "yes"})
    output(asked)
    again.refresh_from_db()
    assert again.output["approved"] is True


def test_what_nobody_waits_for_any_more_says_so(asked, olga) -> None:
    acts.stop(Execution.objects.get(), olga, reason="settled by telephone", now=asked.now)
    path = link_to("alice@example.com")
    code, text = page(path)
    assert code == 410 and "not needed any more" in text
    Client().post(path, {"answer": "yes"})
    assert Question.objects.get().answer == ""


def test_no_mail_signs_anothers_link_whatever_stands_in_it(asked, acme, charlie) -> None:
    """Somebody names their organization like the mark of another's link."""
    alice, yuki = QuestionLink.objects.order_by("pk")
    token = link_to("alice@example.com").split("/")[2]
    mark = f"link-{alice.pk}-to-be-signed"
    theirs = charlie.memberships.get().organization
    assert signed("charlie@example.com", theirs.pk, mark) == [mark]
    assert signed("alice@example.com", theirs.pk, mark) == [mark]
    assert signed(yuki.email, acme.pk, mark) == [mark]
    assert signed("alice@example.com", acme.pk, mark) == [token]


def test_no_log_knows_a_token(asked) -> None:
    path = link_to("alice@example.com")
    assert blot_secrets(None, "", {"event": f"Forbidden: {path}"}) == {"event": "Forbidden: /questions/***/"}


@pytest.mark.parametrize("token", ["x", "link-1-to-be-signed", "A" * 43])
def test_a_link_that_is_nobodys_is_not_found(asked, token) -> None:
    code, text = page(f"/questions/{token}/")
    assert code == 404 and "copied whole" in text


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ('{"template": "dunning/ask", "question": "Q?", "amount": 5}', "NoCurrency: "),
        ('{"template": "dunning/ask", "question": "Q?", "token": "nobodys"}', "InvalidToken: "),
        ('{"template": "dunning/ask", "question": "Q?"}', "NoWorkflow: "),
        ('{"template": "dunning/ask", "question": ""}', "InvalidInput: "),
    ],
)
def test_what_cannot_be_asked_is_refused(now, given, error) -> None:
    outcome = by_arn(ARN).call(given, Call(key="k", now=now, cause="rule", customer_id="cus_1"))
    assert isinstance(outcome, Refused) and outcome.error.startswith(error)
    assert not Question.objects.exists()


def test_a_state_that_waits_for_its_token_is_answered_by_a_customers_click(now) -> None:
    """From rule to end: an event, a rule, a state with .waitForTaskToken, a mail, a click, the state after it."""
    clock = Clock(now)
    given = {name: value for name, value in QUESTION.items() if name != "subject"}
    asking = machine_of(
        Ask={"Type": "Task", "Resource": ARN, "Parameters": {**given, "token.$": "$.token"}, "End": True}
    )
    waiting = machine_of(
        Wait={
            "Type": "Task",
            "Resource": "arn:aws:states:::states:startExecution.waitForTaskToken",
            "Parameters": {"StateMachineArn": MACHINE + asking.name, "Input": {"token.$": "$$.Task.Token"}},
            "TimeoutSeconds": 86_400,
            "ResultPath": "$.answer",
            "Next": "Agreed?",
        },
        **{
            "Agreed?": {
                "Type": "Choice",
                "Choices": [{"Variable": "$.answer.approved", "BooleanEquals": True, "Next": "Go"}],
                "Default": "Stay",
            },
            "Go": {"Type": "Pass", "Result": "moved", "End": True},
            "Stay": {"Type": "Pass", "Result": "stayed", "End": True},
        },
    )
    make_rule("ask", {"detail-type": ["invoice.paid"]}, targets=[target("start", MACHINE + waiting.name)])
    make_event(timezone.now(), type="invoice.paid", object_kind="invoice")
    dispatch_due(timezone.now, budget_seconds=10)
    deliver_due(timezone.now, budget_seconds=10)
    clock.now = timezone.now()
    engine.advance_due(clock, budget_seconds=10)
    child = Execution.objects.get(machine=asking)
    assert (child.status, child.output) == ("SUCCEEDED", {"sent": 2, "refused": 0})
    assert Execution.objects.get(machine=waiting).status == "RUNNING"
    Client().post(link_to("yuki@example.com"), {"answer": "yes"})
    engine.advance_due(Clock(timezone.now()), budget_seconds=10)
    parent = Execution.objects.get(machine=waiting)
    assert (parent.status, parent.output) == ("SUCCEEDED", "moved")
    assert Question.objects.get().answered_by.email == "yuki@example.com"
