"""The console's pages about rules: written, tried, switched, restored; what they called, and calling it again."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from billing.models import InboxEvent
from ops.models import Delivery, DeliveryState, Finding, Match, Rule, RuleState, RuleVersion, Severity, StaffAct
from ops.rules.edit import save_rule
from tests.cast import make_user, sign_in
from tests.ops.rows import make_customer, make_event, make_plan, make_rule, make_subscription

PATTERN = '{\n  "detail-type": ["invoice.payment_failed"]\n}'
FINDING = "arn:aws:states:local:000000000000:activity:open-finding"
TEMPLATE = '{"subject": "<id>", "title": "Invoice <id> is late"}'


def document(**fields: Any) -> dict[str, Any]:
    return {"Name": "late-invoices", "State": "TRIAL", "EventPattern": json.loads(PATTERN), "Targets": []} | fields


@pytest.fixture
def rule(db: None) -> Rule:
    return save_rule(document(), actor=None, reason="", now=timezone.now()).rule


@pytest.fixture
def event(db: None) -> InboxEvent:
    about = {"id": "in_1Late", "object": "invoice", "amount_due": 9000, "currency": "jpy", "status": "open"}
    payload = {"type": "invoice.payment_failed", "data": {"object": about}}
    return make_event(timezone.now(), type="invoice.payment_failed", object_id="in_1Late", payload=payload)


def typed(**fields: Any) -> dict[str, Any]:
    """What the editor posts, with no target unless given."""
    return {
        "name": "late-invoices",
        "notes": "",
        "pattern": PATTERN,
        "owner": "-all",
        "mode": "any",
        "state": "trial",
        "reason": "Support asked for it.",
        "target-TOTAL_FORMS": "0",
        "target-INITIAL_FORMS": "0",
        "period": "7",
    } | fields


def with_target(**fields: Any) -> dict[str, Any]:
    target = {
        "name": "tell",
        "resource": FINDING,
        "given": "template",
        "input_paths_map": "id = $.detail.data.object.id",
        "input_template": TEMPLATE,
    } | fields
    return {"target-TOTAL_FORMS": "1"} | {f"target-0-{name}": value for name, value in target.items()}


def post(olga: Any, name: str, fields: dict[str, Any], *args: Any) -> Any:
    return sign_in(olga).post(reverse(f"admin:{name}", args=args), fields)


def test_a_rule_is_made_as_it_was_typed_with_who_and_why(olga):
    answer = post(olga, "ops_rule_add", typed(**with_target()))
    rule = Rule.objects.get()
    assert answer["Location"] == reverse("admin:ops_rule_change", args=[rule.pk])
    assert (rule.name, rule.state, rule.owner, rule.version) == ("late-invoices", RuleState.TRIAL, None, 1)
    target = rule.targets.get()
    assert (target.arn, target.kind, target.input_template) == (FINDING, "finding", TEMPLATE)
    assert target.input_paths_map == {"id": "$.detail.data.object.id"}
    version = rule.versions.get()
    assert (version.changed_by, version.reason) == (olga, "Support asked for it.")
    assert StaffAct.objects.get().act == "rule:change"


# a flaw in what is typed, and words at its field; nothing is saved and nothing typed is lost
@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": "late invoices"}, "at most 64 letters"),
        ({"name": ""}, "Give the rule a name"),
        ({"pattern": '{"detail-type": "invoice.paid"}'}, "must be an array"),
        ({"pattern": "{"}, "This is not JSON"),
        ({"pattern": ""}, "Write a pattern"),
        ({"reason": ""}, "Say in a few words why"),
        (with_target(name=""), "at most 64 letters"),
        (with_target(resource="", arn="arn:aws:s3:::bucket"), "nothing that a rule can call"),
        (with_target(input_template='{"subject": "<id>", "title": <id>'), "It gives no JSON"),
        (with_target(input_paths_map="id: $.detail"), "Line 1 is not"),
        (with_target(input_paths_map="id = detail"), "no path that EventBridge knows"),
        (with_target(parameters="[1]"), "Write a JSON object"),
        (with_target(max_retries="999"), "from 0 to 185"),
    ],
)
def test_what_is_wrong_is_said_at_its_place_and_nothing_typed_is_lost(olga, fields, said):
    answer = post(olga, "ops_rule_add", typed(notes="typed with care", **fields))
    page = answer.content.decode()
    assert answer.status_code == 422
    assert said in page
    assert "typed with care" in page
    for value in (value for name, value in fields.items() if name.startswith("target-0-") and value):
        assert value in page or value.replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;") in page
    assert not Rule.objects.exists()


def test_two_people_do_not_write_over_each_other(olga, rule):
    fields = typed(notes="mine", seen_version=str(rule.version))
    save_rule(document(Description="theirs"), rule=rule, actor=None, reason="", now=timezone.now())
    answer = post(olga, "ops_rule_change", fields, rule.pk)
    assert "Somebody else has changed this rule" in answer.content.decode()
    rule.refresh_from_db()
    assert rule.notes == "theirs"
    again = fields | {"seen_version": str(rule.version)}
    assert post(olga, "ops_rule_change", again, rule.pk).status_code == 302


@pytest.mark.parametrize("state", ["on", "trial", "off"])
def test_a_rule_is_switched_with_a_reason(olga, rule, state):
    page = sign_in(olga).get(reverse("admin:ops_rule_state", args=[rule.pk, state]))
    assert b"Why" in page.content
    refused = post(olga, "ops_rule_state", {"reason": ""}, rule.pk, state)
    assert b"Say in a few words why" in refused.content
    post(olga, "ops_rule_state", {"reason": "Seen on the past."}, rule.pk, state)
    rule.refresh_from_db()
    assert rule.state == state


def test_versions_show_what_changed_by_whom_and_why_and_an_older_one_is_restored(olga, rule):
    changed = document(EventPattern={"detail-type": ["invoice.paid"]})
    save_rule(changed, rule=rule, actor=olga, reason="Paid ones instead.", now=timezone.now())
    page = sign_in(olga).get(reverse("admin:ops_rule_versions", args=[rule.pk])).content.decode()
    for words in ("Paid ones instead.", "Olga", "invoice.paid", "invoice.payment_failed", "Restore this version"):
        assert words in page
    post(olga, "ops_rule_restore", {"reason": "That was wrong."}, rule.pk, 1)
    rule.refresh_from_db()
    assert json.loads(rule.pattern) == json.loads(PATTERN)
    assert RuleVersion.objects.filter(rule=rule).count() == 3


def test_a_rule_is_removed_with_a_reason(olga, rule):
    post(olga, "ops_rule_remove", {"reason": "No longer needed."}, rule.pk)
    assert not Rule.objects.exists()
    assert StaffAct.objects.get(act="rule:delete").reason == "No longer needed."


def test_the_pattern_is_judged_while_it_is_typed_at_its_place(olga, event):
    page = post(olga, "ops_rule_check", {"pattern": '{\n  "source": [{"prefix": 5}]\n}', "event": event.pk})
    said = page.content.decode()
    assert "Line 2, column 25" in said
    assert "source[0].prefix" in said


def test_the_first_key_that_fails_is_told(olga, event):
    pattern = '{"detail-type": ["invoice.payment_failed"], "detail": {"data": {"object": {"status": ["paid"]}}}}'
    said = post(olga, "ops_rule_check", {"pattern": pattern, "event": event.pk}).content.decode()
    for words in ("detail.data.object.status", "&quot;paid&quot;", "&quot;open&quot;", "detail-type"):
        assert words in said


def test_the_latest_event_is_tried_where_none_is_chosen(olga, event):
    assert b"This event fits" in post(olga, "ops_rule_check", {"pattern": PATTERN}).content


def test_events_are_found_by_letters_of_their_type_or_by_id(olga, event):
    make_event(timezone.now())
    for term in ("payment_f", "in_1Late", event.external_id):
        found = post(olga, "ops_rule_search", {"event_search": term}).content.decode()
        assert found.count("<li>") == 1
        assert "invoice.payment_failed" in found
    assert b"No event has this id" in post(olga, "ops_rule_search", {"event_search": "nothing"}).content


def test_an_event_s_fields_are_shown_with_what_the_pattern_wants_ticked(olga, event):
    page = post(olga, "ops_rule_choose", {"pattern": PATTERN, "event": event.pk}).content.decode()
    assert page.count(" checked") == 1
    assert "amount_due" in page


def test_ticking_writes_into_the_pattern(olga, event):
    page = post(olga, "ops_rule_choose", {"pattern": "", "event": event.pk}).content.decode()
    number = page.split("<code>amount_due</code>")[0].rsplit('name="field-', 1)[1].split('"')[0]
    fields = {"pattern": PATTERN, "event": event.pk, "field": number, f"field-{number}": "on"}
    ticked = post(olga, "ops_rule_tick", fields).content.decode()
    assert "amount_due&quot;: [9000]" in ticked
    assert "This event fits" in ticked
    broken = post(olga, "ops_rule_tick", fields | {"pattern": "{ mine"}).content.decode()
    assert "{ mine" in broken
    assert "Mend it" in broken


def test_targets_show_what_they_would_be_given(olga, event):
    shown = post(olga, "ops_rule_preview", typed(event=event.pk, **with_target())).content.decode()
    assert "Invoice in_1Late is late" in shown
    half = post(olga, "ops_rule_preview", typed(event=event.pk, **with_target(name=""))).content.decode()
    assert "1 target is not complete yet" in half


def test_a_target_is_added_and_what_was_typed_stays(olga):
    shown = post(olga, "ops_rule_add_target", typed(**with_target(input_template="half a templ"))).content.decode()
    assert "half a templ" in shown
    assert 'name="target-1-name" value="target-2"' in shown


@pytest.mark.parametrize("count", ["²", "-1", pytest.param("9" * 5_000, id="endless")])
def test_a_form_that_counts_in_no_number_is_answered(olga, event, count):
    sent = typed(**with_target()) | {"target-TOTAL_FORMS": count, "event": count, "field": count}
    for name in ("ops_rule_add_target", "ops_rule_tick"):
        assert post(olga, name, sent).status_code == 200


def frames(answer: Any) -> list[str]:
    text = b"".join(answer.streaming_content).decode()
    return [json.loads(part.removeprefix("data: ")) for part in text.split("\n\n") if part]


def test_a_backtest_shows_what_would_have_been_whether_saved_or_not(olga, event, acme):
    customer = make_customer(acme, now=timezone.now())
    InboxEvent.objects.filter(pk=event.pk).update(customer_id=customer.id)
    shown = frames(post(olga, "ops_rule_backtest", typed(**with_target())))[-1]
    for words in ("1 of 1 event", "Acme", "¥9,000", "Invoice in_1Late is late", "invoice.payment_failed"):
        assert words in shown
    assert not Match.objects.exists()
    assert not Delivery.objects.exists()


# what is typed, and what the backtest says instead of a result
@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"pattern": '{"detail-type": 5}'}, "This is no pattern yet"),
        ({"period": "any"}, "Say from when to when"),
        ({"period": "any", "since": "2026-02-02T00:00", "until": "2026-02-01T00:00"}, "ends before it begins"),
        ({"period": "fortnight"}, "Select a valid choice"),
    ],
)
def test_a_backtest_that_cannot_begin_says_why(olga, fields, said):
    assert said in frames(post(olga, "ops_rule_backtest", typed(**fields)))[-1]


def test_a_backtest_is_told_in_the_viewer_s_language_and_zone(olga, event):
    type(olga).objects.filter(pk=olga.pk).update(language="ja", time_zone="Asia/Tokyo")
    at = datetime(2026, 3, 9, 15, 30, tzinfo=UTC)  # 10 March in Tokyo
    InboxEvent.objects.update(received_at=at)
    period = {"period": "any", "since": "2026-03-09T00:00", "until": "2026-03-12T00:00"}
    assert "2026/03/10 00:30:00" in frames(post(olga, "ops_rule_backtest", typed(**period)))[-1]


@pytest.fixture
def dead(db: None) -> Delivery:
    """A dead letter of a rule that is on, and its event."""
    make_rule(timezone.now())
    return Delivery.objects.get()


def test_the_list_shows_matches_per_day_the_last_one_and_errors(olga, dead):
    Match.objects.filter(pk=dead.match_id).update(matched_at=timezone.now() - timedelta(minutes=3))
    page = sign_in(olga).get(reverse("admin:ops_rule_changelist")).content.decode()
    for words in ("late-invoices", "1 match in 14 days", "3 min ago", "state__exact=dead", "all accounts"):
        assert words in page


def test_an_empty_list_says_how_to_begin(olga):
    assert b"There is no rule yet" in sign_in(olga).get(reverse("admin:ops_rule_changelist")).content


def test_a_call_shows_what_was_given_and_why_it_failed(olga, dead):
    page = sign_in(olga).get(reverse("admin:ops_delivery_change", args=[dead.pk])).content.decode()
    for words in ("Unreachable: no answer in 5 s", "in_1Late", "rule-1:tell:event-1", "api-destination/crm"):
        assert words in page


def test_a_dead_letter_is_redriven_with_a_reason(olga, dead):
    address = reverse("admin:ops_delivery_redrive_one", args=[dead.pk])
    assert b"Redrive 1 dead letter" in sign_in(olga).get(address).content
    sign_in(olga).post(address, {"answer": "yes", "reason": "It answers again."})
    dead.refresh_from_db()
    assert (dead.state, dead.attempts) == (DeliveryState.DUE, 0)
    assert StaffAct.objects.get(act="rule-calls:redrive").reason == "It answers again."


def test_dead_letters_are_redriven_by_filter_and_by_selection(olga, dead):
    address = reverse("admin:ops_delivery_redrive_filtered") + "?rule=late-invoices"
    sign_in(olga).post(address, {"answer": "yes", "reason": "All of them."})
    dead.refresh_from_db()
    assert dead.state == DeliveryState.DUE
    Delivery.objects.update(state=DeliveryState.DEAD)
    fields = {"action": "redrive_selected", "_selected_action": dead.pk, "answer": "yes", "reason": "This one."}
    post(olga, "ops_delivery_changelist", fields)
    dead.refresh_from_db()
    assert dead.state == DeliveryState.DUE


def test_what_never_had_an_input_is_not_redriven(olga, dead):
    Delivery.objects.update(input="")
    page = sign_in(olga).get(reverse("admin:ops_delivery_redrive_one", args=[dead.pk])).content
    assert b"None of these is a dead letter that can be called again" in page


def test_who_may_only_view_rules_changes_and_redrives_nothing(dead):
    from django.contrib.auth.models import Permission

    rule = Rule.objects.get()
    vera = make_user("Vera", is_staff=True)
    names = ["view_rule", "view_delivery", "view_match", "view_inboxevent"]
    vera.user_permissions.set(Permission.objects.filter(codename__in=names))
    client = sign_in(vera)
    assert client.get(reverse("admin:ops_rule_change", args=[rule.pk])).status_code == 200
    assert client.get(reverse("admin:ops_rule_add")).status_code == 403
    for name, args in (
        ("ops_rule_change", [rule.pk]),
        ("ops_rule_state", [rule.pk, "on"]),
        ("ops_rule_restore", [rule.pk, 1]),
        ("ops_rule_remove", [rule.pk]),
        ("ops_delivery_redrive_one", [dead.pk]),
        ("ops_delivery_redrive_filtered", []),
    ):
        answer = client.post(reverse(f"admin:{name}", args=args), typed(answer="yes"))
        assert answer.status_code in (302, 403), name
    rule.refresh_from_db()
    dead.refresh_from_db()
    assert (rule.version, rule.state, dead.state) == (1, RuleState.ON, DeliveryState.DEAD)


@pytest.mark.parametrize("name", ["check", "search", "choose", "tick", "preview", "backtest"])
def test_who_may_not_see_events_tries_nothing_on_them(event, name):
    from django.contrib.auth.models import Permission

    vera = make_user("Vera", is_staff=True)
    vera.user_permissions.set(Permission.objects.filter(codename="view_rule"))
    answer = sign_in(vera).post(reverse(f"admin:ops_rule_{name}"), typed(event=event.pk))
    assert answer.status_code == 403


def test_a_replay_is_seen_first_and_then_done_once(olga, event):
    target = {"Id": "tell", "Arn": FINDING, "InputTransformer": {"InputTemplate": '{"subject": "x", "title": "y"}'}}
    rule = save_rule(document(State="ENABLED", Targets=[target]), actor=None, reason="", now=timezone.now()).rule
    assert b"See what would happen" in sign_in(olga).get(reverse("admin:ops_rule_replay", args=[rule.pk])).content
    seen = frames(post(olga, "ops_rule_replay_see", {"period": "7"}, rule.pk))[-1]
    assert "Replay the rule on 1 event" in seen
    assert not Match.objects.exists()
    values = {name: seen.split(f'name="{name}" value="')[1].split('"')[0] for name in ("since", "until", "replay_id")}
    refused = frames(post(olga, "ops_rule_replay_do", values, rule.pk))[-1]
    assert "Say in a few words why" in refused
    for _time in range(2):
        done = frames(post(olga, "ops_rule_replay_do", values | {"reason": "It was off."}, rule.pk))[-1]
        assert "1 events looked at" in done
    match = Match.objects.get()
    assert (match.replay, match.event_id) == (values["replay_id"], event.external_id)
    assert Delivery.objects.get().state == DeliveryState.DUE
    assert StaffAct.objects.filter(act="rule:replay").first().reason == "It was off."


def test_a_replay_fires_on_settled_events_alone(olga, event, rule):
    InboxEvent.objects.update(state="failed")
    seen = frames(post(olga, "ops_rule_replay_see", {"period": "7"}, rule.pk))[-1]
    assert "Nothing would have matched" in seen or "No event was received" in seen
    now = timezone.now()
    values = {"since": now - timedelta(days=1), "until": now, "replay_id": "20260101-000000-abcdef"}
    frames(post(olga, "ops_rule_replay_do", values | {"reason": "Why not."}, rule.pk))
    assert not Match.objects.exists()


def test_an_event_s_page_tells_which_rules_it_fitted_and_what_was_called(olga, dead):
    event = InboxEvent.objects.get()
    page = sign_in(olga).get(reverse("admin:billing_inboxevent_change", args=[event.pk])).content.decode()
    for words in ("late-invoices", "tell", "Dead letter", "Write a rule from this event"):
        assert words in page
    other = make_event(timezone.now(), dispatched_at=timezone.now())
    page = sign_in(olga).get(reverse("admin:billing_inboxevent_change", args=[other.pk])).content.decode()
    assert "fitted none" in page


def test_a_subscription_s_page_tells_what_rules_did(olga, acme, dead):
    now = timezone.now()
    customer = make_customer(acme, now=now)
    subscription = make_subscription(customer, make_plan("Team", now=now), now=now)
    Match.objects.update(customer_id=customer.id)
    page = sign_in(olga).get(reverse("admin:djstripe_subscription_change", args=[subscription.pk])).content.decode()
    assert "late-invoices" in page


def test_a_rule_is_begun_from_an_event(olga, event):
    make_event(timezone.now() + timedelta(minutes=1))
    page = sign_in(olga).get(reverse("admin:ops_rule_add") + f"?event={event.pk}").content.decode()
    assert event.external_id in page
    assert "amount_due" in page


def test_a_match_is_shown_with_its_calls(olga, dead):
    page = sign_in(olga).get(reverse("admin:ops_match_change", args=[dead.match_id])).content.decode()
    assert "tell" in page
    listed = sign_in(olga).get(reverse("admin:ops_match_changelist") + "?rule=late-invoices&by=event").content.decode()
    assert dead.match.event_id in listed


def queries_of(client: Any, address: str) -> int:
    with CaptureQueriesContext(connection) as caught:
        assert client.get(address).status_code == 200
    return len(caught)


def test_forty_rules_need_no_more_queries_than_two(olga):
    client, address = sign_in(olga), reverse("admin:ops_rule_changelist")
    for number in range(40):
        save_rule(document(Name=f"rule-{number}"), actor=None, reason="", now=timezone.now())
        if number == 1:
            few = queries_of(client, address)
    assert queries_of(client, address) <= few <= 12


def test_an_event_s_page_needs_no_more_queries_for_many_matches(olga, dead):
    client = sign_in(olga)
    address = reverse("admin:billing_inboxevent_change", args=[dead.match.inbox_id])
    few = queries_of(client, address)
    for number in range(20):
        Match.objects.filter(pk=dead.match_id).update(replay=f"before-{number}")
        again = Match.objects.get(pk=dead.match_id)
        again.pk, again.replay = None, f"again-{number}"
        again.save()
    assert queries_of(client, address) <= few


# a finding about rules, and where its page leads
@pytest.mark.parametrize(
    ("kind", "evidence", "leads"),
    [
        (
            "dead-letters",
            {"rule": "late-invoices", "target": "tell", "calls": 1},
            "redrive-filtered/?rule=late-invoices",
        ),
        ("rules-late", {"events": 1, "calls": 1, "since": "2026-03-10T12:00:00+00:00"}, "state__exact=due"),
        ("rule-loop", {"type": "finding.opened", "events": 3, "longest": 5}, "q=finding.opened"),
        ("rule", {"rule": "late-invoices", "title": "Late", "note": ""}, "/admin/ops/rule/"),
    ],
)
def test_a_finding_about_rules_leads_to_where_it_is_seen_to(olga, dead, kind, evidence, leads):
    now = timezone.now()
    finding = Finding.objects.create(
        kind=kind,
        dedup_key=f"{kind}:x",
        subject="x",
        severity=Severity.URGENT,
        evidence=evidence,
        opened_at=now,
        seen_at=now,
    )
    page = sign_in(olga).get(reverse("admin:ops_finding_change", args=[finding.pk])).content.decode()
    said = page.split('class="said"')[1].split("</section>")[0]
    assert leads in said


def test_the_search_box_finds_rules_for_who_may_see_them(olga, dead):
    address = reverse("admin:search") + "?s=late-inv&extended=1"
    assert b"late-invoices" in sign_in(olga).get(address).content
    vera = make_user("Vera", is_staff=True)
    assert b"late-invoices" not in sign_in(vera).get(address).content
