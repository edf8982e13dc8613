"""The whole way: an event is settled, rules match it, targets are called, and what they cause comes in again."""

from datetime import timedelta

import pytest
import redis
from celery import current_app
from django.conf import settings as django_settings
from django.utils import timezone

from billing.exposition import exposition
from billing.inbox import claim, own
from billing.inbox.claim import Settled
from billing.models import InboxEvent, InboxState
from ops import tasks
from ops.models import Delivery, DeliveryState, Finding, FindingKind, Match
from ops.remediation.findings import look
from ops.rules.deliver import deliver_due
from ops.rules.dispatch import dispatch_due
from ops.rules.nudge import DELIVER, DISPATCH
from ops.rules.prune import prune
from tests.ops.rules.made import finding_target, make_rule, paid_invoice

pytestmark = pytest.mark.django_db


def settle() -> None:
    """As the mirror settles events of our own, without asking Stripe who we are."""
    waiting = InboxEvent.objects.filter(state=InboxState.RECEIVED)
    claim.settle_waiting([Settled(event.pk, InboxState.STORED, 0) for event in waiting])


def one_round() -> None:
    settle()
    dispatch_due(timezone.now, budget_seconds=5)
    deliver_due(timezone.now, budget_seconds=5)


def test_rules_that_call_each_other_in_a_circle_come_to_an_end_and_somebody_is_told() -> None:
    again = finding_target(input_template='{"title": "Again"}', input_paths_map={})
    make_rule("circle", {"source": ["kessai"], "detail-type": ["finding.opened"]}, targets=[again])
    own.publish("finding.opened", key="first", detail={}, now=timezone.now())
    for _ in range(9):
        one_round()
    events = InboxEvent.objects.filter(source="kessai").order_by("depth")
    assert [event.depth for event in events] == [0, 1, 2, 3, 4, 5]
    assert all(event.dispatched_at for event in events)
    assert Match.objects.count() == 5
    look(now=timezone.now())
    loop = Finding.objects.get(kind=FindingKind.RULE_LOOP)
    assert (loop.subject, loop.evidence["events"]) == ("finding.opened", 1)


def test_a_dead_letter_is_news_that_another_rule_sees() -> None:
    broken = finding_target(input_template='{"title": "<o>"}', input_paths_map={"o": "$.detail"})
    make_rule("paid", targets=[broken])
    told = finding_target(
        input_template='{"title": "<rule> failed", "subject": <rule>}', input_paths_map={"rule": "$.detail.rule"}
    )
    make_rule("watch", {"detail-type": ["rule.dead-letter"]}, targets=[told])
    paid_invoice()
    for _ in range(3):
        one_round()
    assert Finding.objects.get(kind=FindingKind.RULE).evidence["title"] == "paid failed"


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    messages: list[str] = []
    monkeypatch.setattr(current_app, "send_task", lambda name, **_options: messages.append(name))
    for nudge in (DISPATCH, DELIVER):
        nudge.taken()
    yield messages  # type: ignore[misc]
    for nudge in (DISPATCH, DELIVER):
        nudge.taken()


def test_each_stage_nudges_the_next(sent: list[str], django_capture_on_commit_callbacks) -> None:
    make_rule()
    with django_capture_on_commit_callbacks(execute=True):
        own.publish("drift.found", key="1", detail={}, now=timezone.now())
        paid_invoice(received_at=timezone.now() - timedelta(seconds=1))
        settle()
    assert DISPATCH.task in sent
    sent.clear()
    assert not DISPATCH.soon(), "one message waits already"
    tasks.dispatch_due()
    assert sent == [DELIVER.task]
    tasks.deliver_due()
    assert Delivery.objects.get().state == DeliveryState.DONE
    assert DISPATCH.soon(), "the message was taken"


def test_the_sweep_finds_what_a_lost_message_left(sent: list[str]) -> None:
    tasks.sweep_rules()
    assert sent == []
    make_rule()
    paid_invoice()
    tasks.sweep_rules()
    assert sent == [DISPATCH.task]
    dispatch_due(timezone.now, budget_seconds=5)
    tasks.sweep_rules()
    assert sent == [DISPATCH.task, DELIVER.task]


def test_a_redis_that_is_away_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    from billing import nudge

    away = redis.Redis.from_url("redis://127.0.0.1:9/0", socket_connect_timeout=0.1)
    monkeypatch.setattr(nudge, "nudge_redis", lambda: away)
    monkeypatch.setattr(nudge, "_resting_until", 0.0)
    assert django_settings.REDIS_URL
    assert not DISPATCH.soon()
    DISPATCH.taken()


def test_old_matches_go_and_what_is_still_to_be_done_stays(settings) -> None:
    settings.RULES_LOG_DAYS = 30
    make_rule()
    for _ in range(4):
        paid_invoice()
    dispatch_due(timezone.now, budget_seconds=5)
    now = timezone.now()
    old, due, dead, new = Match.objects.order_by("pk")
    Match.objects.exclude(pk=new.pk).update(matched_at=now - timedelta(days=31))
    Delivery.objects.filter(match__in=[old, new]).update(state=DeliveryState.DONE)
    Delivery.objects.filter(match=dead).update(state=DeliveryState.DEAD)
    assert prune(now=now, budget_seconds=5) == 1
    assert set(Match.objects.all()) == {due, dead, new}
    assert dispatch_due(timezone.now, budget_seconds=5).events == 0
    settings.RULES_LOG_DAYS = 0
    assert prune(now=now + timedelta(days=900), budget_seconds=5) == 0


def test_prometheus_is_told_what_waits_and_what_was_given_up() -> None:
    make_rule()
    paid_invoice()
    dispatch_due(timezone.now, budget_seconds=5)
    Delivery.objects.update(state=DeliveryState.DEAD)
    paid_invoice()
    told = exposition(timezone.now()).decode()
    assert "kessai_rules_waiting 1.0" in told
    assert "kessai_rules_dead_letters 1.0" in told
    assert "kessai_rules_calls_due 0.0" in told
    assert 'kessai_rules_matched_total{rule="paid",trial="false"}' in told
