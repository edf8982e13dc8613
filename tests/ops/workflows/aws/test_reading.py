"""Executions on AWS as they are read: redriven, lost, children of Maps; AWS asked seldom, and left in peace."""

from datetime import timedelta

import pytest

from ops.workflows.aws import executions
from ops.workflows.aws.following import follow
from ops.workflows.aws.models import DeployedMachine, ExecutionOnAws, MapRunOnAws
from ops.workflows.aws.pace import AT_ONCE, CALLS_A_SECOND, Allowance, Tally, rest_after
from ops.workflows.aws.redrives import reopen
from ops.workflows.models import Execution, Status
from tests.ops.workflows.aws.here import HERE
from tests.ops.workflows.aws.played import BEGAN, Refusal, Stage, TimedOut, deployed_of, on
from tests.ops.workflows.moving import Clock, machine_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def stage(monkeypatch) -> Stage:
    stage = on(monkeypatch, Stage())
    assert isinstance(stage, Stage)
    return stage


@pytest.fixture
def machine(stage):
    machine = machine_of(Pay={"Type": "Succeed"})
    deployed_of(machine)
    return machine


@pytest.fixture
def clock():
    return Clock(BEGAN + timedelta(minutes=1))


def read(clock, **more):
    clock.now += timedelta(minutes=1)
    return executions.read_all(clock, allowance=Allowance(sleep=lambda _: None, **more))


def one():
    return Execution.objects.select_related("on_aws").get()


def test_one_that_is_redriven_there_is_followed_again_to_its_end(stage, machine, clock):
    arn = stage.add(machine.name, "pay")
    stage.begin(arn)
    stage.fail(arn)
    read(clock)
    assert (one().status, one().error, one().standing) == (Status.FAILED, "Stripe.card_declined", "Pay")
    read(clock)
    assert one().on_aws.redrive_status == "REDRIVABLE"
    stage.redrive(arn)
    assert read(clock).redriven == 1
    assert (one().status, one().redrives, one().error, one().finished_at) == (Status.RUNNING, 1, "", None)
    assert one().standing == "Pay"
    assert one().on_aws.redriven_at == stage.runs[arn]["redriveDate"]
    stage.succeed(arn)
    read(clock)
    assert (one().status, one().output, one().redrives) == (Status.SUCCEEDED, "paid", 1)
    assert one().history.filter(type="ExecutionRedriven").count() == 1


def test_one_that_was_redriven_and_failed_again_between_two_looks_is_not_missed(stage, machine, clock):
    arn = stage.add(machine.name, "pay")
    stage.begin(arn)
    stage.fail(arn)
    read(clock)
    stage.redrive(arn)
    stage.fail(arn, "Stripe.expired_card")
    read(clock)
    assert (one().status, one().error, one().redrives) == (Status.FAILED, "Stripe.expired_card", 1)


def test_what_cannot_be_redriven_any_more_is_not_asked_about(stage, machine, clock):
    arn = stage.add(machine.name, "pay")
    stage.begin(arn)
    stage.fail(arn)
    read(clock)
    clock.now += timedelta(days=14)
    stage.asked.clear()
    read(clock)
    assert stage.names() == ["ListExecutions"]


def test_of_many_that_failed_the_running_are_seen_at_once_and_the_others_take_turns(stage, machine, clock, monkeypatch):
    monkeypatch.setattr("ops.workflows.aws.redrives.MOST_ASKED", 2)
    arns = [stage.add(machine.name, f"pay-{number}") for number in range(5)]
    for arn in arns:
        stage.begin(arn)
        stage.fail(arn)
    read(clock)
    stage.redrive(arns[4])
    read(clock)
    assert Execution.objects.get(arn=arns[4]).status == Status.RUNNING
    asked = []
    for _ in range(3):
        stage.asked.clear()
        read(clock)
        asked.append([given["executionArn"][-5:] for name, given in stage.asked if name == "DescribeExecution"])
    assert {each for turn in asked for each in turn} == {f"pay-{number}" for number in range(4)}
    assert all(len(turn) == 2 for turn in asked)


def test_one_that_aws_has_no_more_holds_up_no_other(stage, machine, clock):
    gone, lives = stage.add(machine.name, "gone"), stage.add(machine.name, "lives")
    stage.begin(gone)
    stage.begin(lives)
    read(clock)
    del stage.events[gone], stage.runs[gone]
    stage.succeed(lives)
    read(clock)
    lost = Execution.objects.get(arn=gone)
    assert (lost.status, lost.error, lost.finished_at) == (Status.ABORTED, "ExecutionDoesNotExist", clock.now)
    assert Execution.objects.get(arn=lives).status == Status.SUCCEEDED
    stage.asked.clear()
    read(clock)
    assert stage.names() == ["ListExecutions"]


def test_the_definition_of_a_published_version_is_asked_for_once(stage, machine, clock):
    stage.definition = {"StartAt": "Pay", "States": {"Pay": {"Type": "Succeed"}}}
    for number in range(3):
        stage.add(machine.name, f"pay-{number}", stateMachineVersionArn=f"{HERE.machine(machine.name)}:1")
    read(clock)
    assert Execution.objects.filter(version=machine.current).count() == 3
    assert stage.names().count("DescribeStateMachineForExecution") == 1


