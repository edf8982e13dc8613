"""Suspending and restoring: once by key, with news and an event in one transaction, shown on the page."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import transaction
from django.test import Client

from billing.activity import verbs
from billing.activity.models import Activity
from billing.entitlements.access import State
from billing.entitlements.models import Suspension
from billing.entitlements.resolve import access_of
from billing.models import InboxEvent
from ops.effects.outcome import Done, Refused
from ops.effects.registry import Call, by_arn
from tests.billing.mirrored import put_in_mirror
from tests.billing.objects import open_invoice, price, product, subscription
from tests.cast import sign_in

NOW = datetime(2026, 2, 10, 9, tzinfo=UTC)
SUSPEND = '{"subscription": "sub_1", "invoice": "in_2", "cancels_at": "2099-02-20T09:00:00Z"}'


@pytest.fixture
def behind(acme, customer_of) -> Any:
    """Acme, whose renewal was not paid."""
    customer_of(acme, "cus_1")
    put_in_mirror(product(), price(), subscription(status="past_due"), open_invoice())
    return acme


def call(key: str = "dunning:e:1", **fields: Any) -> Call:
    return Call(key=key, now=NOW, cause="dunning", customer_id=fields.pop("customer_id", "cus_1"), **fields)


def suspend(text: str = SUSPEND, **fields: Any) -> Any:
    return by_arn("arn:aws:states:local:000000000000:activity:suspend-access").call(text, call(**fields))


def restore(text: str = "{}", **fields: Any) -> Any:
    return by_arn("arn:aws:states:local:000000000000:activity:restore-access").call(text, call(**fields))


def told() -> list[str]:
    return list(Activity.objects.order_by("pk").values_list("verb", flat=True))


def events() -> list[str]:
    return list(InboxEvent.objects.filter(source="kessai").order_by("pk").values_list("type", flat=True))


def test_access_rests_and_comes_back(behind) -> None:
    assert access_of(behind).state is State.GRACE
    assert isinstance(suspend(), Done)
    assert access_of(behind).state is State.SUSPENDED
    assert restore(key="dunning:e:2") == Done({"restored": 1})
    assert access_of(behind).state is State.GRACE
    assert told() == [verbs.ACCESS_SUSPENDED, verbs.ACCESS_RESTORED]
    assert events() == ["access.suspended", "access.restored"]


def test_the_same_call_again_does_nothing_more(behind) -> None:
    assert suspend() == suspend() == suspend(key="another:e:1")
    assert restore(key="r") == Done({"restored": 1})
    assert restore(key="r") == Done({"restored": 0})
    # made again after it was restored, under its own key, it is not a second suspension
    assert isinstance(suspend(), Done)
    assert (Suspension.objects.count(), told()) == (1, [verbs.ACCESS_SUSPENDED, verbs.ACCESS_RESTORED])


@pytest.mark.parametrize(
    ("text", "customer", "error"),
    [
        ("{}", "cus_9", "NoOrganization"),
        ('{"subscription": "sub_9"}', "cus_1", "SubscriptionEnded"),
        ('{"subscription": "sub_3"}', "cus_1", "SubscriptionEnded"),
        ('{"invoice": "in_9"}', "cus_1", "NotOwed"),
        ('{"invoice": "in_3"}', "cus_1", "NotOwed"),
        ('{"reason": "because"}', "cus_1", "InvalidInput"),
    ],
)
def test_what_has_no_cause_is_refused(behind, text, customer, error) -> None:
    put_in_mirror(subscription("sub_3", status="canceled"), open_invoice("in_3", status="paid", amount_remaining=0))
    outcome = suspend(text, customer_id=customer)
    assert isinstance(outcome, Refused)
    assert outcome.error.startswith(f"{error}: ")
    assert not Suspension.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_nothing_is_told_of_what_was_not_written(behind) -> None:
    class Stopped(Exception):
        pass

    with pytest.raises(Stopped), transaction.atomic():
        suspend()
        raise Stopped
    assert (Suspension.objects.count(), told(), events()) == (0, [], [])


def test_an_event_of_a_workflow_that_is_ahead_does_not_wait_in_the_inbox(behind) -> None:
    future = datetime(2099, 1, 1, tzinfo=UTC)
    by_arn("arn:aws:states:local:000000000000:activity:suspend-access").call(
        SUSPEND, Call(key="k", now=future, cause="dunning", customer_id="cus_1")
    )
    event = InboxEvent.objects.get(source="kessai")
    assert (event.occurred_at, event.received_at < future) == (future, True)
    assert event.due_at is None or event.due_at < future


def test_a_child_has_its_parents_access(behind, charlie) -> None:
    child = charlie.organizations.get()
    assert access_of(child).state is State.REVOKED
    child.parent = behind
    assert access_of(child).state is State.GRACE


def test_the_page_says_so_and_what_to_do(behind, alice, bob) -> None:
    suspend()
    page = overview(behind, alice)
    assert "Access to Business is suspended." in page
    assert "An invoice of ¥5,000 of" in page
    assert "access comes back by itself as soon as it is paid." in page
    assert "Pay ¥5,000 now" in page
    assert "Business is cancelled if the invoice is not paid by then." in page
    assert "Pay ¥5,000 now" not in overview(behind, bob)
    restore(key="r")
    assert "is suspended" not in overview(behind, alice)


def overview(organization: Any, user: Any) -> str:
    client: Client = sign_in(user)
    return client.get(f"/o/{organization.public_id}/").content.decode()


def test_the_console_shows_it_with_who_and_why(behind, olga) -> None:
    suspend()
    row = Suspension.objects.get()
    page = sign_in(olga).get("/admin/find/sub_1/", follow=True).content.decode()
    assert "dunning suspended it." in page
    assert row.invoice_id in page
