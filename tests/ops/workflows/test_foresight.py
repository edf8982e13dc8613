"""What an execution will do is read from its own waits: whatever its definition and its input make of them."""

from datetime import UTC, datetime, timedelta

import pytest

from accounts.models import CustomerLink
from billing.entitlements.models import Outlook
from billing.entitlements.outlook import outlooks_of
from ops.workflows import acts, engine
from ops.workflows.foresight import foretells, steps_of
from ops.workflows.models import Execution
from ops.workflows.start import Cause, start
from tests.billing.mirrored import put_in_mirror
from tests.billing.objects import open_invoice, price, product, subscription
from tests.ops.workflows.moving import Clock, machine_of

NOW = datetime(2026, 2, 10, 9, tzinfo=UTC)
DAY = timedelta(days=1)
HERE = "arn:aws:states:local:000000000000:activity:"
PATTERN = {"Pattern": {"source": ["stripe.com"], "detail-type": ["invoice.paid"]}}
SUBJECT = {"subscription": "sub_1", "invoice": "in_2"}

pytestmark = pytest.mark.django_db(transaction=True)


def task(effect: str, next_state: str, **more: object) -> dict:
    return {"Type": "Task", "Resource": HERE + effect, "Next": next_state, **more}


def machine(*, told: bool = True):
    """Wait for money, then wait some days more, let access rest, wait again, cancel."""
    timeout = [{"ErrorEquals": ["States.Timeout"], "Next": "Pause"}]
    states = {
        "Tell": task("foretell", "Money", Parameters=SUBJECT, ResultPath=None),
        "Money": task("await-event", "Done", Parameters=PATTERN, TimeoutSecondsPath="$.first", Catch=timeout),
        "Pause": {"Type": "Wait", "Seconds": 3600, "Next": "Rest"},
        "Rest": task("suspend-access", "Second", Parameters=SUBJECT),
        "Second": {"Type": "Wait", "Seconds": 86400, "Next": "Cancel"},
        "Cancel": task("cancel-subscription", "Done", Parameters={"subscription": "sub_1"}),
        "Done": {"Type": "Succeed"},
    }
    timeout[0]["ResultPath"] = None
    return machine_of(**(states if told else {name: states[name] for name in list(states)[1:]}))


def link(acme) -> None:
    put_in_mirror({"id": "cus_1", "object": "customer", "created": 1, "livemode": False})
    CustomerLink.objects.create(
        organization=acme, livemode=False, idempotency_key="k", keyed_at=NOW, customer_id="cus_1"
    )


def begin(acme, *, first: int = 86400) -> tuple[Execution, Clock]:
    link(acme)
    put_in_mirror(product(), price(), subscription(status="past_due"), open_invoice())
    clock = Clock(NOW)
    execution = start(machine(), "e", {"first": first}, now=NOW, cause=Cause("", "cus_1", 0))
    engine.advance_due(clock, budget_seconds=30)
    return execution, clock


def said(acme) -> dict[str, datetime]:
    return {step.act.value: step.at for facts in outlooks_of(acme) for step in facts.steps}


@pytest.mark.parametrize("days", [1, 2.5])
def test_the_moments_are_those_of_the_executions_waits(acme, days) -> None:
    execution, clock = begin(acme, first=int(days * 86400))
    execution.refresh_from_db()
    rest = execution.due_at + timedelta(hours=1)
    assert execution.due_at == NOW + days * DAY
    assert said(acme) == {"rest": rest, "end": rest + DAY}
    # It was late: what comes moves with it.
    clock.now = NOW + 4 * DAY
    engine.advance_due(clock, budget_seconds=30)
    assert said(acme) == {"rest": clock.now + timedelta(hours=1), "end": clock.now + timedelta(hours=1) + DAY}


def test_a_person_who_stops_or_pauses_it_silences_it(acme, alice) -> None:
    execution, clock = begin(acme)
    before = said(acme)
    acts.pause(execution, alice, reason="a call", now=NOW)
    assert (said(acme), Outlook.objects.get().held) == ({}, True)
    acts.resume(execution, alice, reason="went on", now=NOW)
    engine.advance_due(clock, budget_seconds=30)
    assert said(acme) == before
    acts.stop(execution, alice, reason="no more", now=NOW)
    assert not Outlook.objects.exists()
    acts.redrive(execution, alice, reason="again", now=NOW)
    engine.advance_due(clock, budget_seconds=30)
    assert steps_of(execution.pk, now=NOW)


def test_only_a_workflow_that_says_so_is_foreseen(acme) -> None:
    link(acme)
    quiet = machine(told=False)
    start(quiet, "q", {"first": 60}, now=NOW, cause=Cause("", "cus_1", 0))
    engine.advance_due(Clock(NOW), budget_seconds=30)
    assert not foretells(quiet.current_id)
    assert not Outlook.objects.exists()


def test_a_loop_without_an_end_is_not_foreseen_for_ever(acme) -> None:
    link(acme)
    loop = machine_of(
        Tell=task("foretell", "Nap", Parameters=SUBJECT),
        Nap={"Type": "Wait", "Seconds": 1, "Next": "Over?"},
        **{
            "Over?": {
                "Type": "Choice",
                "Choices": [{"Variable": "$.over", "IsPresent": True, "Next": "Over"}],
                "Default": "Tell",
            },
            "Over": {"Type": "Succeed"},
        },
    )
    start(loop, "l", {}, now=NOW, cause=Cause("", "cus_1", 0))
    engine.advance_due(Clock(NOW), budget_seconds=30)
    assert said(acme) == {}
