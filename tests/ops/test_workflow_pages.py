"""The console's pages about workflows: machines and their numbers, executions and what is done with them, trying."""

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from ops.console.workflows.counts import counts_of, summaries_of
from ops.console.workflows.picture import Counts, shortened
from ops.effects.outcome import Done, Refused
from ops.models import Execution, Finding, HistoryEvent, StaffAct, StateMachine, Status
from ops.workflows import acts, engine
from ops.workflows.machines import save_version, set_share
from ops.workflows.start import Cause, start
from tests.cast import make_user, sign_in
from tests.ops.rows import make_approval, make_event
from tests.ops.workflows.moving import Clock, World

pytestmark = pytest.mark.django_db
REFUND = "arn:aws:states:local:000000000000:activity:refund-invoice"
ASK = "arn:aws:states:::sqs:sendMessage.waitForTaskToken"
DEFINITION = {
    "StartAt": "Large?",
    "States": {
        "Large?": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.amount", "NumericGreaterThan": 5000, "Next": "Ask"}],
            "Default": "Refund",
        },
        "Ask": {"Type": "Task", "Resource": ASK, "Parameters": {"t.$": "$$.Task.Token"}, "Next": "Refund"},
        "Refund": {"Type": "Task", "Resource": REFUND, "ResultPath": "$.refund", "Next": "Rest"},
        "Rest": {"Type": "Wait", "Seconds": 60, "End": True},
    },
}


@pytest.fixture
def machine(db: None) -> StateMachine:
    return save_version("refunds", json.dumps(DEFINITION, indent=2), reason="first", now=timezone.now()).machine


def run(machine: StateMachine, name: str, amount: int, *answers: Any, cause: Cause | None = None) -> Execution:
    """An execution as far as it goes without waiting."""
    now = timezone.now()
    execution = start(machine, name, {"amount": amount}, now=now, cause=cause)
    engine.advance_due(Clock(now), budget_seconds=20, make=World(*(answers or [Done({"refund": "re_1"})])))
    execution.refresh_from_db()
    return execution


def failed(machine: StateMachine, name: str = "bad") -> Execution:
    execution = run(machine, name, 100, Refused("Stripe.Declined: no money"))
    assert execution.status == Status.FAILED
    return execution


def page(client: Client, name: str, *args: Any, **query: Any) -> str:
    answer = client.get(reverse(f"admin:{name}", args=args), query)
    assert answer.status_code == 200, answer.status_code
    return answer.content.decode()


def member(*permissions: str) -> Client:
    """Somebody who may do just this."""
    mio = make_user("Mio", is_staff=True)
    mio.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return sign_in(mio)


def act(olga: Any, execution: Execution, name: str, /, **fields: str) -> Any:
    address = reverse("admin:ops_execution_act", args=[execution.pk, name])
    return sign_in(olga).post(address, {"reason": "the bank is awake", **fields}, follow=True)


# --- numbers ---


def test_it_counts_where_executions_stand_and_where_they_failed(olga, machine):
    run(machine, "asks-1", 9000)
    run(machine, "asks-2", 9000)
    run(machine, "rests", 100)
    failed(machine)
    counts = counts_of(machine.pk)
    assert (counts.running, counts.failed) == (3, 1)
    assert counts.states == {"Ask": Counts(2, 0), "Rest": Counts(1, 0), "Refund": Counts(0, 1)}
    summary = summaries_of([machine.pk], timezone.now())[machine.pk]
    assert (summary.running, summary.failed, summary.last_day) == (3, 1, 4)
    assert summaries_of([machine.pk], timezone.now() + timedelta(days=2))[machine.pk].last_day == 0
    shown = page(sign_in(olga), "ops_statemachine_change", machine.pk)
    assert "Ask (Task), 2 executions stand here now" in shown
    assert "Refund (Task), 1 execution failed here" in shown


