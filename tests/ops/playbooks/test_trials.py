"""Backtests that the console starts: run by a worker, told of as they go on, filtered, same as the command's."""

import json
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from ops.models import PlaybookTrial, StaffAct, TriedRun
from ops.playbooks.trials import work
from ops.workflows.models import Execution
from tests.cast import make_user, sign_in
from tests.ops.rows import make_customer, make_event

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
DAY = timedelta(days=1)
LIST = "/admin/ops/playbooktrial/"

pytestmark = pytest.mark.django_db(transaction=True)


def failed_renewal(number: int, at: datetime, customer: str, amount: int = 5000, currency: str = "jpy") -> None:
    event("invoice.payment_failed", number, at, customer, amount, currency, status="open")


def event(kind: str, number: int, at: datetime, customer: str, amount: int, currency: str, **fields: Any) -> None:
    invoice = {
        "id": f"in_{number}", "object": "invoice", "customer": customer, "billing_reason": "subscription_cycle",
        "amount_remaining": amount, "amount_due": amount, "currency": currency,
        "parent": {"subscription_details": {"subscription": f"sub_{number}"}}, **fields,
    }  # fmt: skip
    payload = {
        "id": f"evt_{kind}_{number}_{at:%d%H}", "object": "event", "type": kind, "created": int(at.timestamp()),
        "livemode": False, "data": {"object": invoice},
    }  # fmt: skip
    make_event(
        at, external_id=payload["id"], type=kind, object_kind="invoice", object_id=invoice["id"],
        customer_id=customer, payload=payload, received_at=at, occurred_at=at,
    )  # fmt: skip


@pytest.fixture
def past(acme) -> None:
    """Three renewals that failed: one is paid on the third day, two never; one of these fails twice."""
    customer = make_customer(acme, now=NOW).id
    failed_renewal(1, NOW - 60 * DAY, customer)
    event("invoice.paid", 1, NOW - 57 * DAY, customer, 0, "jpy", status="paid")
    failed_renewal(2, NOW - 50 * DAY, customer, 7000)
    failed_renewal(2, NOW - 48 * DAY, customer, 7000)
    failed_renewal(3, NOW - 40 * DAY, "cus_nobody", 1250, "usd")


def begin(client: Any, **given: str) -> PlaybookTrial:
    answer = client.post(f"{LIST}begin/", {"rule": "dunning/dunning", "period": "90"} | given)
    assert answer.status_code == 302, answer.content.decode()[-4000:]
    return PlaybookTrial.objects.latest("pk")


def command(trial: PlaybookTrial) -> dict[str, Any]:
    out = StringIO()
    period = {"since": trial.since.isoformat(), "until": trial.until.isoformat()}
    call_command("backtest_playbook", "dunning", "--json", *[f"--{k}={v}" for k, v in period.items()], stdout=out)
    found: dict[str, Any] = json.loads(out.getvalue())
    return found


def test_it_finds_what_the_command_finds_and_says_who_when_and_with_what_money(past, olga, time_machine) -> None:
    time_machine.move_to(NOW)
    client = sign_in(olga)
    row = begin(client)
    address = f"{LIST}{row.pk}/"
    assert "hx-trigger" in client.get(f"{address}change/").content.decode()  # it looks again by itself
    assert work.run_due(lambda: NOW) == 1
    row.refresh_from_db()
    told = command(row)
    seen = (row.state, row.looked, row.matched, row.repeated, row.without_input, row.runs.count())
    assert seen == ("done", told["looked"], 4, 1, 0, 3)
    assert (told["matched"], told["repeated"], told["executions"]) == (4, 1, 3)
    assert told["endings"] == {"Cancelled": 2, "Paid": 1}
    page = client.get(f"{address}live/").content.decode()
    assert "hx-trigger" not in page
    for words in ("4 of 5 events would have matched and started 3 executions", "¥7,000", "$12.50", "¥5,000", "Acme"):
        assert words in page, words
    for effect, times in told["effects"].items():
        assert f'<code>{effect}</code></a></td><td class="number">{times}</td>' in page
    assert {run.name for run in row.runs.all()} == {run["name"] for run in told["runs"]}
    assert {(run.ending, run.amount, run.ended_at.isoformat()) for run in row.runs.all()} == {
        (run["ending"], run["amount"], run["ended_at"]) for run in told["runs"]
    }
    assert not Execution.objects.exists() and not StaffAct.objects.exists()


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("ending=Paid", {"in_1"}),
        ("effect=cancel-subscription", {"in_2", "in_3"}),
        ("q=acme", {"in_1", "in_2"}),
        ("q=cus_nobody", {"in_3"}),
        ("begun_from=2026-02-05", {"in_2", "in_3"}),
        ("begun_to=2026-02-05", {"in_1"}),
        ("ending=Paid&q=cus_nobody", set()),
        ("begun_from=nonsense", {"in_1", "in_2", "in_3"}),
    ],
)
def test_the_filter_leaves_those_that_fit(past, olga, time_machine, query, names) -> None:
    time_machine.move_to(NOW)
    client = sign_in(olga)
    row = begin(client)
    work.run_due(lambda: NOW)
    page = client.get(f"{LIST}{row.pk}/change/?{query}").content.decode()
    assert {name for name in ("in_1", "in_2", "in_3") if f"<code>{name}</code></p>" in page} == names


def test_a_worker_that_died_is_followed_by_another_and_nothing_counts_twice(past, olga, time_machine) -> None:
    time_machine.move_to(NOW)
    row = begin(sign_in(olga))
    lost = work.claim(now=NOW)
    assert lost and not work.waiting(NOW)
    TriedRun.objects.create(
        trial=row, name="half", event_id="e", customer_id="c", organization="", started_at=NOW, ended_at=NOW,
        status="SUCCEEDED", ending="Paid",
    )  # fmt: skip
    later = NOW + work.LEASE + timedelta(seconds=1)
    assert work.waiting(later)
    assert work.run_due(lambda: later) == 1
    row.refresh_from_db()
    assert (row.state, row.attempts, row.runs.count()) == ("done", 2, 3)
    work.run(lost, lambda: later)  # the first comes back to life: it is not its work any more
    assert PlaybookTrial.objects.get().attempts == 2


def test_who_may_not_begin_does_not_and_what_is_wrong_is_said(past, olga, time_machine) -> None:
    time_machine.move_to(NOW)
    client = sign_in(olga)
    wrong = client.post(f"{LIST}begin/", {"rule": "dunning/dunning", "period": "any"}).content.decode()
    assert "Say from when to when." in wrong
    assert client.post(f"{LIST}begin/", {"rule": "nobody/knows", "period": "90"}).status_code == 200
    assert sign_in(make_user("Sam", is_staff=True)).get(f"{LIST}begin/").status_code == 403
    assert not PlaybookTrial.objects.exists()


def test_only_the_newest_are_kept(past, olga, time_machine, monkeypatch) -> None:
    monkeypatch.setattr(work, "KEPT", 2)
    time_machine.move_to(NOW)
    client = sign_in(olga)
    for hour in range(3):
        time_machine.move_to(NOW + timedelta(hours=hour))
        begin(client)
    assert PlaybookTrial.objects.count() == 2
