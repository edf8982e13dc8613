"""Operators act on executions that run on AWS: AWS does it, or says why not; both are written down."""

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.auth.models import Permission
from django.core.management import CommandError, call_command
from django.urls import reverse

from ops.models import StaffAct
from ops.workflows.aws import executions
from ops.workflows.aws.pace import Allowance
from ops.workflows.models import Execution, Status
from ops.workflows.start import start
from tests.cast import make_user, sign_in
from tests.ops.workflows.aws.here import HERE
from tests.ops.workflows.aws.played import BEGAN, Refusal, Stage, TimedOut, deployed_of, on
from tests.ops.workflows.aws.test_reading import MAP
from tests.ops.workflows.moving import Clock, machine_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def stage(monkeypatch):
    stage = on(monkeypatch, Stage())

    def stop(given):
        arn = given["executionArn"]
        stage.tell(
            arn, "ExecutionAborted", key="executionAbortedEventDetails", error=given["error"], cause=given["cause"]
        )
        stage.runs[arn] |= {"status": "ABORTED", "stopDate": BEGAN}
        return {"stopDate": BEGAN}

    def redrive(given):
        stage.redrive(given["executionArn"])
        return {"redriveDate": BEGAN}

    def start(given):
        if not given["stateMachineArn"].endswith(":live"):
            raise Refusal("InvalidArn")
        machine = given["stateMachineArn"].split(":")[6]
        arn = stage.add(machine, given["name"])
        stage.begin(arn, given=given["input"])
        return {"executionArn": arn, "startDate": BEGAN}

    stage.answers |= {"StopExecution": stop, "RedriveExecution": redrive, "StartExecution": start}
    return stage


@pytest.fixture
def machine(stage):
    machine = machine_of(Pay={"Type": "Succeed"})
    deployed_of(machine)
    return machine


@pytest.fixture
def running(stage, machine):
    arn = stage.add(machine.name, "pay", input='{"invoice":"in_1"}')
    stage.begin(arn, given='{"invoice":"in_1"}')
    return read(arn)


@pytest.fixture
def failed(stage, running):
    stage.fail(running.arn)
    return read(running.arn)


def read(arn):
    executions.read_all(Clock(BEGAN + timedelta(minutes=5)), allowance=Allowance(sleep=lambda _: None))
    return Execution.objects.get(arn=arn)


@pytest.fixture(autouse=True)
def today(monkeypatch):
    """It is an hour after the executions began."""
    now = BEGAN + timedelta(hours=1)
    monkeypatch.setattr("django.utils.timezone.now", lambda: now)
    return now


def page(client, row):
    return client.get(reverse("admin:ops_execution_change", args=[row.pk])).content.decode()


def act(client, row, verb, reason="Support asked for it.", **fields):
    address = reverse("admin:ops_execution_act", args=[row.pk, verb])
    return client.post(address, {"reason": reason, **fields}, follow=True).content.decode()


def acts_of():
    return list(StaffAct.objects.order_by("pk").values_list("act", "reason", "after"))


def test_a_running_one_is_stopped_there_with_the_reason(olga, running):
    client = sign_in(olga)
    assert "Stop" in page(client, running)
    shown = act(client, running, "stop")
    assert "It is stopped." in shown
    running.refresh_from_db()
    assert (running.status, running.error, running.cause) == (Status.ABORTED, "Stopped", "Support asked for it.")
    entry = StaffAct.objects.get()
    assert (entry.actor, entry.act, entry.reason) == (olga, "execution:stop", "Support asked for it.")
    assert (entry.before["status"], entry.after["arn"]) == ("RUNNING", running.arn)
    assert "Support asked for it." in page(client, running)


def test_one_that_failed_is_redriven_there_once_however_often_it_is_asked(olga, failed, stage):
    client = sign_in(olga)
    assert reverse("admin:ops_execution_act", args=[failed.pk, "redrive"]) in page(client, failed)
    act(client, failed, "redrive", "The card was changed.")
    failed.refresh_from_db()
    assert (failed.status, failed.redrives, failed.standing) == (Status.RUNNING, 1, "Pay")
    assert "this cannot be done with it" in act(client, failed, "redrive")
    [(_, given)] = [each for each in stage.asked if each[0] == "RedriveExecution"]
    assert given["clientToken"] == f"kessai-{failed.pk}-1"
    stage.succeed(failed.arn)
    assert read(failed.arn).status == Status.SUCCEEDED


