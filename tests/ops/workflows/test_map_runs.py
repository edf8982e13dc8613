"""Distributed Maps: children are executions of their own, counted once, ended together, bounded in what may fail."""

import json
from datetime import UTC, datetime, timedelta

import boto3
import pytest

from ops.effects import aws as aws_calls
from ops.effects.outcome import Done, Refused
from ops.workflows import acts, engine
from ops.workflows.asl.reading import items_in
from ops.workflows.models import CallState, Execution, MapRun, Status, TaskCall
from ops.workflows.start import start
from tests.ops.workflows.moving import Clock, finish, machine_of

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CALL = "arn:aws:states:local:000000000000:activity:refund-invoice"
DISTRIBUTED = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}

pytestmark = pytest.mark.django_db


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


def call(**more):
    return {"Call": {"Type": "Task", "Resource": CALL, "End": True, **more}}


def map_of(states, **more):
    processor = {"StartAt": next(iter(states)), "States": states, "ProcessorConfig": DISTRIBUTED}
    return machine_of(Each={"Type": "Map", "ItemProcessor": processor, "End": True, **more})


def doubled(made, *, now):
    return Done(made.arguments * 2)


def odd_ones_fail(made, *, now):
    return Refused("Odd: it is odd") if made.arguments % 2 else Done(made.arguments)


def ended(execution: Execution) -> Execution:
    execution.refresh_from_db()
    return execution


def test_outputs_stand_in_the_order_of_the_items(clock):
    parent = start(map_of(call()), "p", list(range(25)), now=NOW)
    finish(clock, make=doubled)
    assert ended(parent).output == [2 * number for number in range(25)]
    children = Execution.objects.exclude(pk=parent.pk)
    assert children.count() == 25
    told = list(children[0].history.order_by("number").values_list("type", flat=True))
    assert (told[0], told[-1]) == ("ExecutionStarted", "ExecutionSucceeded")
    told = list(parent.history.order_by("number").values_list("type", flat=True))
    assert told == [
        "ExecutionStarted",
        "MapStateEntered",
        "MapStateStarted",
        "MapRunStarted",
        "MapRunSucceeded",
        "MapStateSucceeded",
        "MapStateExited",
        "ExecutionSucceeded",
    ]


def test_no_more_run_at_once_than_may(clock):
    rest = {"Rest": {"Type": "Wait", "Seconds": 60, "End": True}}
    parent = start(map_of(rest, MaxConcurrency=4), "p", list(range(10)), now=NOW)
    for started in (4, 8, 10):
        engine.advance_due(clock, budget_seconds=10)
        assert Execution.objects.exclude(pk=parent.pk).count() == started
        assert Execution.objects.exclude(pk=parent.pk).filter(status=Status.RUNNING).count() <= 4
        clock.now += timedelta(seconds=60)
    finish(clock)
    assert ended(parent).status == Status.SUCCEEDED


@pytest.mark.parametrize(
    ("tolerated", "status"),
    [
        ({}, Status.FAILED),
        ({"ToleratedFailureCount": 4}, Status.FAILED),
        ({"ToleratedFailureCount": 5}, Status.SUCCEEDED),
        ({"ToleratedFailurePercentage": 49}, Status.FAILED),
        ({"ToleratedFailurePercentage": 50}, Status.SUCCEEDED),
        ({"ToleratedFailureCount": 1, "ToleratedFailurePercentage": 100}, Status.FAILED),
    ],
)
def test_so_many_may_fail(tolerated, status, clock):
    parent = start(map_of(call(), **tolerated), "p", list(range(10)), now=NOW)
    finish(clock, make=odd_ones_fail)
    assert ended(parent).status == status
    if status == Status.FAILED:
        assert parent.error == "States.ExceedToleratedFailureThreshold"
        assert parent.history.filter(type="MapRunFailed").count() == 1
    else:
        assert parent.output[:2] == [0, {"Error": "Odd", "Cause": "it is odd"}]


def test_when_too_many_fail_the_others_are_stopped(clock):
    states = {
        "Which": {
            "Type": "Choice",
            "Choices": [{"Variable": "$", "NumericEquals": 3, "Next": "No"}],
            "Default": "Rest",
        },
        "No": {"Type": "Fail", "Error": "No"},
        "Rest": {"Type": "Wait", "Seconds": 3600, "End": True},
    }
    catch = [{"ErrorEquals": ["States.ExceedToleratedFailureThreshold"], "Next": "Long"}]
    processor = {"StartAt": "Which", "States": states, "ProcessorConfig": DISTRIBUTED}
    each = {"Type": "Map", "ItemProcessor": processor, "End": True, "Catch": catch}
    parent = start(
        machine_of(Each=each, Long={"Type": "Wait", "Seconds": 9, "End": True}), "p", list(range(6)), now=NOW
    )
    engine.advance_due(clock, budget_seconds=10)
    engine.advance_due(clock, budget_seconds=10)
    below = Execution.objects.exclude(pk=parent.pk)
    assert below.filter(status=Status.ABORTED).count() == 5
    assert ended(parent).status == Status.RUNNING