def test_a_machine_s_page_needs_no_more_queries_for_many_executions(olga, machine):
    client = sign_in(olga)
    run(machine, "first", 9000)
    page(client, "ops_statemachine_change", machine.pk)
    seen = []
    for _ in range(2):
        with CaptureQueriesContext(connection) as caught:
            page(client, "ops_statemachine_change", machine.pk)
        seen.append(len(caught))
        for number in range(12):
            start(machine, f"more-{number}", {"amount": 1}, now=timezone.now())
    assert seen[0] == seen[1] <= 16


@pytest.mark.parametrize(("count", "written"), [(999, "999"), (1_234, "1.2k"), (34_600, "35k"), (1_000_000, "1.0M")])
def test_a_large_number_is_written_short(count, written):
    assert shortened(count) == written


# --- lists ---


def names_of(client: Client, **query: str) -> set[str]:
    answer = client.get(reverse("admin:ops_execution_changelist"), query)
    return {row.name for row in answer.context["cl"].result_list}


def test_executions_are_found_by_machine_state_customer_event_and_error(olga, machine):
    run(machine, "asks", 9000, cause=Cause(event_id="evt_1A", customer_id="cus_1A"))
    failed(machine, "bad")
    other = save_version("others", json.dumps(DEFINITION), reason="r", now=timezone.now()).machine
    run(other, "elsewhere", 9000)
    acts.pause(Execution.objects.get(name="elsewhere"), olga, reason="r", now=timezone.now())
    client = sign_in(olga)
    assert names_of(client) == {"asks", "bad", "elsewhere"}
    assert names_of(client, machine="refunds") == {"asks", "bad"}
    assert names_of(client, how="RUNNING") == {"asks", "elsewhere"}
    assert names_of(client, how="broken") == {"bad"}
    assert names_of(client, how="paused") == {"elsewhere"}
    assert names_of(client, machine="refunds", at="Ask") == {"asks"}
    assert names_of(client, machine="refunds", at="As") == set()
    assert names_of(client, q="cus_1A") == {"asks"}
    assert names_of(client, q="bad") == {"bad"}
    assert names_of(client, error__icontains="Declined") == {"bad"}
    assert names_of(client, within="1") == {"asks", "bad", "elsewhere"}


def test_who_may_not_see_executions_sees_none(machine):
    execution = run(machine, "asks", 9000)
    client = member("view_statemachine")
    for name, args in (("changelist", []), ("change", [execution.pk]), ("live", [execution.pk])):
        assert client.get(reverse(f"admin:ops_execution_{name}", args=args)).status_code == 403
    shown = page(client, "ops_statemachine_change", machine.pk)
    assert "You may not see executions" in shown
    assert "asks" not in re.sub(r"<svg.*?</svg>", "", shown, flags=re.S)


# --- one execution ---


def test_its_page_shows_what_ran_what_it_waits_for_and_its_calls(olga, machine):
    execution = run(machine, "asks", 9000)
    shown = page(sign_in(olga), "ops_execution_change", execution.pk)
    assert "Ask (Task), Here now" in shown
    assert "It waits for an answer from outside to sqs:sendMessage.waitForTaskToken." in shown
    assert "refunds:asks:1" in shown
    assert reverse("admin:ops_execution_act", args=[execution.pk, "answer-1"]) in shown


def test_of_one_that_failed_it_says_where_and_why(olga, machine):
    shown = page(sign_in(olga), "ops_execution_change", failed(machine).pk)
    assert "It failed in “Refund”" in shown
    assert "Stripe.Declined\nno money" in shown
    assert "Refund (Task), Failed" in shown
    assert "Stop" not in re.findall(r'<a class="back[^"]*" href="[^"]*">([^<]*)</a>', shown)


def test_while_it_runs_only_what_is_new_is_sent(olga, machine):
    execution = run(machine, "asks", 9000)
    client = sign_in(olga)
    shown = page(client, "ops_execution_live", execution.pk)
    found = re.search(r'hx-get="([^"]+)"', shown)
    assert found
    again = found[1].replace("&amp;", "&")
    assert client.get(again).status_code == 204
    acts.pause(execution, olga, reason="wait", now=timezone.now())
    changed = client.get(again)
    assert changed.status_code == 200
    assert "It is paused" in changed.content.decode()
    acts.stop(execution, olga, reason="enough", now=timezone.now())
    assert "hx-get" not in client.get(again).content.decode()


