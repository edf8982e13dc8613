"""Objects that change without an event wake who waits for their state; what is of another account or mode does not."""

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from billing.mirror import write
from billing.mirror.gate import FAR
from billing.mirror.kinds import Ref
from billing.mirror.models import MirrorGate, SilentChange
from billing.mirror.write import Change, Snapshot
from billing.stripe_accounts import StripeAccount, by_name, primary
from ops import tasks
from ops.models import EventWait
from ops.workflows import engine
from ops.workflows.models import Status
from ops.workflows.waits import register
from tests.ops.rows import make_customer, make_event, make_invoice, make_plan, make_subscription
from tests.ops.workflows.moving import Clock
from tests.ops.workflows.waiting import begin, dispatch, invoice_paid, waiting_machine

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
PAID = {"source": ["stripe.com"], "detail": {"data": {"object": {"status": ["paid"]}}}}  # a state, whoever tells of it
JP = {"jp": {"secret_key": "sk_test_jp", "account_id": "acct_jp"}}

pytestmark = pytest.mark.django_db


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def invoice() -> str:
    """An open invoice in the mirror."""
    customer = make_customer(None, now=NOW)
    subscription = make_subscription(customer, make_plan("Team", now=NOW), now=NOW)
    return make_invoice(subscription, now=NOW, status="open").id


def advance(clock: Clock) -> None:
    engine.advance_due(clock, budget_seconds=5)


def becomes(invoice: str, status: str, *, account: StripeAccount | None = None, told: bool = False) -> Change:
    """The mirror learns how the invoice stands, as from a list of Stripe's; or from its event."""
    account, ref = account or primary(), Ref("invoice", invoice)
    data = write.stored_of([ref])[ref] | {"status": status, "livemode": account.livemode}
    snapshot = Snapshot(ref, data, FAR, FAR, told=told)
    return write.write_now([snapshot], account=account, owner_id=None, now=NOW)[ref]


def test_what_a_resync_or_a_healed_difference_changes_wakes_who_waits_for_it(invoice, clock):
    execution = begin(waiting_machine(pattern=PAID, Object=invoice), now=NOW)
    other = begin(waiting_machine(pattern=PAID, Object="in_2"), "other", now=NOW)
    advance(clock)
    assert becomes(invoice, "paid") is Change.UPDATED
    dispatch(clock)
    advance(clock)
    execution.refresh_from_db()
    other.refresh_from_db()
    assert (execution.status, other.status) == (Status.SUCCEEDED, Status.RUNNING)
    assert execution.output["detail-type"] == "mirrored"
    assert execution.output["detail"]["data"]["object"]["status"] == "paid"
    assert not SilentChange.objects.exists()


def test_it_waits_on_while_the_state_is_another(invoice, clock):
    begin(waiting_machine(pattern=PAID, Object=invoice), now=NOW)
    advance(clock)
    becomes(invoice, "void")
    dispatch(clock)
    assert EventWait.objects.count() == 1


def test_what_an_event_tells_is_left_to_the_event(invoice, clock):
    execution = begin(waiting_machine(pattern=PAID, Object=invoice), now=NOW)
    advance(clock)
    becomes(invoice, "paid", told=True)
    assert not SilentChange.objects.exists()
    event = invoice_paid(invoice, LATER)
    dispatch(clock)
    advance(clock)
    execution.refresh_from_db()
    assert execution.output["id"] == event.external_id


def test_the_sweep_finds_what_a_lost_message_left(invoice, monkeypatch):
    nudged = []
    monkeypatch.setattr(tasks, "DISPATCH", type("Nudge", (), {"soon": lambda: nudged.append(True)}))
    tasks.sweep_rules()
    becomes(invoice, "paid")
    assert nudged == []
    tasks.sweep_rules()
    assert nudged == [True]


STEPS = {"change": ["write", "take"], "wait": ["commit", "look back"]}
ORDERS = [
    order
    for order in permutations(STEPS["change"] + STEPS["wait"])
    if all([step for step in order if step in steps] == steps for steps in STEPS.values())
]