def test_stopped_it_takes_its_children_along(clock, django_user_model):
    olga = django_user_model.objects.create(email="olga@example.com")
    rest = {"Rest": {"Type": "Wait", "Seconds": 3600, "End": True}}
    parent = start(map_of(rest, MaxConcurrency=3), "p", list(range(9)), now=NOW)
    engine.advance_due(clock, budget_seconds=10)
    acts.stop(parent, olga, reason="a test", now=NOW)
    engine.advance_due(clock, budget_seconds=10)
    below = Execution.objects.exclude(pk=parent.pk)
    assert (below.count(), below.filter(status=Status.ABORTED).count()) == (3, 3)


def test_a_step_of_a_child_rewrites_nothing_of_its_parent(clock):
    rest = {"Rest": {"Type": "Wait", "Seconds": 60, "End": True}}
    parent = start(map_of(rest), "p", list(range(300)), now=NOW)
    engine.advance_due(clock, budget_seconds=10)
    parent.refresh_from_db()
    assert len(parent.walkers) == 1
    assert len(json.dumps(parent.walkers[0]["gathering"])) < 1_000


def test_the_call_made_again_begins_nothing_twice(clock):
    parent = start(map_of({"Rest": {"Type": "Wait", "Seconds": 60, "End": True}}), "p", [1, 2], now=NOW)
    engine.advance_due(clock, budget_seconds=10)
    TaskCall.objects.update(state=CallState.DUE, due_at=NOW)
    engine.advance_due(clock, budget_seconds=10)
    assert Execution.objects.exclude(pk=parent.pk).count() == 2
    finish(clock)
    assert ended(parent).output == [1, 2]
    run = MapRun.objects.get()
    assert (run.total, run.started, run.succeeded, run.failed) == (2, 2, 2, 0)


# --- reading and writing ---


@pytest.fixture
def bucket(aws):
    s3 = boto3.client("s3", region_name="us-east-1")
    s3.create_bucket(Bucket="kessai-maps")
    yield s3
    for found in s3.list_objects_v2(Bucket="kessai-maps").get("Contents", []):
        s3.delete_object(Bucket="kessai-maps", Key=found["Key"])
    s3.delete_bucket(Bucket="kessai-maps")
    aws_calls.made.cache_clear()


def test_items_are_read_from_s3_and_results_written_there(bucket, clock):
    bucket.put_object(Bucket="kessai-maps", Key="in.csv", Body=b"id,amount\nin_1,100\nin_2,200\nin_3,300\n")
    reader = {
        "Resource": "arn:aws:states:::s3:getObject",
        "ReaderConfig": {"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW", "MaxItems": 2},
        "Parameters": {"Bucket": "kessai-maps", "Key.$": "$.key"},
    }
    writer = {
        "Resource": "arn:aws:states:::s3:putObject",
        "Parameters": {"Bucket": "kessai-maps", "Prefix": "out"},
    }
    passed = {"Pass": {"Type": "Pass", "End": True}}
    parent = start(map_of(passed, ItemReader=reader, ResultWriter=writer), "p", {"key": "in.csv"}, now=NOW)
    finish(clock)
    assert ended(parent).status == Status.SUCCEEDED, parent.cause
    where = parent.output["ResultWriterDetails"]
    manifest = json.loads(bucket.get_object(Bucket=where["Bucket"], Key=where["Key"])["Body"].read())
    (file,) = manifest["ResultFiles"]["SUCCEEDED"]
    results = json.loads(bucket.get_object(Bucket="kessai-maps", Key=file["Key"])["Body"].read())
    assert [json.loads(each["Output"]) for each in results] == [
        {"id": "in_1", "amount": "100"},
        {"id": "in_2", "amount": "200"},
    ]


def test_the_objects_of_a_bucket_are_items(bucket, clock):
    for number in range(3):
        bucket.put_object(Bucket="kessai-maps", Key=f"part/{number}", Body=b"x")
    reader = {
        "Resource": "arn:aws:states:::s3:listObjectsV2",
        "Parameters": {"Bucket": "kessai-maps", "Prefix": "part/"},
    }
    take_key = {"Pass": {"Type": "Pass", "OutputPath": "$.Key", "End": True}}
    parent = start(map_of(take_key, ItemReader=reader), "p", {}, now=NOW)
    finish(clock)
    assert ended(parent).output == ["part/0", "part/1", "part/2"]


@pytest.mark.parametrize(
    ("config", "text", "items"),
    [
        ({"InputType": "JSON"}, "[1, 2, 3]", [1, 2]),
        ({"InputType": "JSONL"}, '{"a": 1}\n\n{"a": 2}\n', [{"a": 1}, {"a": 2}]),
        (
            {"InputType": "CSV", "CSVHeaderLocation": "GIVEN", "CSVHeaders": ["a", "b"]},
            'x,"y,z"\n',
            [{"a": "x", "b": "y,z"}],
        ),
        ({"InputType": "CSV", "CSVDelimiter": "TAB"}, "a\tb\n1\n", [{"a": "1", "b": ""}]),
    ],
)
def test_a_file_is_read_as_its_type_says(config, text, items):
    assert items_in({"Body": text}, config, most=2) == items
