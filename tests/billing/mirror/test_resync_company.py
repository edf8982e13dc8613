"""Resyncs of a company with a history: whole, cut short, killed, and beside live events."""

import json
import os
import signal
import threading
import time
from collections import Counter
from io import StringIO
from random import Random
from typing import Any

import httpx
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from billing import stripe_budget, stripe_reading
from billing.inbox.envelope import STRIPE
from billing.inbox.intake import store_events
from billing.inbox.models import Door
from billing.mirror import resync, resync_parts
from billing.mirror.apply import mirror_due
from billing.mirror.fetch import list_pages
from billing.mirror.history import PartState, ResyncPart, ResyncRun, RunState
from billing.mirror.kinds import KINDS
from billing.stripe_accounts import primary
from tests import processes
from tests.billing.mirror.company import KEY, LISTED, assert_mirrored, ids_of, row_versions, running_company, use
from tests.sandbox.running import until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("company")]


@pytest.fixture(scope="module")
def living(tmp_path_factory):
    """A company that tests may change."""
    with running_company(tmp_path_factory.mktemp("company"), customers=40, months=5) as company:
        yield company


@pytest.fixture
def company(living, settings, monkeypatch):
    monkeypatch.setattr(stripe_reading, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(stripe_budget, "FIRST_REST", 0.05)
    monkeypatch.setattr("billing.mirror.fetch.PAGE", 20)
    monkeypatch.setattr("billing.mirror.resync_lists.PAGE", 20)
    monkeypatch.setattr("billing.mirror.resync_walks.PAGE", 20)
    monkeypatch.setattr(resync_parts, "ROWS_IN_A_PART", (30, 60))
    settings.DRIFT_PATIENCE_SECONDS = 0.0
    use(living, settings)
    return living


@pytest.fixture
def stripe(company, settings):
    return use(company, settings)


@pytest.fixture
def trouble(company):
    """Make the company's Stripe refuse or hang, until the test ends."""
    made = []
    with httpx.Client(base_url=company.url, trust_env=False) as http:

        def ask_for(effect: str, **fields: Any) -> None:
            made.append(http.post("/_sandbox/faults", json={"effect": effect, "key": KEY, **fields}).json()["id"])

        yield ask_for
        for number in made:
            http.delete(f"/_sandbox/faults/{number}")


def run(*arguments: str) -> dict[str, Any]:
    out = StringIO()
    call_command("resync", *arguments, "--json", stdout=out)
    return json.loads(out.getvalue())


def totals(done: dict[str, Any]) -> Counter[str]:
    return sum((Counter(outcome) for outcome in done.values() if "unavailable" not in outcome), Counter())


def test_an_empty_mirror_ends_equal_to_stripe_and_a_second_resync_writes_nothing(company, asked):
    first = run()
    assert single(asked, "pm", *ALONE) == []  # parents are there before their children, or come with them
    assert_mirrored(company)
    assert first["invoice"]["created"] >= len(company.listed("invoice")) > 100  # those of a test clock besides
    assert first.pop("account")["unchanged"] == 1  # whose everything is, was found out before
    assert set(totals(first)) == {"created"}  # whichever list brought an object first
    rows = row_versions()
    asked.clear()
    second = run()
    assert row_versions() == rows
    assert set(totals(second)) == {"unchanged"}
    assert totals(second)["unchanged"] >= totals(first)["created"]
    assert single(asked, *ALONE) == []


ALONE = ("in", "sub", "ch", "pi", "price", "prod", "cus")


def single(paths: list[str], *prefixes: str) -> list[str]:
    """The calls that asked for one object."""
    return [path for path in paths if path.rpartition("/")[2].partition("_")[0] in prefixes]


def test_a_mirror_that_differs_here_and_there_is_brought_right(company):
    run(*LISTED)
    with connection.cursor() as cursor:
        cursor.execute(
            'UPDATE djstripe_invoice SET stripe_data = stripe_data || \'{"status": "void"}\''
            " WHERE djstripe_id % 7 = 0 AND stripe_data ->> 'status' <> 'void'"
        )
        changed = cursor.rowcount
        cursor.execute("DELETE FROM djstripe_charge WHERE djstripe_id % 5 = 0")
        lost = cursor.rowcount
    checked = run("--check", "invoice", "charge")
    assert (checked["invoice"]["updated"], checked["charge"]["created"]) == (changed, lost)
    healed = run("invoice", "charge")
    assert (healed["invoice"]["updated"], healed["charge"]["created"]) == (changed, lost)
    assert_mirrored(company)


def test_trouble_on_the_way_changes_nothing_of_the_end(company, trouble):
    trouble("rate_limit", rate=0.08, seed=1)
    trouble("server_error", rate=0.08, seed=2)
    run_again_until_done(*LISTED)
    assert_mirrored(company)


def run_again_until_done(*arguments: str) -> None:
    """As a person would, told that the same command goes on: some call may meet trouble at each of its tries."""
    for _ in range(3):
        try:
            run(*arguments)
            return
        except CommandError as error:
            assert "goes on where it was" in str(error)
    run(*arguments)


def test_a_resync_that_stripe_interrupts_goes_on_where_it_was(company, trouble, asked, settings):
    settings.STRIPE_CALLS_AT_ONCE = 1  # list after list: some are through when invoices fail
    trouble("server_error", path="/v1/invoices", after=6)
    with pytest.raises(CommandError, match="goes on where it was"):
        run(*LISTED)
    stopped = ResyncRun.objects.get()
    assert stopped.state == RunState.STOPPED
    assert "unknown error" in stopped.error
    httpx.delete(f"{company.url}/_sandbox/faults", trust_env=False)
    before = lists_done(stopped)
    assert before
    asked.clear()
    done = run(*LISTED)
    assert ResyncRun.objects.get().pk == stopped.pk
    assert ResyncRun.objects.get().state == RunState.DONE
    assert before.isdisjoint(asked)
    assert done["customer"]["created"] == 40
    assert_mirrored(company)


def lists_done(run: ResyncRun) -> set[str]:
    """The addresses of the lists that were walked to their end."""
    parts = run.parts.all()
    waiting = {part.kind for part in parts if part.state == PartState.WAITING}
    return {KINDS[part.kind].path for part in parts} - {KINDS[kind].path for kind in waiting}


@pytest.mark.parametrize(("parts", "calls"), [(0, 3), (1, 0), (1, 6), (4, 0)])
def test_killed_and_started_again_it_goes_on(company, parts, calls):
    """Killed when so many parts have been begun, and about so many calls made since."""
    process = processes.start("manage", "resync", *LISTED, "--json", STRIPE_RATE_LIMIT_TEST="4")
    until(lambda: ResyncPart.objects.exists(), 60)
    until(lambda: ResyncPart.objects.exclude(cursor="").count() >= parts, 60)
    time_left = time.monotonic() + calls / 4
    until(lambda: time.monotonic() > time_left, 60)
    assert process.poll() is None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    killed = ResyncRun.objects.get()
    assert killed.state == RunState.RUNNING
    before = set(ResyncPart.objects.filter(state=PartState.DONE).values_list("pk", flat=True))
    done = run(*LISTED)
    assert ResyncRun.objects.get().pk == killed.pk
    # What was written before the kill counts, and nothing counts twice.
    assert {name: dict(done[name]) for name in LISTED} == {
        name: {"created": len(ids_of(name)), "updated": 0, "unchanged": 0, "deleted": 0, "refused": 0}
        for name in LISTED
    }
    assert before <= set(ResyncPart.objects.filter(state=PartState.DONE).values_list("pk", flat=True))
    assert not ResyncPart.objects.filter(state=PartState.WAITING).exists()
    assert_mirrored(company)


def test_two_of_the_same_do_not_run_side_by_side(company, monkeypatch):
    monkeypatch.setattr(resync, "PATIENCE", 0.2)
    wanted = resync_parts.Wanted(("product",), ("",))
    work = resync.begin(wanted, [primary()], timezone.now)
    failures: list[str] = []

    def second() -> None:
        try:
            run("product")
        except CommandError as error:
            failures.append(str(error))
        finally:
            connection.close()

    other = threading.Thread(target=second)
    other.start()
    other.join()
    assert failures and "running already" in failures[0]
    resync.carry_out(work)
    assert run("product")["product"]["unchanged"] == 4


def test_what_stripe_has_no_more_is_marked_and_counted(company, stripe):
    coupons = [stripe.v1.coupons.create({"percent_off": 10, "duration": "once"}).id for _ in range(30)]
    others = run("coupon")["coupon"]["created"] - len(coupons)
    gone = coupons[3:24]
    for coupon in gone:
        stripe.v1.coupons.delete(coupon)
    assert run("--check", "coupon")["coupon"]["deleted"] == len(gone)
    done = run("coupon")["coupon"]
    assert (done["deleted"], done["unchanged"]) == (len(gone), others + len(coupons) - len(gone))
    assert run("coupon")["coupon"]["deleted"] == 0
    marked = {row.id for row in KINDS["coupon"].model.objects.all() if row.stripe_data.get("deleted")}
    assert marked == set(gone)


@pytest.mark.parametrize("seed", range(3))
def test_live_events_beside_a_resync_leave_the_mirror_equal_to_stripe(company, stripe, seed):
    """Objects change while they are listed; their events come late, twice, in any order."""
    random, done = Random(seed), threading.Event()
    customers = list(company.listed("customer"))
    products = list(company.listed("product"))
    since = int(time.time()) - 1
    errors: list[BaseException] = []

    def live() -> None:
        try:
            while not done.is_set():
                change_something(stripe, random, customers, products)
                if random.random() < 0.3:
                    deliver(random, since)
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    living = threading.Thread(target=live)
    living.start()
    run(*LISTED, "coupon")
    run(*LISTED, "coupon")
    done.set()
    living.join()
    assert not errors
    deliver(random, since)
    mirror_due(timezone.now, budget_seconds=60)
    assert_mirrored(company, *LISTED, "coupon")


def change_something(stripe: Any, random: Random, customers: list[str], products: list[str]) -> None:
    act = random.randrange(4)
    if act == 0:
        stripe.v1.customers.update(random.choice(customers), {"name": f"Name {random.random()}"})
    elif act == 1:
        stripe.v1.products.update(random.choice(products), {"description": f"Text {random.random()}"})
    elif act == 2:
        stripe.v1.coupons.create({"percent_off": random.randint(1, 99), "duration": "once"})
    else:
        for coupon in stripe.v1.coupons.list({"limit": 1}).data:
            stripe.v1.coupons.delete(coupon.id)


def deliver(random: Random, since: int) -> None:
    """Everything that was announced since then, shuffled, some of it twice."""
    pages = list_pages("/v1/events", {"created": {"gte": since}})
    events = [event for page in pages for event in page.objects]
    events += random.sample(events, len(events) // 3)
    random.shuffle(events)
    store_events(events, source=STRIPE, door=Door.WEBHOOK, owner="", now=timezone.now())
    mirror_due(timezone.now, budget_seconds=20)


def test_only_what_was_created_since_then_is_listed(company):
    invoices = company.listed("invoice")
    middle = sorted(data["created"] for data in invoices.values())[len(invoices) // 2]
    since = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(middle))
    newer = [data for data in invoices.values() if data["created"] >= middle]
    run("product", "price", "customer", "subscription")
    assert len(newer) <= run("invoice", "--since", since)["invoice"]["created"] < len(invoices)


def test_one_customer_with_all_that_is_theirs(company, asked):
    paid = {data["customer"] for data in company.listed("charge").values()}
    customer = next(data["customer"] for data in company.listed("subscription").values() if data["customer"] in paid)
    done = run("--customer", customer)
    for name in ("subscription", "invoice", "charge", "payment_intent"):
        theirs = [data for data in company.listed(name).values() if data["customer"] == customer]
        assert done[name]["created"] + done[name]["unchanged"] == len(theirs) > 0, name
    assert KINDS["customer"].model.objects.get().id == customer
    assert done["customer"]["created"] == 1
    KINDS["customer"].model.objects.update(stripe_data={"id": customer, "object": "customer", "name": "Wrong"})
    assert run("--customer", customer, "--check")["customer"]["updated"] == 1
    assert run("--customer", customer)["customer"]["updated"] == 1


def test_another_accounts_rows_are_none_of_this_resyncs_business(company, settings):
    """They are neither listed nor missing: another key is no great deletion."""
    run("product", "coupon")
    settings.STRIPE_SECRET_KEY = "sk_test_51" + "K" * 15 + "0" * 16
    rows = {row.id: row.stripe_data for row in KINDS["product"].model.objects.all()}
    done = run("product")
    assert done["product"] == {"created": 0, "updated": 0, "unchanged": 0, "deleted": 0, "refused": 0}
    assert {row.id: row.stripe_data for row in KINDS["product"].model.objects.all()} == rows
