"""The playbook *hosting*, from a subscription to its stack and back: real events, Stripe's ledger, moto's AWS."""

from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from django.core import mail
from django.core.management import call_command

from accounts.models import CustomerLink
from billing.activity.models import Activity
from billing.inbox.sqs import Receiver, open_queue
from billing.stripe_accounts import primary
from config.demo.aws.names import queue_url
from ops.effects import aws as aws_calls
from ops.models import Finding
from ops.workflows.models import Execution
from ops.workflows.resources import make
from tests.aws import EVENTS
from tests.cast import sign_in
from tests.ops.playbooks.hosting import Hosting

pytestmark = pytest.mark.django_db(transaction=True)
DAY = timedelta(days=1)


@pytest.fixture
def hosting(acme, stripe, stacks, capsys) -> Any:
    call_command("playbooks", "apply", "hosting", "--on")
    now = datetime.now(tz=UTC).replace(microsecond=0) + timedelta(seconds=1)  # after the rules were switched on
    queue = open_queue(queue_url(stacks, EVENTS))
    story = Hosting(stripe, acme, Receiver(queue, primary(), clock=lambda: story.now, wait_seconds=0), now)
    while story.receiver.receive().received:  # what other tests' stacks left
        pass
    yield story
    cloudformation = boto3.client("cloudformation")
    for stack in cloudformation.describe_stacks()["Stacks"]:
        cloudformation.delete_stack(StackName=stack["StackId"])
    aws_calls.made.cache_clear()


def page_of(story: Hosting, person: Any, language: str = "en") -> str:
    address = f"/o/{story.organization.public_id}/"
    answer = sign_in(person).get(address, headers={"Accept-Language": language})
    assert answer.status_code == 200
    return answer.content.decode()


def instance_state(story: Hosting) -> str:
    found = boto3.client("ec2").describe_instances(InstanceIds=[story.provision.instance_id])
    return str(found["Reservations"][0]["Instances"][0]["State"]["Name"])


def stacks_there(story: Hosting) -> int:
    """How many stacks it has; other tests' may be there too."""
    its = {"Key": "kessai:organization", "Value": story.organization.public_id}
    return len([stack for stack in boto3.client("cloudformation").describe_stacks()["Stacks"] if its in stack["Tags"]])


def verbs(story: Hosting) -> list[str]:
    news = Activity.objects.filter(organization=story.organization, verb__startswith="provision:").order_by("pk")
    return [verb.removeprefix("provision:") for verb in news.values_list("verb", flat=True)]


def test_what_is_paid_is_built_and_the_page_turns(hosting, alice):
    hosting.subscribe()
    hosting.until_state("building")
    assert "Your server is being built." in page_of(hosting, alice)
    provision = hosting.until_state("ready")
    hosting.until_idle()
    page = page_of(hosting, alice)
    assert "Your server is ready." in page
    assert provision.address in page
    assert instance_state(hosting) == "running"
    assert verbs(hosting) == ["building", "ready"]
    assert set(hosting.executions) == {"hosting-build"}


def test_what_needs_no_server_gets_none(hosting):
    hosting.subscribe(provision="")
    hosting.hear()
    hosting.hear()
    assert not Execution.objects.exists()


def test_a_payer_whom_nobody_knows_is_left_to_a_person(hosting):
    hosting.subscribe()
    CustomerLink.objects.all().delete()
    hosting.until(lambda: Finding.objects.exists())
    assert Finding.objects.get().subject == hosting.subscription
    assert set(hosting.executions.values()) == {"FAILED"}


def test_a_build_that_fails_once_is_tried_again_after_ten_seconds(hosting, fail_builds):
    fail_builds(1)
    hosting.subscribe()
    hosting.until(lambda: hosting.stands_at("Wait a little"))
    assert hosting.provision.attempt == 1
    hosting.later(seconds=9)
    assert hosting.provision.attempt == 1
    hosting.later(seconds=2)
    assert hosting.until_state("ready").attempt == 2
    assert "sufficient capacity" in hosting.provision.reason
    assert stacks_there(hosting) == 1
    assert hosting.refunds() == []


def twice(made: Any, *, now: datetime) -> Any:
    """Every call is made, its answer is lost, and it is made again."""
    make(made, now=now)
    return make(made, now=now)