@pytest.mark.parametrize("order", ORDERS, ids=" · ".join)
def test_in_whatever_order_they_meet_there_is_one_answer(order, invoice, clock, monkeypatch):
    """The steps of a silent change and of a wait, each one transaction, in every order that there is."""
    execution = begin(waiting_machine(pattern=PAID, Object=invoice), now=NOW)
    look_back = register.look_back
    early, late = order[: order.index("commit")], order[order.index("commit") + 1 : order.index("look back")]
    rest = order[order.index("look back") + 1 :]

    def take(steps) -> None:
        for step in steps:
            dispatch(clock) if step == "take" else becomes(invoice, "paid")

    def between(wait, *, now):
        take(late)
        return look_back(wait, now=now)

    monkeypatch.setattr(register, "look_back", between)
    take(early)
    advance(clock)
    take(rest)
    dispatch(clock)
    advance(clock)
    execution.refresh_from_db()
    assert execution.status == Status.SUCCEEDED
    assert execution.history.filter(type="ActivitySucceeded").count() == 1
    assert not EventWait.objects.exists()
    assert not SilentChange.objects.exists()


# --- whose ---


@pytest.mark.parametrize(
    ("began", "came", "wakes"),
    [
        (("", False), ("", False), True),
        (("", False), ("", True), False),
        (("", False), ("jp", False), False),
        (("jp", False), ("jp", False), True),
        (("jp", False), ("", False), False),
        (("jp", True), ("jp", False), False),
        (None, ("", False), True),  # begun by hand: the primary account, in its mode
        (None, ("jp", False), False),
        (None, ("", True), False),
    ],
)
@pytest.mark.parametrize("before", [True, False], ids=["looking back", "woken"])
def test_only_events_of_the_account_and_the_mode_that_began_it_count(began, came, wakes, before, clock, settings):
    settings.STRIPE_ACCOUNTS = JP
    event_id = ""
    if began:
        event_id = make_event(NOW, object_id="in_1", owner=began[0], livemode=began[1]).external_id
    execution = begin(waiting_machine(Object="in_1"), now=NOW, event_id=event_id)

    def pay() -> None:
        invoice_paid("in_1", LATER, owner=came[0], livemode=came[1])
        dispatch(clock)

    if before:
        pay()
    advance(clock)
    if not before:
        pay()
    advance(clock)
    execution.refresh_from_db()
    assert (execution.status == Status.SUCCEEDED) is wakes


def test_an_account_may_be_named(clock, settings):
    settings.STRIPE_ACCOUNTS = JP
    execution = begin(machine_for("jp"), now=NOW)
    advance(clock)
    invoice_paid("in_1", LATER)
    dispatch(clock)
    assert EventWait.objects.count() == 1
    invoice_paid("in_1", LATER, owner="jp")
    dispatch(clock)
    advance(clock)
    execution.refresh_from_db()
    assert execution.status == Status.SUCCEEDED


def machine_for(account: str):
    return waiting_machine(Object="in_1", Account=account)


def test_an_account_that_is_not_configured_fails_at_once(clock):
    execution = begin(machine_for("gone"), now=NOW)
    advance(clock)
    execution.refresh_from_db()
    assert (execution.status, execution.error) == (Status.FAILED, "UnknownAccount")


@pytest.mark.parametrize("changes_first", [True, False], ids=["looking back", "woken"])
def test_the_mirrored_object_of_another_account_or_mode_is_no_answer(invoice, changes_first, clock, settings):
    """An object of the mirror belongs to whose gate it has."""
    settings.STRIPE_ACCOUNTS = JP
    jp = by_name("jp")
    began = make_event(NOW, object_id=invoice, owner="jp")
    of_jp = begin(waiting_machine(pattern=PAID, Object=invoice), "jp", now=NOW, event_id=began.external_id)
    of_us = begin(waiting_machine(pattern=PAID, Object=invoice), "us", now=NOW)
    of_live = begin(
        waiting_machine(pattern=PAID, Object=invoice),
        "live",
        now=NOW,
        event_id=make_event(NOW, object_id=invoice, owner="jp", livemode=True).external_id,
    )
    if changes_first:
        becomes(invoice, "paid", account=jp)
    else:
        advance(clock)
        becomes(invoice, "paid", account=jp)
    assert MirrorGate.objects.get(object_id=invoice).owner == "jp"
    dispatch(clock)
    advance(clock)
    dispatch(clock)
    advance(clock)
    for execution in (of_jp, of_us, of_live):
        execution.refresh_from_db()
    assert [each.status for each in (of_jp, of_us, of_live)] == [Status.SUCCEEDED, Status.RUNNING, Status.RUNNING]