def test_another_is_started_with_the_very_input_by_the_alias(olga, failed, stage):
    act(sign_in(olga), failed, "again", name="pay-again")
    begun = Execution.objects.get(name="pay-again")
    assert (begun.status, begun.input, begun.version) == (Status.RUNNING, {"invoice": "in_1"}, failed.version)
    [(_, given)] = [each for each in stage.asked if each[0] == "StartExecution"]
    assert (given["input"], given["stateMachineArn"]) == (
        '{"invoice":"in_1"}',
        f"{HERE.machine(failed.machine.name)}:live",
    )
    assert acts_of()[0][2]["execution"] == "pay-again"
    assert read(begun.arn) == begun  # and it is not listed twice


# what AWS says, and what is read of it
@pytest.mark.parametrize(
    ("refusal", "said"),
    [
        (Refusal("ExecutionNotRedrivable", "Execution redrivable period exceeded"), "Start it again instead"),
        (Refusal("ExecutionDoesNotExist", "Execution Does Not Exist"), "AWS keeps an execution for 90 days"),
        (Refusal("AccessDeniedException", "User is not authorized"), "lacks this permission"),
        (Refusal("ThrottlingException", "Rate exceeded"), "Try again in a minute"),
        (TimedOut(), "Nothing is lost: try it again"),
    ],
)
def test_what_aws_refuses_is_said_and_written_down_and_changes_nothing(olga, failed, stage, refusal, said):
    stage.answers["RedriveExecution"] = refusal
    shown = act(sign_in(olga), failed, "redrive")
    assert "AWS did not do it." in shown
    assert said in shown
    assert "Support asked for it." in shown  # nothing typed is lost
    failed.refresh_from_db()
    assert (failed.status, failed.error) == (Status.FAILED, "Stripe.card_declined")
    first, second = acts_of()
    assert first[2]["status"] == "RUNNING"
    assert "AWS did not do it." in second[2]["refused"]


def test_a_name_that_is_taken_there_is_said(olga, failed, stage):
    stage.answers["StartExecution"] = Refusal("ExecutionAlreadyExists", "Execution Already Exists: 'x'")
    assert "There is one of this name" in act(sign_in(olga), failed, "again", name="pay")
    assert Execution.objects.count() == 1


def test_a_machine_without_the_alias_starts_itself(olga, failed, stage):
    begin = stage.answers["StartExecution"]

    def start(given):
        if given["stateMachineArn"].endswith(":live"):
            raise Refusal("StateMachineDoesNotExist")
        return begin({**given, "stateMachineArn": given["stateMachineArn"] + ":live"})

    stage.answers["StartExecution"] = start
    act(sign_in(olga), failed, "again", name="pay-again")
    assert Execution.objects.filter(name="pay-again").exists()


def test_who_may_only_look_finds_no_buttons_there_either(failed, stage):
    rita = make_user("Rita", is_staff=True)
    rita.user_permissions.add(*Permission.objects.filter(codename="view_execution"))
    client = sign_in(rita)
    assert "Redrive" not in page(client, failed)
    stage.asked.clear()
    for name in ("redrive", "stop", "again"):
        address = reverse("admin:ops_execution_act", args=[failed.pk, name])
        assert client.post(address, {"reason": "me"}).status_code == 403
    assert stage.asked == []


def test_what_only_the_portal_can_do_is_not_offered_and_refused(olga, failed):
    client = sign_in(olga)
    assert "Skip the state" not in page(client, failed)
    for name in ("skip", "result"):
        assert "runs on AWS, where this cannot be done" in act(client, failed, name, result="{}")


def test_what_aws_would_not_redrive_has_no_button_and_says_why(olga, failed, stage):
    described = stage.answers["DescribeExecution"]
    reason = {"redriveStatus": "NOT_REDRIVABLE", "redriveStatusReason": "Execution history event limit exceeded"}
    stage.answers["DescribeExecution"] = lambda given: {**described(given), **reason}
    read(failed.arn)
    shown = page(sign_in(olga), failed)
    assert "Execution history event limit exceeded" in shown
    assert reverse("admin:ops_execution_act", args=[failed.pk, "redrive"]) not in shown


