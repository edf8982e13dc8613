"""The key of a call that a definition's Retry, or a redrive, makes again: nothing may be done twice."""

from datetime import UTC, datetime, timedelta

import pytest

from ops.effects.outcome import Done, Refused, Retry
from ops.workflows import acts
from ops.workflows.models import Execution, Status
from ops.workflows.start import start
from tests.ops.workflows.moving import Clock, World, finish, machine_of

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
REFUND = "arn:aws:states:local:000000000000:activity:refund-invoice"
NO_ANSWER = Retry("Stripe.unreachable: it did not answer", after=timedelta(minutes=10))
THRICE = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 2}]

pytestmark = pytest.mark.django_db(transaction=True)


def run(world: World, **more) -> Execution:
    refund = {"Type": "Task", "Resource": REFUND, "TimeoutSeconds": 60, "Next": "After", **more}
    execution = start(machine_of(Refund=refund, After={"Type": "Pass", "End": True}), "r", {"invoice": "in_1"}, now=NOW)
    finish(Clock(NOW), make=world)
    execution.refresh_from_db()
    return execution


def numbers(world: World) -> list[int]:
    return [int(key.rpartition(":")[2]) for key in world.keys]


def test_after_a_time_out_the_key_stays_for_the_call_may_have_been_done():
    world = World(NO_ANSWER, NO_ANSWER, Done({"id": "re_1"}))
    assert run(world, Retry=THRICE).status == Status.SUCCEEDED
    assert numbers(world) == [1, 1, 1]


def test_what_was_refused_did_nothing_and_is_called_anew():
    world = World(Refused("Stripe.card_declined: no"), Done({"id": "re_1"}))
    assert run(world, Retry=THRICE).status == Status.SUCCEEDED
    assert numbers(world) == [1, 2]


def test_refused_under_a_key_that_was_kept_it_is_called_anew():
    world = World(NO_ANSWER, Refused("Stripe.not_paid: no"), Done({"id": "re_1"}))
    assert run(world, Retry=THRICE).status == Status.SUCCEEDED
    assert numbers(world) == [1, 1, 3]


def test_a_result_that_the_state_cannot_use_is_not_made_twice():
    world = World(Done({"id": "re_1"}))
    execution = run(world, Retry=THRICE, ResultSelector={"nothing.$": "$.missing"})
    assert execution.status == Status.FAILED
    assert set(numbers(world)) == {1}


def test_given_up_by_us_it_is_tried_again_by_the_definition_under_the_same_key():
    world = World(*[Retry("Stripe.api_error: 500")] * 12, Done({"id": "re_1"}))
    assert run(world, Retry=THRICE, TimeoutSeconds=86400).status == Status.SUCCEEDED
    assert set(numbers(world)) == {1}


def test_a_redrive_keeps_the_key_of_what_is_not_known(olga):
    first, second = World(NO_ANSWER), World(Done({"id": "re_1"}))
    execution = run(first)
    assert execution.error == "States.Timeout"
    acts.redrive(execution, olga, reason="Stripe is back", now=NOW)
    finish(Clock(NOW + timedelta(hours=1)), make=second)
    execution.refresh_from_db()
    assert execution.status == Status.SUCCEEDED
    assert numbers(first) == numbers(second) == [1]


def test_a_redrive_of_what_was_refused_calls_anew(olga):
    world = World(Done({"id": "re_1"}))
    execution = run(World(Refused("Stripe.not_paid: no")))
    acts.redrive(execution, olga, reason="it is paid now", now=NOW)
    finish(Clock(NOW), make=world)
    assert numbers(world) == [2]


def test_each_visit_of_a_state_in_a_loop_has_a_key_of_its_own():
    again = {"Variable": "$.n", "NumericEquals": 2, "Next": "End"}
    machine = machine_of(
        Begin={"Type": "Pass", "Result": {"n": 0}, "Next": "Refund"},
        Refund={"Type": "Task", "Resource": REFUND, "ResultPath": None, "Next": "Count"},
        Count={"Type": "Pass", "Parameters": {"n.$": "States.MathAdd($.n, 1)"}, "Next": "Again?"},
        **{"Again?": {"Type": "Choice", "Choices": [again], "Default": "Refund"}},
        End={"Type": "Succeed"},
    )
    world = World(Done({"id": "re_1"}))
    start(machine, "r", {}, now=NOW)
    finish(Clock(NOW), make=world)
    assert numbers(world) == [1, 2]