def test_one_execution_tells_the_definition_of_all_since_the_machine_was_updated(stage, machine, clock):
    """Executions that were started without the alias bear no version."""
    for number in range(-2, 4):  # the machine was updated when the one with number 0 began
        stage.add(machine.name, f"pay-{number}", startDate=BEGAN + timedelta(seconds=number))
    read(clock)
    assert Execution.objects.filter(version=machine.current).count() == 6
    assert stage.names().count("DescribeStateMachineForExecution") == 4  # the latest; each that began before the update


def test_two_who_read_the_same_events_at_once_do_not_bring_an_end_back(stage, machine, clock):
    """An operator's act reads an execution while the round does."""
    arn = stage.add(machine.name, "pay")
    stage.begin(arn)
    stage.fail(arn)
    read(clock)
    slow = one()
    stage.redrive(arn)
    halfway = list(stage.events[arn])
    stage.succeed(arn)
    follow(one(), stage.states, HERE, Allowance(), Tally(), now=clock.now)
    stage.events[arn] = halfway  # what the slow one was told before
    follow(slow, stage.states, HERE, Allowance(), Tally(), now=clock.now)
    assert one().status == Status.SUCCEEDED


def test_one_that_counts_as_running_and_has_ended_stands_as_its_history_tells(stage, machine, clock):
    arn = stage.add(machine.name, "pay")
    stage.begin(arn)
    stage.fail(arn)
    read(clock)
    before = one()
    reopen(before, Tally())
    read(clock)
    after = one()
    assert (after.status, after.error, after.cause, after.finished_at) == (
        Status.FAILED, "Stripe.card_declined", "It was declined.", before.finished_at,
    )  # fmt: skip


def test_a_list_that_is_longer_than_a_round_is_gone_on_with_and_nothing_is_left_out(stage, machine, clock):
    published = f"{HERE.machine(machine.name)}:1"
    for number in range(2500):
        at = BEGAN + timedelta(milliseconds=number)
        arn = stage.add(machine.name, f"pay-{number}", stateMachineVersionArn=published, startDate=at)
        stage.tell(arn, "ExecutionStarted", key="executionStartedEventDetails", input="{}")
    read(clock, left=2)  # a page and its definition
    begun = clock.now
    read(clock, left=1)
    assert (Execution.objects.count(), DeployedMachine.objects.get().listed_until) == (2000, None)
    read(clock, left=1)
    assert Execution.objects.count() == 2500
    assert DeployedMachine.objects.get().listed_until == begun


def test_where_aws_throttles_it_is_left_in_peace_for_longer_each_time(stage, machine, clock):
    other = machine_of(Pay={"Type": "Succeed"})
    deployed_of(other)
    stage.answers["ListExecutions"] = Refusal("ThrottlingException", "Rate exceeded")
    asked = []
    for _ in range(8):
        stage.asked.clear()
        read(clock)
        asked.append(len(stage.asked))
    assert asked[0] == 1  # and not the other machine of the same place
    assert sum(asked) == 4  # after 0, 1, 3 and 7 minutes
    rows = DeployedMachine.objects.order_by("-troubles")
    assert "Rate exceeded" in rows[0].error
    stage.answers["ListExecutions"] = stage.list_executions
    clock.now += timedelta(hours=1)
    read(clock)
    assert [(row.error, row.troubles) for row in rows.all()] == [("", 0)] * 2


def test_a_time_out_is_trouble_too(stage, machine, clock):
    stage.answers["ListExecutions"] = TimedOut()
    read(clock)
    row = DeployedMachine.objects.get()
    assert ("timeout" in row.error, row.troubles, row.rests_until) == (True, 1, clock.now + rest_after(1))


def test_who_reads_a_machine_reads_it_alone(stage, machine, clock):
    assert executions.claim(DeployedMachine.objects.get(), now=clock.now)
    read(clock)
    assert stage.asked == []
    clock.now += executions.LEASE  # whoever read it has died
    read(clock)
    assert stage.names() == ["ListExecutions"]


def test_many_calls_are_made_slowly_and_none_more_than_allowed():
    slept = []
    allowance = Allowance(left=AT_ONCE + 8, sleep=slept.append)
    assert sum(allowance.take() for _ in range(AT_ONCE + 20)) == AT_ONCE + 8
    assert sum(slept) == pytest.approx(8 / CALLS_A_SECOND)


MAP = "arn:aws:states:us-east-1:123456789012:mapRun:{}/Each:0b5e"
NOTHING = dict.fromkeys(("pending", "running", "succeeded", "failed", "timedOut", "aborted", "total"), 0)


