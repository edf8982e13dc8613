"""What operators and the outside do with executions: answer, stop, pause, redrive, give a result."""

from datetime import UTC, datetime, timedelta

import pytest

from ops.effects.outcome import Done, Refused
from ops.models import StaffAct
from ops.workflows import acts, answers, engine
from ops.workflows.answers import Answered
from ops.workflows.models import Status, TaskCall
from ops.workflows.start import start
from ops.workflows.tokens import token_of
from tests.ops.workflows.moving import Clock, World, finish, machine_of

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ASK = "arn:aws:states:::sqs:sendMessage.waitForTaskToken"
REFUND = "arn:aws:states:local:000000000000:activity:refund-invoice"

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def asking(clock):
    """An execution that waits for somebody's approval, and its token."""
    ask = {"Type": "Task", "Resource": ASK, "Parameters": {"Token.$": "$$.Task.Token"}, "Next": "Done"}
    execution = start(machine_of(Ask=ask, Done={"Type": "Succeed"}), "ask", {}, now=NOW)
    finish(clock, make=World(Done({"MessageId": "1"})))
    return execution, TaskCall.objects.get().arguments["Token"]


def test_an_answer_wakes_the_execution(clock, asking):
    execution, token = asking
    assert answers.succeed(token, {"approved": True}, now=NOW) is Answered.TAKEN
    finish(clock)
    execution.refresh_from_db()
    assert (execution.status, execution.output) == (Status.SUCCEEDED, {"approved": True})


def test_a_token_answers_once(clock, asking):
    _, token = asking
    assert answers.fail(token, "No", "not today", now=NOW) is Answered.TAKEN
    assert answers.succeed(token, {}, now=NOW) is Answered.LATE
    finish(clock)
    assert answers.succeed(token, {}, now=NOW) is Answered.LATE


@pytest.mark.parametrize("forge", [lambda token: token[:-2] + "AA", lambda _: "", lambda _: "é", lambda _: "MTox"])
def test_a_token_that_is_nobodys_is_refused(asking, forge):
    _, token = asking
    assert answers.succeed(forge(token), {}, now=NOW) is Answered.INVALID


def test_tokens_of_other_calls_are_other_tokens(asking):
    execution, token = asking
    others = {token_of(execution.pk + 1, 1), token_of(execution.pk, 2)}
    assert token not in others and len(others) == 2


def test_a_heartbeat_puts_off_the_end_of_patience(clock):
    ask = {"Type": "Task", "Resource": ASK, "Parameters": {}, "HeartbeatSeconds": 60, "TimeoutSeconds": 90, "End": True}
    execution = start(machine_of(Ask=ask), "beat", {}, now=NOW)
    engine.advance_due(clock, budget_seconds=5, make=World(Done({})))
    token = token_of(execution.pk, 1)
    assert answers.heartbeat(token, now=NOW + timedelta(seconds=50)) is Answered.TAKEN
    execution.refresh_from_db()
    assert execution.due_at == NOW + timedelta(seconds=90)  # the time-out stays
    finish(clock)
    execution.refresh_from_db()
    assert execution.finished_at == NOW + timedelta(seconds=90)


def failed_refund(clock):
    states = {
        "Note": {"Type": "Pass", "Assign": {"who": "Olga"}, "Next": "Refund"},
        "Refund": {"Type": "Task", "Resource": REFUND, "ResultPath": "$.refund", "Next": "Tell"},
        "Tell": {"Type": "Pass", "Parameters": {"refund.$": "$.refund", "who.$": "$who"}, "End": True},
    }
    execution = start(machine_of(**states), "refund", {"invoice": "in_1"}, now=NOW)
    finish(clock, make=World(Refused("Busy: the bank sleeps")))
    execution.refresh_from_db()
    assert execution.status == Status.FAILED
    return execution


def test_a_redrive_goes_on_from_the_state_that_failed(clock, olga):
    execution = failed_refund(clock)
    acts.redrive(execution, olga, reason="the bank is awake", now=NOW)
    world = World(Done("re_1"))
    finish(clock, make=world)
    execution.refresh_from_db()
    assert (execution.status, execution.output) == (Status.SUCCEEDED, {"refund": "re_1", "who": "Olga"})
    assert list(execution.history.filter(name="Note", type="PassStateEntered").values_list("number", flat=True)) == [2]
    assert len(world.keys) == 1
    assert StaffAct.objects.get().reason == "the bank is awake"


def test_a_result_given_by_hand_is_taken_for_the_states_own(clock, olga):
    execution = failed_refund(clock)
    acts.give_result(execution, "re_by_hand", olga, reason="refunded in the dashboard", now=NOW)
    finish(clock)
    execution.refresh_from_db()
    assert execution.output == {"refund": "re_by_hand", "who": "Olga"}


def test_a_stopped_execution_calls_nothing_more(clock, olga):
    refund = {"Type": "Task", "Resource": REFUND, "End": True}
    machine = machine_of(Wait={"Type": "Wait", "Seconds": 60, "Next": "Refund"}, Refund=refund)
    execution = start(machine, "stop", {}, now=NOW)
    acts.stop(execution, olga, reason="by mistake", now=NOW)
    world = World(Done(1))
    finish(clock, make=world)
    execution.refresh_from_db()
    assert (execution.status, world.keys) == (Status.ABORTED, [])
    with pytest.raises(acts.CannotAct):
        acts.stop(execution, olga, reason="again", now=NOW)


def test_a_paused_execution_rests_until_it_is_resumed(clock, olga):
    machine = machine_of(Refund={"Type": "Task", "Resource": REFUND, "End": True})
    execution = start(machine, "pause", {}, now=NOW)
    acts.pause(execution, olga, reason="wait for legal", now=NOW)
    world = World(Done(1))
    finish(clock, make=world)
    assert world.keys == []
    acts.resume(execution, olga, reason="legal agrees", now=NOW)
    finish(clock, make=world)
    execution.refresh_from_db()
    assert execution.status == Status.SUCCEEDED