def test_a_long_history_comes_in_pages_and_large_data_alone(olga, machine):
    execution = failed(machine)
    rows = [
        HistoryEvent(execution=execution, number=100 + n, previous=1, type="PassStateEntered", name=f"P{n}", at=NOW)
        for n in range(350)
    ]
    rows[0].details = {"input": "x" * 40_000}
    HistoryEvent.objects.bulk_create(rows)
    client = sign_in(olga)
    first = page(client, "ops_execution_history", execution.pk)
    assert first.count("PassStateEntered") < 200
    assert "x" * 1_000 not in first
    assert "39 KiB" in first
    assert "P349" in page(client, "ops_execution_history", execution.pk, after=300)
    assert "x" * 40_000 in page(client, "ops_execution_event", execution.pk, 100)
    steps = page(client, "ops_execution_change", execution.pk, steps=2)
    assert "x" * 1_000 not in steps
    assert "Page 2 of 8" in steps


NOW = timezone.now()


def test_one_that_runs_on_aws_has_the_acts_that_aws_has(olga, machine):
    execution = run(machine, "asks", 9000)
    arn = "arn:aws:states:eu-west-1:111122223333:execution:refunds:asks"
    Execution.objects.filter(pk=execution.pk).update(arn=arn)
    client = sign_in(olga)
    shown = page(client, "ops_execution_change", execution.pk)
    assert arn in shown
    assert reverse("admin:ops_execution_act", args=[execution.pk, "stop"]) in shown
    assert reverse("admin:ops_execution_act", args=[execution.pk, "pause"]) not in shown
    assert names_of(client, place="aws") == {"asks"}
    assert names_of(client, place="here") == set()


# --- acts ---


# an act, what it is given, how the execution stands after it, and what is written down
@pytest.mark.parametrize(
    ("name", "fields", "status", "written"),
    [
        ("redrive", {}, Status.RUNNING, "execution:redrive"),
        ("result", {"result": '{"refund": "re_by_hand"}'}, Status.RUNNING, "execution:give-result"),
        ("skip", {}, Status.RUNNING, "execution:skip"),
    ],
)
def test_one_that_failed_is_repaired_with_who_and_why(olga, machine, name, fields, status, written):
    execution = failed(machine)
    act(olga, execution, name, **fields)
    engine.advance_due(Clock(timezone.now()), budget_seconds=20, make=World(Done({"refund": "re_2"})))
    execution.refresh_from_db()
    assert (execution.status, execution.standing) == (status, "Rest")
    entry = StaffAct.objects.get(act=written)
    assert (entry.actor, entry.reason, entry.subject_id) == (olga, "the bank is awake", "refunds:bad")
    given = HistoryEvent.objects.get(execution=execution, type="WaitStateEntered").details["input"]
    refunds = {"redrive": {"refund": "re_2"}, "result": {"refund": "re_by_hand"}, "skip": None}
    assert given.get("refund") == refunds[name]


def test_a_skipped_state_at_the_end_ends_the_execution_well(olga):
    states = {"Refund": {"Type": "Task", "Resource": REFUND, "End": True}}
    text = json.dumps({"StartAt": "Refund", "States": states})
    execution = failed(save_version("last", text, reason="r", now=timezone.now()).machine)
    act(olga, execution, "skip")
    execution.refresh_from_db()
    assert (execution.status, execution.output, execution.error) == (Status.SUCCEEDED, {"amount": 100}, "")
    assert execution.history.order_by("-number")[0].type == "ExecutionSucceeded"


