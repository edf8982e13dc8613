"""Each event is held against the rules once; each match makes its calls due once."""

import json
import threading
from datetime import timedelta

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.inbox import own
from billing.inbox.replay import replay
from billing.models import Door, InboxEvent, InboxState
from ops.models import Delivery, DeliveryState, Match, Mode, Rule, RuleState, Target
from ops.rules import dispatch
from ops.rules.dispatch import Dispatched, dispatch_due
from tests.ops.rules.made import PAID, finding_target, make_rule, paid_invoice, target

pytestmark = pytest.mark.django_db


def run() -> Dispatched:
    return dispatch_due(timezone.now, budget_seconds=10)


def test_a_match_makes_each_target_due_with_its_input() -> None:
    rule = make_rule(targets=2)
    event, other = paid_invoice(customer_id="cus_1"), paid_invoice(type="invoice.voided")
    assert run() == Dispatched(events=2, matches=1, due=2)
    match = Match.objects.get()
    assert (match.rule, match.inbox_id, match.event_id) == (rule, event.pk, event.external_id)
    assert (match.customer_id, match.event_type, match.replay, match.trial) == ("cus_1", "invoice.paid", "", False)
    calls = Delivery.objects.order_by("target_name")
    assert [call.target_name for call in calls] == ["target-0", "target-1"]
    assert {call.state for call in calls} == {DeliveryState.DUE}
    assert len({call.key for call in calls}) == 2
    assert json.loads(calls[0].input) == {"title": f"Invoice {event.object_id} was paid.", "subject": event.object_id}
    other.refresh_from_db()
    assert other.dispatched_at


def test_an_event_is_matched_once_however_often_anybody_looks() -> None:
    make_rule()
    event = paid_invoice()
    run()
    assert run() == Dispatched()
    replay([event.pk], now=timezone.now())
    InboxEvent.objects.update(state=InboxState.MIRRORED)
    assert run() == Dispatched()
    InboxEvent.objects.update(dispatched_at=None)  # even where the mark was lost
    assert run() == Dispatched(events=1)
    assert Match.objects.count() == Delivery.objects.count() == 1


def test_events_that_the_mirror_has_not_settled_wait() -> None:
    make_rule()
    paid_invoice(state=InboxState.RECEIVED)
    paid_invoice(state=InboxState.FAILED)
    stored = paid_invoice(state=InboxState.STORED)
    assert run().events == 1
    assert Match.objects.get().inbox_id == stored.pk


def test_a_rule_says_nothing_about_what_came_before_it_was_switched_on() -> None:
    now = timezone.now()
    make_rule(on_since=now)
    before, at = paid_invoice(received_at=now - timedelta(seconds=1)), paid_invoice(received_at=now)
    run()
    assert Match.objects.get().inbox_id == at.pk
    before.refresh_from_db()
    assert before.dispatched_at


def test_a_rule_that_is_off_is_not_asked_and_one_in_trial_only_describes() -> None:
    make_rule("off", state=RuleState.OFF)
    make_rule("trial", state=RuleState.TRIAL)
    paid_invoice()
    assert run() == Dispatched(events=1, matches=1, due=0)
    call = Delivery.objects.get()
    assert (call.state, call.due_at, call.match.trial) == (DeliveryState.TRIED, None, True)
    assert "was paid" in call.input


@pytest.mark.parametrize(
    ("scope", "matched"),
    [
        ({}, {"primary", "osaka", "live", "aws"}),
        ({"owner": "osaka"}, {"osaka", "aws"}),
        ({"owner": ""}, {"primary", "live", "aws"}),
        ({"mode": Mode.LIVE}, {"live", "aws"}),
        ({"mode": Mode.TEST}, {"primary", "osaka", "aws"}),
        ({"mode": Mode.LIVE, "owner": "osaka"}, {"aws"}),
    ],
)
def test_a_rule_looks_at_its_account_and_mode_alone(scope: dict[str, str], matched: set[str]) -> None:
    make_rule(pattern={"detail-type": [{"exists": True}]}, **scope)
    paid_invoice(external_id="primary")
    paid_invoice(external_id="osaka", owner="osaka")
    paid_invoice(external_id="live", livemode=True)
    envelope = {"source": "aws.cloudformation", "detail-type": "Stack changed", "detail": {}}
    paid_invoice(external_id="aws", source="aws.cloudformation", state=InboxState.STORED, payload=envelope)
    run()
    assert set(Match.objects.values_list("event_id", flat=True)) == matched


