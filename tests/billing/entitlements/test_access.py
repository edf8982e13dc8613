"""What is granted, by facts alone."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.entitlements.access import ORDER, Access, State, SuspensionFacts, Why, access_from
from billing.mirror.facts import SubscriptionStatus, invoice_facts, subscription_facts
from tests.billing.objects import invoice, open_invoice, subscription

SINCE = datetime(2026, 2, 9, tzinfo=UTC)


ENDED = subscription(status="canceled")


def suspension(**fields: Any) -> SuspensionFacts:
    whole = {"customer_id": "cus_1", "subscription_id": "sub_1", "invoice_id": "in_2", "reason": "unpaid"}
    return SuspensionFacts(**{**whole, "since": SINCE, "by": "dunning", **fields})


def access(*subscriptions: dict[str, Any], owed: Any = (), suspensions: Any = ()) -> Access:
    subs = [subscription_facts(each) for each in subscriptions]
    return access_from(subs, [invoice_facts(each) for each in owed], suspensions)


@pytest.mark.parametrize(
    ("subscriptions", "owed", "suspensions", "state", "why"),
    [
        ([], [], [], State.REVOKED, Why.NO_PLAN),
        ([subscription()], [], [], State.ACTIVE, Why.PAID),
        ([subscription(status="trialing")], [], [], State.ACTIVE, Why.TRIAL),
        # a renewal failed: Stripe tries again, the product serves
        ([subscription(status="past_due")], [open_invoice()], [], State.GRACE, Why.PAYMENT_FAILED),
        # an invoice beside the renewals failed: the status does not say it, the facts do
        ([subscription()], [open_invoice()], [], State.GRACE, Why.PAYMENT_FAILED),
        # the same, before it was tried
        ([subscription()], [open_invoice(attempt_count=0, attempted=False)], [], State.ACTIVE, Why.PAID),
        ([subscription(status="past_due")], [open_invoice()], [suspension()], State.SUSPENDED, Why.SUSPENDED),
        # paid in the meantime, and nobody has lifted it: nothing rests
        ([subscription()], [invoice("in_2")], [suspension()], State.ACTIVE, Why.PAID),
        ([subscription(status="past_due")], [], [suspension()], State.GRACE, Why.PAYMENT_FAILED),
        # given up at Stripe is not paid
        ([subscription()], [open_invoice(status="uncollectible")], [suspension()], State.SUSPENDED, Why.SUSPENDED),
        # of another subscription, of another customer
        ([subscription()], [open_invoice()], [suspension(subscription_id="sub_9")], State.GRACE, Why.PAYMENT_FAILED),
        ([subscription()], [open_invoice()], [suspension(customer_id="cus_9")], State.GRACE, Why.PAYMENT_FAILED),
        # without a condition: until somebody lifts it
        ([subscription()], [], [suspension(invoice_id="", subscription_id="")], State.SUSPENDED, Why.SUSPENDED),
        ([subscription(status="unpaid")], [open_invoice()], [], State.SUSPENDED, Why.UNPAID),
        ([subscription(status="paused")], [], [], State.SUSPENDED, Why.PAUSED),
        ([subscription(status="incomplete")], [open_invoice()], [], State.REVOKED, Why.NOT_PAID_YET),
        # the end is the end, whatever rests
        ([subscription(status="canceled")], [open_invoice()], [suspension()], State.REVOKED, Why.ENDED),
        # bought again after the end: the old suspension suspends nobody
        ([subscription("sub_2"), ENDED], [open_invoice()], [suspension()], State.ACTIVE, Why.PAID),
        ([subscription(status="of-tomorrow")], [], [], State.GRACE, Why.UNKNOWN),
    ],
)  # fmt: skip
def test_access_follows_from_facts(subscriptions, owed, suspensions, state, why) -> None:
    found = access(*subscriptions, owed=owed, suspensions=suspensions)
    assert (found.state, found.why) == (state, why)


def test_a_suspension_says_since_when_and_by_whom() -> None:
    found = access(subscription(status="past_due"), owed=[open_invoice()], suspensions=[suspension()])
    assert (found.since, found.by, found.granted) == (SINCE, "dunning", False)


lives = st.lists(
    st.builds(
        lambda number, status: subscription(f"sub_{number}", status=status),
        st.integers(1, 3),
        st.sampled_from([status.value for status in SubscriptionStatus]),
    ),
    max_size=3,
)
debts = st.lists(st.sampled_from([open_invoice("in_2"), invoice("in_2"), open_invoice("in_3")]), max_size=2)
rests = st.lists(
    st.builds(
        lambda sub, inv: suspension(subscription_id=sub, invoice_id=inv),
        st.sampled_from(["", "sub_1", "sub_2"]),
        st.sampled_from(["", "in_2", "in_3"]),
    ),
    max_size=3,
)


@given(lives, debts, rests, rests)
def test_more_suspensions_never_grant_more(subscriptions, owed, some, more) -> None:
    before = access(*subscriptions, owed=owed, suspensions=some)
    after = access(*subscriptions, owed=owed, suspensions=[*some, *more])
    assert ORDER.index(after.state) >= ORDER.index(before.state)


@given(lives, rests)
def test_what_waits_for_invoices_ends_when_none_is_owed(subscriptions, suspensions) -> None:
    conditional = [each for each in suspensions if each.invoice_id]
    paid = [invoice("in_2"), invoice("in_3")]
    assert access(*subscriptions, owed=paid, suspensions=conditional) == access(*subscriptions, owed=paid)