def test_an_item_of_a_map_run_is_redriven_with_the_execution_whose_map_it_is(olga, failed, stage):
    run = MAP.format(failed.machine.name)
    stage.tell(failed.arn, "MapRunStarted", key="mapRunStartedEventDetails", mapRunArn=run)
    child = stage.add(failed.machine.name, "c-1", map_run=run)
    stage.begin(child)
    stage.fail(child)
    counts = {**dict.fromkeys(("pending", "running", "succeeded", "timedOut", "aborted", "resultsWritten"), 0)}
    counts |= {"failed": 1, "total": 1}
    stage.answers["DescribeMapRun"] = {
        "mapRunArn": run, "executionArn": failed.arn, "status": "FAILED", "startDate": BEGAN, "stopDate": BEGAN,
        "maxConcurrency": 0, "toleratedFailurePercentage": 0.0, "toleratedFailureCount": 0, "itemCounts": counts,
        "executionCounts": counts,
    }  # fmt: skip
    Execution.objects.filter(pk=failed.pk).update(status=Status.RUNNING)
    read(failed.arn)
    row = Execution.objects.get(arn=child)
    client = sign_in(olga)
    shown = page(client, row)
    assert reverse("admin:ops_execution_change", args=[failed.pk]) in shown
    assert reverse("admin:ops_execution_act", args=[row.pk, "redrive"]) not in shown
    assert "It is an item of a Map Run" in act(client, row, "redrive")
    assert "It is an item of a Map Run" in act(client, row, "again", name="x")
    told = command("show", failed.machine.name, failed.arn)[0]
    assert [(each["state"], each["items"]["failed"]) for each in told["map_runs"]] == [("", 1)]
    parent = page(client, failed)
    assert reverse("admin:ops_execution_change", args=[row.pk]) in parent
    assert "no item may fail" in parent


def command(*arguments):
    out = StringIO()
    call_command("workflows", *arguments, "--json", stdout=out)
    return json.loads(out.getvalue())


def test_the_command_line_does_the_same(olga, failed):
    name = failed.machine.name
    told = command("redrive", name, "pay", "--reason", "The card was changed.", "--by", olga.email)
    assert told["status"] == "RUNNING"
    assert command("stop", name, failed.arn, "--reason", "Too late.")["status"] == "ABORTED"
    again = command("start-again", name, "pay", "--reason", "Once more.", "--as", "pay-2")
    assert (again["name"], again["status"]) == ("pay-2", "RUNNING")
    assert StaffAct.objects.filter(actor=olga).count() == 1
    assert [each[1] for each in acts_of()] == ["The card was changed.", "Too late.", "Once more."]


def test_the_command_line_acts_here_too_and_asks_which_is_meant(running):
    here = start(running.machine, "pay", {}, now=BEGAN)
    with pytest.raises(CommandError, match="2 are named pay: here, arn:aws:states"):
        command("stop", running.machine.name, "pay", "--reason", "r")
    command("stop", running.machine.name, "pay", "--reason", "r", "--aws")
    here.refresh_from_db()
    assert here.status == Status.RUNNING
    Execution.objects.filter(pk=running.pk).update(name="other")
    command("stop", running.machine.name, "pay", "--reason", "r")
    here.refresh_from_db()
    assert here.status == Status.ABORTED


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("redrive", "pay", "--reason", "r"), "The execution is running: this cannot be done with it. Nothing was"),
        (("stop", "never", "--reason", "r"), "has no execution named never"),
        (("stop", "pay", "--reason", " "), "Say why, with --reason"),
        (("stop", "pay", "--reason", "r", "--by", "nobody@example.com"), "No operator has the address"),
    ],
)
def test_the_command_line_says_what_cannot_be_done(running, arguments, said):
    with pytest.raises(CommandError, match=said):
        command(arguments[0], running.machine.name, *arguments[1:])
    assert not StaffAct.objects.exists()