def test_a_stripe_event_off_a_bus_is_seen_under_both_names() -> None:
    partner = "aws.partner/stripe.com/ed_test_1"
    around = {"id": "6a7e", "source": partner, "detail-type": "invoice.paid", "account": "111122223333"}
    event = paid_invoice(bus_envelope=around, door=Door.SQS)
    whole = [target("t", "arn:aws:sqs:us-east-1:123456789012:all")]
    make_rule("partner", {"source": [partner]}, targets=whole)
    make_rule("stripe", {"source": ["stripe.com"]}, targets=whole)
    make_rule("both", PAID, targets=whole)
    run()
    inputs = {call.rule_name: json.loads(call.input) for call in Delivery.objects.all()}
    assert {name: given["source"] for name, given in inputs.items()} == {
        "partner": partner,
        "stripe": "stripe.com",
        "both": partner,  # its own form first
    }
    assert inputs["partner"]["account"] == "111122223333"
    assert inputs["stripe"]["account"] == "000000000000"
    assert all(given["detail"] == event.payload for given in inputs.values())


def test_a_template_that_this_event_cannot_fill_is_a_dead_letter_at_once() -> None:
    template = '{"title": "<object>"}'
    broken = finding_target(input_template=template, input_paths_map={"object": "$.detail.data.object"})
    make_rule(targets=[broken, finding_target("fine")])
    paid_invoice()
    assert run() == Dispatched(events=1, matches=1, due=1)
    dead = Delivery.objects.get(target_name="tell")
    assert (dead.state, dead.input) == (DeliveryState.DEAD, "")
    assert dead.error.startswith("NoInput: ")
    told = InboxEvent.objects.get(type="rule.dead-letter").payload["detail"]
    assert (told["target"], told["event"], told["attempts"]) == ("tell", dead.match.event_id, 0)


def test_a_destination_gets_its_path_and_headers_from_the_event() -> None:
    values = {
        "PathParameterValues": ["$.detail.data.object.id"],
        "HeaderParameters": {"X-A": "b", "X-None": "$.detail.no"},
    }
    arn = "arn:aws:events:local:000000000000:api-destination/crm"
    make_rule(targets=[target("crm", arn, parameters={"HttpParameters": values})])
    event = paid_invoice()
    run()
    assert Delivery.objects.get().parameters["HttpParameters"] == {
        "PathParameterValues": [event.object_id],
        "HeaderParameters": {"X-A": "b", "X-None": ""},
    }


def test_a_change_of_the_rules_is_seen_by_the_next_batch() -> None:
    paid_invoice()
    assert run() == Dispatched(events=1), "no rule"
    rule = make_rule()
    paid_invoice()
    assert run().matches == 1
    Rule.objects.update(pattern='{"detail-type": ["invoice.voided"]}')
    paid_invoice()
    assert run().matches == 0
    Rule.objects.update(pattern=json.dumps(PAID))
    Target.objects.create(rule=rule, position=1, **finding_target("second"))
    paid_invoice()
    assert run().due == 2
    rule.delete()
    paid_invoice()
    assert run().matches == 0


def test_a_rule_that_cannot_be_read_holds_up_no_other() -> None:
    make_rule("broken", {"detail-type": []})
    make_rule("fine")
    paid_invoice()
    assert run().matches == 1


def test_an_event_that_cannot_be_read_holds_up_no_other() -> None:
    make_rule()
    paid_invoice(source="product", payload=["no", "envelope"], state=InboxState.STORED)
    gone = paid_invoice()
    InboxEvent.objects.filter(pk=gone.pk).update(payload=None)  # it has gone to the archive
    paid_invoice()
    assert run() == Dispatched(events=3, matches=1, due=1)


def test_without_rules_no_payload_is_read() -> None:
    for _ in range(3):
        paid_invoice()
    run()  # the book is up to date
    for _ in range(3):
        paid_invoice()
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert run().events == 3
    assert not any("payload" in query["sql"] for query in queries)