def test_one_that_runs_is_paused_resumed_and_stopped(olga, machine):
    execution = run(machine, "asks", 9000)
    for name in ("pause", "resume", "stop"):
        act(olga, execution, name)
    execution.refresh_from_db()
    assert execution.status == Status.ABORTED
    written = list(StaffAct.objects.order_by("pk").values_list("act", flat=True))
    assert written == ["execution:pause", "execution:resume", "execution:stop"]


def test_a_call_that_waits_for_somebody_is_answered_in_their_place_once(olga, machine):
    execution = run(machine, "asks", 9000)
    act(olga, execution, "answer-1", result='{"approved": true, "amount": 9000}')
    again = act(olga, execution, "answer-1", result="{}")
    assert "Nobody waits for an answer to this call any more." in again.content.decode()
    engine.advance_due(Clock(timezone.now()), budget_seconds=20, make=World(Done({"refund": "re_1"})))
    execution.refresh_from_db()
    assert execution.standing == "Rest"
    assert StaffAct.objects.filter(act="execution:answer").count() == 1


@pytest.mark.parametrize("name", ["redrive", "skip", "result"])
def test_who_saw_another_state_fail_repairs_nothing(olga, machine, name):
    execution = failed(machine)
    opened = sign_in(olga).get(reverse("admin:ops_execution_act", args=[execution.pk, name]))
    seen = re.search(r'name="events" value="(\d+)"', opened.content.decode())
    assert seen
    acts.redrive(execution, olga, reason="by somebody else", now=timezone.now())
    engine.advance_due(Clock(timezone.now()), budget_seconds=20, make=World(Refused("Stripe.Declined: again")))
    execution.refresh_from_db()
    assert execution.status == Status.FAILED
    answer = act(olga, execution, name, events=seen[1], result="{}")
    assert "has gone on since you opened this page" in answer.content.decode()
    assert StaffAct.objects.count() == 1


def test_starting_again_pressed_twice_starts_one(olga, machine):
    execution = failed(machine)
    for _ in range(2):
        act(olga, execution, "again", name="bad-again-1")
    other = Execution.objects.exclude(pk=execution.pk).get()
    assert (other.name, other.input, other.machine_id) == ("bad-again-1", {"amount": 100}, machine.pk)


# what is wrong with an act, and what is said; nothing is done
@pytest.mark.parametrize(
    ("name", "fields", "said"),
    [
        ("redrive", {"reason": ""}, "Say in a few words why"),
        ("result", {"result": "{"}, "This is not JSON"),
        ("stop", {}, "this cannot be done with it"),
    ],
)
def test_an_act_that_cannot_be_done_says_why_and_does_nothing(olga, machine, name, fields, said):
    execution = failed(machine)
    before = execution.events
    answer = act(olga, execution, name, **fields)
    assert said in answer.content.decode()
    execution.refresh_from_db()
    assert execution.events == before
    assert not StaffAct.objects.exists()


def test_the_page_of_an_act_opened_by_address_says_that_it_cannot_be_done_now(olga, machine):
    run(machine, "rests", 100)
    execution = Execution.objects.get()
    for name in ("redrive", "skip", "result", "again"):
        opened = sign_in(olga).get(reverse("admin:ops_execution_act", args=[execution.pk, name]), follow=True)
        assert opened.redirect_chain == [(reverse("admin:ops_execution_change", args=[execution.pk]), 302)]
        assert "The execution is running: this cannot be done with it." in opened.content.decode()
        assert "It ended in" not in opened.content.decode()
    assert "It ended in" not in act(olga, execution, "redrive").content.decode()


def test_who_may_only_look_finds_no_buttons_and_can_do_nothing(machine):
    execution = failed(machine)
    client = member("view_execution", "view_statemachine")
    shown = page(client, "ops_execution_change", execution.pk)
    assert "Redrive" not in shown
    for name in ("redrive", "skip", "result", "stop", "again"):
        address = reverse("admin:ops_execution_act", args=[execution.pk, name])
        assert client.post(address, {"reason": "me"}).status_code == 403
    assert client.post(reverse("admin:ops_statemachine_edit", args=[machine.pk]), {}).status_code == 403
    execution.refresh_from_db()
    assert execution.status == Status.FAILED


