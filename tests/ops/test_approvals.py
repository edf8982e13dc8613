"""Approvals: a workflow asks, one operator answers, once; who may not, or comes too late, changes nothing."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from billing.models import InboxEvent
from ops.effects.outcome import Refused
from ops.effects.registry import Call, by_arn
from ops.models import Approval, Decision, Execution, StaffAct
from ops.remediation.approvals import CannotDecide, decide
from ops.workflows import engine
from ops.workflows.start import start
from tests.cast import make_user
from tests.ops.workflows.moving import Clock, finish, machine_of

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ARN = "arn:aws:states:local:000000000000:activity:ask-approval"
QUESTION = {"question": "Refund Acme?", "amount": 5000, "currency": "jpy", "subject": "in_1", "evidence": {"tries": 3}}

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def asked() -> Approval:
    """A workflow that waits for a day, and then goes on without an answer."""
    late = [{"ErrorEquals": ["States.Timeout"], "Next": "Late"}]
    ask = {
        "Type": "Task",
        "Resource": ARN,
        "Parameters": QUESTION,
        "TimeoutSeconds": 86_400,
        "Catch": late,
        "End": True,
    }
    machine = machine_of(Ask=ask, Late={"Type": "Pass", "Result": "nobody", "End": True})
    start(machine, "refund", {}, now=NOW)
    engine.advance_due(Clock(NOW), budget_seconds=5)
    return Approval.objects.get()


def outcome() -> Any:
    engine.advance_due(Clock(NOW + timedelta(hours=1)), budget_seconds=5)
    execution = Execution.objects.get()
    return execution.status, execution.output


def test_it_is_asked_once_with_money_and_evidence(asked) -> None:
    assert (asked.amount, asked.currency, asked.evidence, asked.until) == (
        5000, "jpy", {"tries": 3}, NOW + timedelta(days=1),
    )  # fmt: skip
    assert list(InboxEvent.objects.values_list("type", flat=True)) == ["approval.asked"]
    call = Call(key=asked.key, now=NOW, cause="machine", call_id=asked.call_id)
    by_arn(ARN).call('{"question": "Refund Acme?"}', call)
    assert Approval.objects.count() == 1
    assert outcome() == ("RUNNING", None)


@pytest.mark.parametrize(("decision", "approved"), [(Decision.APPROVED, True), (Decision.REFUSED, False)])
def test_the_answer_goes_to_the_workflow_and_into_the_record(asked, olga, decision, approved) -> None:
    decide(asked, olga, decision, reason="It was our fault.", now=NOW)
    status, output = outcome()
    assert status == "SUCCEEDED"
    assert output == {"approved": approved, "by": olga.email, "reason": "It was our fault.", "at": NOW.isoformat()}
    act = StaffAct.objects.get()
    assert (act.actor, act.reason, act.after["decision"]) == (olga, "It was our fault.", decision.value)


def test_the_second_answer_is_told_of_the_first(asked, olga) -> None:
    decide(asked, olga, Decision.APPROVED, reason="yes", now=NOW)
    with pytest.raises(CannotDecide, match="Olga has answered meanwhile: Approved"):
        decide(asked, olga, Decision.REFUSED, reason="no", now=NOW)
    assert outcome()[1]["approved"] is True
    assert StaffAct.objects.count() == 1


def test_who_may_not_decide_does_not(asked) -> None:
    with pytest.raises(CannotDecide, match="not allowed"):
        decide(asked, make_user("Sam", is_staff=True), Decision.APPROVED, reason="yes", now=NOW)
    assert outcome() == ("RUNNING", None)


def test_an_answer_that_comes_too_late_changes_nothing(asked, olga) -> None:
    finish(Clock(NOW + timedelta(days=1)))
    assert Execution.objects.get().output == "nobody"
    with pytest.raises(CannotDecide, match="Nobody waits for this answer any more"):
        decide(asked, olga, Decision.APPROVED, reason="yes", now=NOW)
    asked.refresh_from_db()
    assert (asked.decision, StaffAct.objects.count()) == ("", 0)


def test_a_rule_cannot_ask() -> None:
    refused = by_arn(ARN).call('{"question": "May I?"}', Call(key="k", now=NOW, cause="rule"))
    assert isinstance(refused, Refused) and refused.error.startswith("NoWorkflow: ")