@pytest.mark.parametrize(("how", "failures"), [(make, 3), (twice, 20)], ids=["once", "every call twice"])
def test_what_fails_three_times_is_cancelled_and_refunded_once(hosting, fail_builds, alice, bob, how, failures):
    hosting.make = how
    fail_builds(failures)
    hosting.subscribe()
    hosting.until_it_failed_twice()
    hosting.until_state("failed")
    hosting.until_idle()
    assert hosting.provision.attempt == 3
    assert hosting.refunds() == [3000]
    assert hosting.stripe.v1.subscriptions.retrieve(hosting.subscription).status == "canceled"
    assert set(hosting.executions.values()) == {"SUCCEEDED"}
    [letter] = mail.outbox
    assert letter.to == ["alice@example.com"]
    assert "¥3,000 back" in letter.body
    page = page_of(hosting, alice)
    assert "We could not build your server." in page
    assert "¥3,000 is on its way back to you" in page
    assert stacks_there(hosting) == 0
    assert not Finding.objects.exists()


def test_a_trial_that_cannot_be_built_costs_nothing(hosting, fail_builds, alice):
    fail_builds(3)
    hosting.subscribe(trial_period_days=7)
    hosting.until_it_failed_twice()
    hosting.until_idle()
    assert "nothing was charged" in page_of(hosting, alice)
    assert "Nothing was charged" in mail.outbox[0].body
    assert hosting.refunds() == []


def test_an_event_that_aws_never_sent_is_made_up_for(hosting):
    hosting.subscribe()
    hosting.until(lambda: hosting.stands_at("Wait until it is built"))
    while hosting.receiver._queue.receive(wait_seconds=0):  # taken, and never told
        pass
    hosting.later(minutes=11)
    hosting.until_state("ready")
    assert hosting.provision.instance_id


def test_what_is_not_paid_stops_after_some_days_and_starts_when_it_is_paid(hosting, alice):
    hosting.subscribe()
    hosting.until_state("ready")
    hosting.pay_with("pm_card_chargeCustomerFail")
    hosting.later(days=32)
    hosting.until(lambda: hosting.provision.stop_at)
    assert "Your server is stopped unless the invoice is paid by then." in page_of(hosting, alice)
    assert instance_state(hosting) == "running"
    hosting.later(days=3, minutes=1)
    hosting.until_state("stopped")
    assert instance_state(hosting) == "stopped"
    assert "Your server is stopped." in page_of(hosting, alice)
    hosting.pay_with("pm_card_visa")
    [owed] = hosting.stripe.v1.invoices.list({"customer": hosting.customer, "status": "open"}).data
    hosting.stripe.v1.invoices.pay(owed.id)
    hosting.until_state("ready")
    assert instance_state(hosting) == "running"
    hosting.until_idle()
    assert verbs(hosting) == ["building", "ready", "to_be_stopped", "stopped", "started"]


def test_what_is_paid_in_time_goes_on(hosting):
    hosting.subscribe()
    hosting.until_state("ready")
    hosting.pay_with("pm_card_chargeCustomerFail")
    hosting.later(days=32)
    hosting.until(lambda: hosting.provision.stop_at)
    hosting.pay_with("pm_card_visa")
    [owed] = hosting.stripe.v1.invoices.list({"customer": hosting.customer, "status": "open"}).data
    hosting.stripe.v1.invoices.pay(owed.id)
    hosting.until_idle()
    hosting.later(days=4)
    assert hosting.provision.state == "ready"
    assert hosting.provision.stop_at is None
    assert verbs(hosting) == ["building", "ready", "to_be_stopped", "kept"]


def test_what_was_cancelled_is_kept_and_deleted_on_its_day(hosting, alice):
    hosting.subscribe()
    hosting.until_state("ready")
    hosting.stripe.v1.subscriptions.cancel(hosting.subscription)
    provision = hosting.until_state("ending")
    hosting.hear()
    assert provision.delete_at == hosting.now + 7 * DAY
    assert instance_state(hosting) == "stopped"
    assert "then it is deleted with everything on it" in page_of(hosting, alice)
    hosting.later(days=6, hours=23)
    assert stacks_there(hosting) == 1
    hosting.later(hours=2)
    hosting.until_state("deleted")
    hosting.until_idle()
    assert stacks_there(hosting) == 0
    assert "Your server was deleted" in page_of(hosting, alice)