# --- approvals ---


def test_what_a_workflow_asks_is_decided_once_with_who_and_why(olga):
    approval = make_approval(timezone.now())
    client = sign_in(olga)
    assert "Approve · ¥9,000" in page(client, "ops_approval_change", approval.pk)
    address = reverse("admin:ops_approval_answer", args=[approval.pk, "approve"])
    assert "Say in a few words why" in client.post(address, {"reason": ""}).content.decode()
    client.post(address, {"reason": "They paid twice."})
    approval.refresh_from_db()
    assert (approval.decision, approval.decided_by, approval.reason) == ("approved", olga, "They paid twice.")
    assert approval.call.answer["result"]["approved"] is True
    refuse = reverse("admin:ops_approval_answer", args=[approval.pk, "refuse"])
    assert "has answered meanwhile" in client.post(refuse, {"reason": "No."}).content.decode()
    shown = page(client, "ops_execution_change", approval.call.execution_id)
    assert "Refund the second payment?" in shown
    assert "answer-1" not in shown


def test_who_may_only_look_at_approvals_decides_nothing():
    approval = make_approval(timezone.now())
    client = member("view_approval")
    assert "Approve" not in re.findall(r"<a[^>]*>([^<]*)</a>", page(client, "ops_approval_change", approval.pk))
    address = reverse("admin:ops_approval_answer", args=[approval.pk, "approve"])
    assert client.post(address, {"reason": "me"}).status_code == 403
    approval.refresh_from_db()
    assert approval.decision == ""


# --- written ---


def typed(definition: Any, **fields: Any) -> dict[str, Any]:
    text = definition if isinstance(definition, str) else json.dumps(definition, indent=2)
    return {"definition": text, "notes": "", "percent": "100", "reason": "Support asked for it."} | fields


def test_a_new_version_is_tried_on_a_part_of_new_executions(olga, machine):
    client, address = sign_in(olga), reverse("admin:ops_statemachine_edit", args=[machine.pk])
    changed = {**DEFINITION, "Comment": "asks earlier"}
    client.post(address, typed(changed, percent="10", seen_version="1"))
    machine.refresh_from_db()
    assert machine.current and machine.tried
    assert (machine.current.number, machine.tried.number, machine.tried_percent) == (1, 2, 10)
    assert machine.tried.changed_by == olga
    entry = StaffAct.objects.get(act="state-machine:change")
    assert entry.after == {"version": 1, "tried": 2, "percent": 10}
    share = reverse("admin:ops_statemachine_share", args=[machine.pk, 2])
    client.post(share, {"percent": "100", "reason": "it holds"})
    machine.refresh_from_db()
    assert (machine.current.number, machine.tried) == (2, None)
    shown = page(client, "ops_statemachine_versions", machine.pk)
    assert "asks earlier" in shown


def test_a_version_s_share_can_be_ended(olga, machine):
    second = save_version("refunds", json.dumps(DEFINITION), reason="r", now=timezone.now(), percent=20)
    set_share(machine, second, 0, reason="it fails", now=timezone.now(), actor=olga)
    machine.refresh_from_db()
    assert machine.current
    assert (machine.current.number, machine.tried, machine.tried_percent) == (1, None, 0)


def test_a_flaw_is_told_at_its_line_and_nothing_typed_is_lost(olga, machine):
    wrong = {**DEFINITION, "States": {**DEFINITION["States"], "Rest": {"Type": "Wait", "Seconds": 60, "Next": "Gone"}}}
    fields = typed(wrong, reason="typed with care")
    answer = sign_in(olga).post(reverse("admin:ops_statemachine_edit", args=[machine.pk]), fields)
    shown = answer.content.decode()
    assert answer.status_code == 422
    line = next(number for number, text in enumerate(fields["definition"].splitlines(), 1) if "Gone" in text)
    assert f"Line {line}" in shown
    assert "/States/Rest/Next" in shown
    assert "typed with care" in shown
    assert machine.versions.count() == 1