@pytest.fixture
def mapped(stage, machine):
    """An execution whose distributed Map runs, with its run's ARN; `count` says how AWS counts it."""
    arn, run = stage.add(machine.name, "bill-all"), MAP.format(machine.name)
    stage.tell(arn, "ExecutionStarted", key="executionStartedEventDetails", input="{}")
    stage.tell(arn, "MapStateEntered", key="stateEnteredEventDetails", name="Each", input="{}")
    stage.tell(arn, "MapRunStarted", key="mapRunStartedEventDetails", mapRunArn=run)
    stage.count = {**NOTHING, "resultsWritten": 0}
    stage.run_status = {"status": "RUNNING"}

    def describe(given):
        assert given == {"mapRunArn": run}
        return {
            "mapRunArn": run,
            "executionArn": arn,
            "startDate": BEGAN,
            "maxConcurrency": 10,
            "toleratedFailurePercentage": 5.0,
            "toleratedFailureCount": 0,
            "itemCounts": stage.count,
            "executionCounts": stage.count,
            "redriveCount": 0,
            **stage.run_status,
        }

    stage.answers["DescribeMapRun"] = describe
    return arn, run


def test_a_map_run_is_counted_and_its_children_are_read_with_their_histories(stage, machine, mapped, clock):
    arn, run = mapped
    failed, done = stage.add(machine.name, "c-1", map_run=run), stage.add(machine.name, "c-2", map_run=run)
    for child in (failed, done):
        stage.begin(child, given='{"invoice": "in_1"}')
    stage.count |= {"running": 2, "total": 2}
    read(clock)
    row = MapRunOnAws.objects.get()
    assert (row.state_name, row.children_counts["running"], row.tolerated_percentage) == ("Each", 2, 5.0)
    assert row.execution.arn == arn
    stage.fail(failed)
    stage.succeed(done)
    stage.count |= {"running": 0, "failed": 1, "succeeded": 1}
    stage.run_status = {"status": "FAILED", "stopDate": BEGAN + timedelta(minutes=5)}
    read(clock)
    child = Execution.objects.get(arn=failed)
    assert (child.status, child.error, child.input) == (Status.FAILED, "Stripe.card_declined", {"invoice": "in_1"})
    assert child.on_aws.map_run == row
    assert Execution.objects.get(arn=done).output == "paid"
    row.refresh_from_db()
    assert (row.status, row.is_read, row.children_counts["failed"]) == ("FAILED", True, 1)
    stage.fail(arn)
    read(clock)
    stage.asked.clear()
    read(clock)
    assert set(stage.names()) == {"ListExecutions", "DescribeExecution"}  # nothing of the run is asked again


def test_of_a_run_with_many_children_those_that_failed_are_kept_first(stage, machine, mapped, clock, monkeypatch):
    monkeypatch.setattr("ops.workflows.aws.map_runs.MOST_BROKEN", 3)
    monkeypatch.setattr("ops.workflows.aws.map_runs.MOST_OTHERS", 2)
    _arn, run = mapped
    for number in range(20):
        child = stage.add(machine.name, f"c-{number}", map_run=run)
        stage.begin(child)
        (stage.fail if number % 4 == 0 else stage.succeed)(child)
    stage.count |= {"failed": 5, "succeeded": 15, "total": 20}
    stage.run_status = {"status": "FAILED", "stopDate": BEGAN}
    read(clock)
    children = Execution.objects.filter(on_aws__map_run__arn=run)
    assert sorted(children.values_list("status", flat=True)) == ["FAILED"] * 3 + ["SUCCEEDED"] * 2
    assert MapRunOnAws.objects.get().is_read


def test_a_run_that_is_redriven_is_read_again_with_its_children(stage, machine, mapped, clock):
    arn, run = mapped
    child = stage.add(machine.name, "c-1", map_run=run)
    stage.begin(child)
    stage.fail(child)
    stage.count |= {"failed": 1, "total": 1}
    stage.run_status = {"status": "FAILED", "stopDate": BEGAN}
    stage.fail(arn)
    read(clock)
    assert MapRunOnAws.objects.get().is_read
    stage.redrive(arn)
    stage.tell(arn, "MapRunRedriven", key="mapRunRedrivenEventDetails", mapRunArn=run, redriveCount=1)
    stage.redrive(child)
    stage.succeed(child)
    stage.count |= {"failed": 0, "succeeded": 1}
    stage.run_status = {"status": "SUCCEEDED", "stopDate": BEGAN, "redriveCount": 1}
    read(clock)
    row = MapRunOnAws.objects.get()
    assert (row.status, row.redrives, row.is_read) == ("SUCCEEDED", 1, True)
    assert Execution.objects.get(arn=child).status == Status.SUCCEEDED


def test_children_of_type_express_are_only_counted(stage, machine, mapped, clock):
    listing = stage.list_executions

    def refuse(given):
        if "mapRunArn" in given:
            raise Refusal("StateMachineTypeNotSupported", "State machine type EXPRESS is not supported.")
        return listing(given)

    stage.answers["ListExecutions"] = refuse
    stage.count |= {"failed": 2, "total": 2}
    stage.run_status = {"status": "FAILED", "stopDate": BEGAN}
    read(clock)
    row = MapRunOnAws.objects.get()
    assert ("EXPRESS" in row.error, row.is_read, row.children_counts["failed"]) == (True, True, 2)
    assert ExecutionOnAws.objects.filter(map_run=row).count() == 0
    assert DeployedMachine.objects.get().error == ""