def test_more_than_a_batch_is_told_and_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "BATCH", 2)
    make_rule()
    for _ in range(5):
        paid_invoice()
    told: list[str] = []
    total = dispatch_due(
        timezone.now,
        budget_seconds=10,
        on_full_batch=lambda: told.append("more"),
        on_due=lambda: told.append("due"),
    )
    assert total == Dispatched(events=5, matches=5, due=5)
    assert told == ["due", "more", "due", "more", "due"]


def test_our_own_events_chain_until_they_are_taken_for_a_loop(settings) -> None:
    settings.RULES_LONGEST_CHAIN = 2
    make_rule(pattern={"source": ["kessai"]})
    now = timezone.now()
    for depth in (0, 1, 2):
        assert own.publish("drift.found", key=str(depth), detail={"n": depth}, now=now, depth=depth)
    assert not own.publish("drift.found", key="0", detail={"n": 0}, now=now), "stored before"
    InboxEvent.objects.update(state=InboxState.STORED)
    assert run() == Dispatched(events=3, matches=2, due=2)
    assert set(Delivery.objects.values_list("depth", flat=True)) == {1, 2}
    assert InboxEvent.objects.get(external_id="drift.found:2").dispatched_at


RULES = {
    "paid": PAID,
    "voided": {"detail-type": ["invoice.voided"]},
    "any": {"source": ["stripe.com"]},
    "none": {"detail-type": ["payout.paid"]},
}
steps = st.lists(
    st.one_of(
        st.tuples(st.just("event"), st.sampled_from(["invoice.paid", "invoice.voided", "charge.failed"])),
        st.tuples(st.just("look"), st.integers(1, 3)),
        st.tuples(st.just("switch"), st.sampled_from(list(RULES))),
        st.tuples(st.just("die"), st.none()),
    ),
    max_size=14,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps)
def test_in_whatever_order_each_event_is_matched_once_with_the_rules_that_were_on_when_it_came(steps) -> None:
    """Against a model: which rules were on when the event came, and are on when it is looked at."""
    from django.db import transaction

    class Rollback(Exception):
        pass

    try:
        with transaction.atomic():
            now = timezone.now()
            ids = {name: make_rule(name, pattern, state="off", on_since=None).pk for name, pattern in RULES.items()}
            on: dict[str, int] = {}
            events: list[tuple[int, str, int]] = []
            expected: set[tuple[str, int]] = set()
            waiting: list[tuple[int, str, int]] = []
            for moment, (what, value) in enumerate(steps):
                at = now + timedelta(seconds=moment)
                if what == "event":
                    event = (paid_invoice(type=value, received_at=at).pk, value, moment)
                    events.append(event)
                    waiting.append(event)
                elif what == "switch":
                    state, since = ("off", None) if value in on else ("on", at)
                    on.pop(value) if value in on else on.setdefault(value, moment)
                    Rule.objects.filter(pk=ids[value]).update(state=state, on_since=since)
                elif what == "die":
                    try:
                        with transaction.atomic():
                            dispatch.match_batch(now=at)
                            raise Rollback
                    except Rollback:
                        pass
                else:
                    for _ in range(value):
                        dispatch_due(lambda at=at: at, budget_seconds=5)
                    fits = {"paid": "invoice.paid", "voided": "invoice.voided", "none": "payout.paid"}
                    for pk, kind, came in waiting:
                        expected |= {
                            (name, pk) for name, since in on.items() if since <= came and fits.get(name, kind) == kind
                        }
                    waiting = []
            assert sorted(Match.objects.values_list("rule__name", "inbox_id")) == sorted(expected)
            assert Delivery.objects.count() == len(expected)
            raise Rollback
    except Rollback:
        pass


@pytest.mark.django_db(transaction=True)
def test_several_workers_at_once_match_each_event_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "BATCH", 4)
    make_rule("paid", targets=2)
    make_rule("any", {"source": ["stripe.com"]})
    for number in range(60):
        paid_invoice(type="invoice.paid" if number % 2 else "invoice.voided")
    failed: list[Exception] = []

    def work() -> None:
        try:
            dispatch_due(timezone.now, budget_seconds=20)
        except Exception as error:
            failed.append(error)
        finally:
            connections.close_all()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert failed == []
    run()  # what one held while the others saw nothing free
    assert InboxEvent.objects.filter(dispatched_at=None).count() == 0
    assert (Match.objects.count(), Delivery.objects.count()) == (90, 120)