def test_two_people_do_not_write_over_each_other(olga, machine):
    fields = typed({**DEFINITION, "Comment": "mine"}, seen_version="1")
    save_version("refunds", json.dumps(DEFINITION), reason="theirs", now=timezone.now())
    answer = sign_in(olga).post(reverse("admin:ops_statemachine_edit", args=[machine.pk]), fields)
    assert "Somebody else has saved a version" in answer.content.decode()
    assert machine.versions.count() == 2


def test_a_new_machine_does_not_take_another_s_name(olga, machine):
    answer = sign_in(olga).post(reverse("admin:ops_statemachine_add"), typed(DEFINITION, name="refunds"))
    assert "There is a state machine of this name" in answer.content.decode()
    sign_in(olga).post(reverse("admin:ops_statemachine_add"), typed(DEFINITION, name="refunds-2"))
    assert StateMachine.objects.get(name="refunds-2").current


# what is typed, and what is said at once
@pytest.mark.parametrize(
    ("text", "said"),
    [("{", "not JSON"), ("[]", "must be a JSON object"), (json.dumps(DEFINITION), "A definition with 4 states.")],
)
def test_a_definition_is_checked_while_it_is_typed(olga, text, said):
    answer = sign_in(olga).post(reverse("admin:ops_statemachine_check"), {"definition": text})
    assert said in answer.content.decode()


# --- tried ---


def test_a_dry_run_describes_what_it_would_call_and_does_nothing(olga, machine):
    address = reverse("admin:ops_statemachine_try_all", args=[machine.pk])
    shown = sign_in(olga).post(address, {"input": '{"amount": 100}', "answers": ""}).content.decode()
    assert "refund-invoice" in shown
    assert "input would be refused" in shown  # it says what the real call would
    assert "It would fail" in shown
    answers = '{"Refund": {"Return": {"refund": "re_9"}}}'
    shown = sign_in(olga).post(address, {"input": '{"amount": 9000}', "answers": answers}).content.decode()
    assert "It would succeed" in shown
    assert "Rest (Wait), Done" in shown
    assert "re_9" in shown
    assert not Execution.objects.exists()
    assert not Finding.objects.exists()


def test_one_state_is_tried_alone(olga, machine):
    address = reverse("admin:ops_statemachine_try_state", args=[machine.pk])
    fields = {"input": '{"amount": 9000}', "answers": "", "state": "Large?"}
    shown = sign_in(olga).post(address, fields).content.decode()
    assert "The state succeeds" in shown
    assert "Next: Ask" in shown
    fields = {"input": "{}", "answers": '{"Refund": {"Throw": {"Error": "Stripe.Declined"}}}', "state": "Refund"}
    assert "Stripe.Declined" in sign_in(olga).post(address, fields).content.decode()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"input": "{", "answers": ""}, "This is not JSON"),
        ({"input": "", "answers": ""}, "Write JSON"),
        ({"input": "{}", "answers": "[]"}, "Write a JSON object"),
        ({"input": "{}", "answers": '{"Refund": {}}'}, "must say Return or Throw"),
        ({"input": "{}", "answers": '{"Refund": 3}'}, "must say Return or Throw"),
    ],
)
def test_what_cannot_be_tried_says_why(olga, machine, fields, said):
    address = reverse("admin:ops_statemachine_try_all", args=[machine.pk])
    assert said in sign_in(olga).post(address, fields).content.decode()


def test_an_event_of_the_past_gives_the_input_to_who_may_see_events(olga, machine):
    event = make_event(timezone.now(), type="invoice.paid", object_id="in_1Paid")
    shown = page(sign_in(olga), "ops_statemachine_try", machine.pk, event=event.pk)
    assert "in_1Paid" in shown
    hidden = page(member("view_statemachine"), "ops_statemachine_try", machine.pk, event=event.pk)
    assert "in_1Paid" not in hidden