def test_what_is_cancelled_while_it_is_built_leaves_nothing(hosting):
    hosting.subscribe()
    hosting.until_state("building")
    hosting.stripe.v1.subscriptions.cancel(hosting.subscription)
    hosting.until_state("deleted")
    hosting.until_idle()
    assert stacks_there(hosting) == 0
    assert hosting.refunds() == []
    assert set(hosting.executions.values()) == {"SUCCEEDED"}


def test_a_refund_that_stripe_refuses_is_left_to_a_person(hosting, fail_builds):
    fail_builds(3)
    hosting.subscribe()
    hosting.until_state("building")
    invoice = hosting.stripe.v1.subscriptions.retrieve(hosting.subscription).latest_invoice
    intent = hosting.stripe.v1.invoice_payments.list({"invoice": invoice}).data[0].payment.payment_intent
    hosting.stripe.v1.refunds.create({"payment_intent": intent})  # somebody was quicker
    hosting.until_it_failed_twice()
    hosting.until(lambda: Finding.objects.exists())
    assert Finding.objects.get().severity == "urgent"
    assert hosting.refunds() == [3000]


def change_plan(story: Hosting, provision: str, amount: int) -> None:
    """Change the one item of the subscription to a price with, or without, a server."""
    item = story.stripe.v1.subscriptions.retrieve(story.subscription)["items"].data[0]
    price = story.stripe.v1.prices.create(
        {
            "product": item.price.product,
            "currency": "jpy",
            "unit_amount": amount,
            "recurring": {"interval": "month"},
            "metadata": {"kessai_provision": provision} if provision else {},
        }
    )
    story.stripe.v1.subscriptions.update(story.subscription, {"items": [{"id": item.id, "price": price.id}]})


def test_a_plan_without_a_server_lets_it_go_after_the_same_days(hosting, alice):
    hosting.subscribe()
    hosting.until_state("ready")
    change_plan(hosting, "", 1000)
    provision = hosting.until_state("ending")
    hosting.until(lambda: instance_state(hosting) == "stopped")
    assert provision.delete_at == hosting.now + 7 * DAY
    page = page_of(hosting, alice)
    assert "Your plan has no server any more: the one you had is stopped and kept until" in page
    assert "Change back before that day" in page
    hosting.later(days=6, hours=23)
    assert stacks_there(hosting) == 1
    hosting.later(hours=2)
    hosting.until_state("deleted")
    hosting.until_idle()
    assert stacks_there(hosting) == 0
    assert hosting.stripe.v1.subscriptions.retrieve(hosting.subscription).status == "active"
    assert not Finding.objects.exists()
    # Chosen again after that, it is built anew.
    change_plan(hosting, "stack", 4000)
    assert hosting.until_state("ready").delete_at is None
    hosting.until_idle()
    assert stacks_there(hosting) == 1
    assert verbs(hosting) == ["building", "ready", "ending", "deleted", "building", "ready"]


def test_a_plan_that_is_changed_back_in_time_has_its_server_back(hosting):
    hosting.subscribe()
    first = hosting.until_state("ready").instance_id
    change_plan(hosting, "", 1000)
    hosting.until_state("ending")
    hosting.until(lambda: instance_state(hosting) == "stopped")
    hosting.later(days=6)
    change_plan(hosting, "stack", 3000)
    back = hosting.until_state("ready")
    hosting.until_idle()
    assert (back.instance_id, back.delete_at, instance_state(hosting)) == (first, None, "running")
    assert verbs(hosting) == ["building", "ready", "ending", "taken_back", "started"]
    hosting.later(days=9)
    assert (hosting.provision.state, stacks_there(hosting)) == ("ready", 1)
    # Ended for good, it is let go as ever.
    hosting.stripe.v1.subscriptions.cancel(hosting.subscription)
    assert hosting.until_state("ending").delete_at == hosting.now + 7 * DAY


def test_another_plan_with_a_server_changes_nothing(hosting):
    hosting.subscribe()
    hosting.until_state("ready")
    change_plan(hosting, "stack", 9000)
    hosting.until_idle()
    hosting.hear()
    hosting.until_idle()
    assert (hosting.provision.state, instance_state(hosting), stacks_there(hosting)) == ("ready", "running", 1)
