"""Pages that do something: against a Stripe over HTTP, and against none."""

from collections.abc import Callable

import pytest
from django.test import Client

from accounts.models import Organization
from billing.mirror import querysets
from billing.mirror.facts import SubscriptionFacts
from tests.billing.shop import DECLINED, Shop, pay

pytestmark = pytest.mark.django_db(transaction=True)


def living(organization: Organization) -> SubscriptionFacts:
    found = querysets.living_subscription(organization)
    assert found
    return found


def test_subscribe_leads_to_stripes_page_and_back_to_a_pending_one(
    acme: Organization, shop: Shop, member: Client
) -> None:
    answer = member.post(f"/o/{acme.public_id}/subscribe/", {"price": shop.business})
    assert answer.status_code == 302
    back = pay(answer["Location"])
    assert back.status_code == 303
    returned = member.get(back.headers["Location"].removeprefix("http://127.0.0.1:8000"))
    assert returned.status_code == 200
    assert "We are waiting for Stripe&#x27;s confirmation of Business." in returned.content.decode()
    shop.mirror_events()
    turned = member.get(back.headers["Location"].removeprefix("http://127.0.0.1:8000")).content.decode()
    assert "Business is active." in turned
    assert "We charge ¥5,000 to Visa ·· 4242." in turned


def test_a_declined_card_can_be_followed_by_a_good_one(acme: Organization, shop: Shop, member: Client) -> None:
    page = member.post(f"/o/{acme.public_id}/subscribe/", {"price": shop.business})["Location"]
    refused = pay(page, number=DECLINED)
    assert "insufficient funds" in refused.text
    pay(page)
    shop.mirror_events()
    assert living(acme).status == "active"


def test_subscribing_twice_leads_to_the_plan_there_is(subscribed: Organization, shop: Shop, member: Client) -> None:
    answer = member.post(f"/o/{subscribed.public_id}/subscribe/", {"price": shop.team}, follow=True)
    assert "You have a subscription already, so no second one was started." in answer.content.decode()
    assert len(shop.subscriptions()) == 1


def test_a_plan_that_only_stripe_knew_of_is_shown_after_the_click(
    acme: Organization, shop: Shop, member: Client
) -> None:
    """Somebody made it in Stripe's dashboard, and its event has not come."""
    member.post(f"/o/{acme.public_id}/subscribe/", {"price": shop.business})
    shop.stripe.v1.checkout.sessions.expire(shop.open_sessions()[0])
    shop.stripe.v1.subscriptions.create(
        {
            "customer": shop.customers()[0],
            "items": [{"price": shop.team}],
            "collection_method": "send_invoice",
            "days_until_due": 30,
        }
    )
    answer = member.post(f"/o/{acme.public_id}/subscribe/", {"price": shop.business}, follow=True)
    assert "Team is active." in answer.content.decode()


def test_cancelling_says_the_consequence_first_and_charges_nothing_more(
    subscribed: Organization, shop: Shop, member: Client
) -> None:
    page = member.get(f"/o/{subscribed.public_id}/cancel/").content.decode()
    for words in ("Everything works as before until", "Nothing more.", "Audit log", "Cancel Business · ends"):
        assert words in page
    assert not living(subscribed).ends_at
    after = member.post(f"/o/{subscribed.public_id}/cancel/", {"intent": "a"}, follow=True).content.decode()
    assert living(subscribed).ends_at == living(subscribed).period_end
    assert "Business is active and ends on" in after
    assert "Nothing more is charged." in after
    assert "We charge" not in after


def test_a_cancellation_can_be_taken_back_and_given_again(subscribed: Organization, shop: Shop, member: Client) -> None:
    for round in ("first", "second"):
        member.post(f"/o/{subscribed.public_id}/cancel/", {"intent": f"cancel-{round}"})
        assert living(subscribed).ends_at, round
        member.post(f"/o/{subscribed.public_id}/resume/", {"intent": f"resume-{round}"})
        assert not living(subscribed).ends_at, round
    told = member.get(f"/o/{subscribed.public_id}/").content.decode()
    assert "Business is active." in told


def test_cancelling_twice_is_cancelling_once(subscribed: Organization, shop: Shop, member: Client) -> None:
    for _ in range(2):
        answer = member.post(f"/o/{subscribed.public_id}/cancel/", {"intent": "same"}, follow=True)
        assert answer.status_code == 200
    updates = [
        event
        for event in shop.stripe.v1.events.list({"type": "customer.subscription.updated", "limit": 100}).data
        if event.data.object["cancel_at_period_end"]
    ]
    assert len(updates) == 1


def test_the_payment_method_is_changed_at_stripe(subscribed: Organization, sandbox: str, member: Client) -> None:
    answer = member.post(f"/o/{subscribed.public_id}/payment-method/")
    assert answer.status_code == 302
    assert answer["Location"].startswith(sandbox)


@pytest.mark.parametrize("page", ["subscribe/", "cancel/", "payment-method/"])
def test_stripe_unreachable_is_said_and_may_be_repeated(
    subscribed: Organization, shop: Shop, member: Client, unplug: Callable[[], None], page: str
) -> None:
    if page == "subscribe/":
        shop.stripe.v1.subscriptions.cancel(living(subscribed).id)
        shop.mirror_events()
    unplug()
    answer = member.post(f"/o/{subscribed.public_id}/{page}", {"price": shop.team, "intent": "kept"})
    assert answer.status_code == 503
    told = answer.content.decode()
    assert "Stripe cannot be reached just now." in told
    assert "it happens once" in told
    if page == "cancel/":
        assert 'name="intent" value="kept"' in told
    if page == "subscribe/":
        assert f'name="price" value="{shop.team}"' in told


def test_a_price_withdrawn_at_stripe_is_told_in_stripes_words(acme: Organization, shop: Shop, member: Client) -> None:
    shop.stripe.v1.prices.update(shop.business, {"active": False})
    answer = member.post(f"/o/{acme.public_id}/subscribe/", {"price": shop.business})
    assert answer.status_code == 422
    assert "The price specified is inactive." in answer.content.decode()


def test_nothing_to_cancel_is_a_sentence(acme: Organization, member: Client) -> None:
    answer = member.get(f"/o/{acme.public_id}/cancel/", follow=True)
    assert "There is nothing to cancel" in answer.content.decode()


def test_a_cancellation_whose_answer_was_lost_reads_as_done(
    subscribed: Organization, shop: Shop, member: Client, unplug: Callable[[], None]
) -> None:
    shop.stripe.v1.subscriptions.update(living(subscribed).id, {"cancel_at_period_end": True})
    shop.mirror_events()  # its webhook arrived meanwhile
    unplug()
    retried = member.post(f"/o/{subscribed.public_id}/cancel/", {"intent": "same"}, follow=True).content.decode()
    assert "Business is cancelled. It goes on until " in retried
    assert "There is nothing to cancel" not in retried


def test_one_that_ended_at_once_reads_as_cancelled_too(subscribed: Organization, shop: Shop, member: Client) -> None:
    shop.stripe.v1.subscriptions.cancel(living(subscribed).id)
    shop.mirror_events()
    retried = member.post(f"/o/{subscribed.public_id}/cancel/", {"intent": "same"}, follow=True).content.decode()
    assert "Business is cancelled: it ended on " in retried


def test_a_cancellation_that_is_taken_back_already_reads_so(subscribed: Organization, member: Client) -> None:
    retried = member.post(f"/o/{subscribed.public_id}/resume/", {"intent": "same"}, follow=True).content.decode()
    assert "Business goes on: no cancellation stands." in retried
