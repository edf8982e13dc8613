"""An organization's Stripe customer: at most one, whatever races, dies or is lost on the way. Against the sandbox."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
import stripe
from django.db import transaction

from accounts import customers
from accounts.customers import CustomerIsSettling, adopt_customer, ensure_customer, organization_of
from accounts.models import CustomerLink, Organization
from tests.accounts.races import race

Connect = Callable[..., stripe.StripeClient]


class FaultyClient(stripe.HTTPXClient):
    """Real calls whose answers can get lost, or be those of a Stripe that failed under this key before."""

    def __init__(self, *, fault: str = "") -> None:
        super().__init__(timeout=30, allow_sync_methods=True)
        self.fault = fault
        self.posts = 0

    def request(self, method: str, url: str, *arguments: Any, **words: Any) -> Any:  # type: ignore[override]
        answer = super().request(method, url, *arguments, **words)
        if method != "post":
            return answer
        self.posts += 1
        if self.fault == "answer lost":
            raise stripe.APIConnectionError("The connection was closed before the answer came.")
        if self.fault == "failure repeated" and self.posts == 1:
            body = '{"error": {"type": "api_error", "message": "An unknown error occurred"}}'
            return body, 500, {"idempotent-replayed": "true", "stripe-should-retry": "false"}
        return answer


@pytest.fixture
def connect(sandbox: str, stripe_key: str) -> Connect:
    """Clients of one Stripe account that is fresh for this test."""

    def connect(http_client: stripe.HTTPClient | None = None, *, retries: int = 2) -> stripe.StripeClient:
        return stripe.StripeClient(
            stripe_key,
            base_addresses={"api": sandbox},
            max_network_retries=retries,
            http_client=http_client or stripe.HTTPXClient(timeout=30, allow_sync_methods=True),
        )

    return connect


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC)


def ensure(organization: Organization, client: stripe.StripeClient, now: datetime) -> str:
    return ensure_customer(organization, client, livemode=False, now=now)


def customers_at(client: stripe.StripeClient) -> list[dict[str, Any]]:
    return [customer.to_dict() for customer in client.v1.customers.list().auto_paging_iter()]


pytestmark = pytest.mark.django_db(transaction=True)


def test_it_makes_a_customer_that_names_the_organization(acme, connect, now) -> None:
    customer_id = ensure(acme, connect(), now)
    customer = connect().v1.customers.retrieve(customer_id).to_dict()
    assert (customer["name"], customer["email"]) == (acme.name, acme.billing_email)
    assert customer["metadata"] == {"kessai_organization": acme.public_id}
    assert organization_of(customer_id) == acme
    assert organization_of("cus_unknown") is None


def test_a_linked_customer_is_returned_without_a_call(acme, connect, now) -> None:
    customer_id = ensure(acme, connect(), now)
    unreachable = stripe.StripeClient("sk_test_x", base_addresses={"api": "http://127.0.0.1:9"})
    assert ensure(acme, unreachable, now) == customer_id


def test_twenty_requests_at_once_make_one_customer(acme, connect, now) -> None:
    clients = [connect(retries=0) for _ in range(20)]
    answers = race([partial(ensure, acme, client, now) for client in clients])
    made = customers_at(connect())
    assert [customer["id"] for customer in made] == list(set(answers))
    assert CustomerLink.objects.count() == 1


def test_live_and_test_mode_have_customers_of_their_own(acme, connect, now) -> None:
    test = ensure(acme, connect(), now)
    live = ensure_customer(acme, connect(), livemode=True, now=now)
    assert test != live
    assert organization_of(test) == organization_of(live) == acme


def test_killed_after_the_call_before_it_was_recorded(acme, connect, now, monkeypatch) -> None:
    class Killed(BaseException):
        pass

    def die(*arguments: Any, **words: Any) -> str:
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(customers, "record_customer", die)
        ensure(acme, connect(), now)
    assert CustomerLink.objects.get().customer_id is None
    (made,) = customers_at(connect())
    assert ensure(acme, connect(), now + timedelta(hours=1)) == made["id"]
    assert len(customers_at(connect())) == 1


def test_killed_after_the_intent_before_the_call(acme, connect, now) -> None:
    intent = customers.write_intent(acme, livemode=False, now=now)
    customer_id = ensure(acme, connect(), now)
    intent.refresh_from_db()
    assert intent.customer_id == customer_id


def test_a_changed_name_between_two_attempts_still_makes_the_same_call(acme, connect, now) -> None:
    with pytest.raises(stripe.APIConnectionError):
        ensure(acme, connect(FaultyClient(fault="answer lost"), retries=0), now)
    acme.name, acme.billing_email = "Acme & Daughters", "new@example.com"
    acme.save()
    (made,) = customers_at(connect())
    assert ensure(acme, connect(), now) == made["id"]


def test_a_customer_with_the_same_email_is_not_taken(acme, connect, now) -> None:
    stranger = connect().v1.customers.create({"email": acme.billing_email, "name": acme.name})
    assert ensure(acme, connect(), now) != stranger.id
    assert len(customers_at(connect())) == 2


def test_an_intent_older_than_stripes_keys_finds_the_customer_whose_answer_was_lost(acme, connect, now) -> None:
    with pytest.raises(stripe.APIConnectionError):
        ensure(acme, connect(FaultyClient(fault="answer lost"), retries=0), now)
    connect().v1.customers.create({"email": acme.billing_email})
    (made,) = [customer for customer in customers_at(connect()) if customer["metadata"]]
    assert ensure(acme, connect(), now + timedelta(days=3)) == made["id"]
    assert len(customers_at(connect())) == 2


def test_an_intent_older_than_stripes_keys_that_made_nothing_starts_over(acme, connect, now) -> None:
    intent = customers.write_intent(acme, livemode=False, now=now)
    acme.billing_email = "later@example.com"
    acme.save()
    customer_id = ensure(acme, connect(), now + timedelta(days=3))
    (made,) = customers_at(connect())
    assert (made["id"], made["email"]) == (customer_id, "later@example.com")
    assert CustomerLink.objects.get().idempotency_key != intent.idempotency_key


def test_many_who_start_over_at_once_make_one_customer(acme, connect, now) -> None:
    customers.write_intent(acme, livemode=False, now=now)
    clients = [connect(retries=0) for _ in range(8)]
    answers = race([partial(ensure, acme, client, now + timedelta(days=3)) for client in clients])
    assert [customer["id"] for customer in customers_at(connect())] == list(set(answers))


@pytest.mark.parametrize(
    ("age", "settling"),
    [
        (timedelta(hours=22, minutes=59), False),  # the key still protects
        (timedelta(hours=23), True),  # a call under it may be on its way
        (timedelta(hours=23, minutes=9), True),
        (timedelta(hours=23, minutes=10), False),  # none can be any more
    ],
)
def test_nobody_calls_while_a_key_is_given_up(acme, connect, now, age, settling) -> None:
    customers.write_intent(acme, livemode=False, now=now - age)
    if settling:
        with pytest.raises(CustomerIsSettling):
            ensure(acme, connect(), now)
        assert customers_at(connect()) == []
    else:
        assert ensure(acme, connect(), now)


def test_a_failure_that_stripe_repeats_does_not_shut_the_organization_out(acme, connect, now) -> None:
    """The faulty Stripe made the customer although it said that it failed."""
    answer = ensure(acme, connect(FaultyClient(fault="failure repeated")), now)
    assert [customer["id"] for customer in customers_at(connect())] == [answer]


def test_what_stripe_refuses_can_be_corrected_and_tried_again(acme, connect, now) -> None:
    acme.name = "x" * 300  # longer than Stripe takes
    with transaction.atomic():
        CustomerLink.objects.create(
            organization=acme,
            livemode=False,
            idempotency_key="first",
            keyed_at=now,
            parameters=customers.describe_customer(acme),
        )
    with pytest.raises(stripe.InvalidRequestError):
        ensure(acme, connect(), now)
    assert ensure(Organization.objects.get(pk=acme.pk), connect(), now)


def test_it_refuses_to_call_inside_a_transaction(acme, connect, now) -> None:
    with transaction.atomic(), pytest.raises(RuntimeError):
        ensure(acme, connect(), now)
    assert customers_at(connect()) == []


def seen(acme: Organization, now: datetime, **changes: Any) -> dict[str, Any]:
    """A customer as the mirror sees it."""
    return {
        "id": "cus_seen",
        "object": "customer",
        "created": int(now.timestamp()),
        "email": acme.billing_email,
        "livemode": False,
        "metadata": {"kessai_organization": acme.public_id},
        **changes,
    }


def test_the_mirror_brings_home_a_customer_that_an_intent_waits_for(acme, connect, now) -> None:
    customers.write_intent(acme, livemode=False, now=now)
    assert adopt_customer(seen(acme, now), now=now) == acme
    assert organization_of("cus_seen") == acme
    assert ensure(acme, connect(), now) == "cus_seen"
    assert adopt_customer(seen(acme, now), now=now) == acme  # the event comes again


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"metadata": {}}, "an e-mail address is no evidence"),
        ({"metadata": {"kessai_organization": "org_other"}}, "it names somebody else"),
        ({"livemode": True}, "modes never mix"),
        ({"deleted": True}, "it is gone"),
        ({"created": 1_500_000_000}, "it is older than the intent: somebody edited its metadata"),
    ],
)
def test_the_mirror_adopts_nobody_elses_customer(acme, now, changes, why) -> None:
    customers.write_intent(acme, livemode=False, now=now)
    assert adopt_customer(seen(acme, now, **changes), now=now) is None, why
    assert CustomerLink.objects.get().customer_id is None


def test_without_an_intent_nothing_is_adopted(acme, now) -> None:
    assert adopt_customer(seen(acme, now), now=now) is None


def test_a_link_is_never_pointed_elsewhere(acme, connect, now) -> None:
    customer_id = ensure(acme, connect(), now)
    assert adopt_customer(seen(acme, now), now=now) is None
    assert organization_of(customer_id) == acme
    assert organization_of("cus_seen") is None


def test_a_customer_of_another_organization_stays_theirs(acme, charlie, connect, now) -> None:
    theirs = charlie.organizations.get()
    customer_id = ensure(theirs, connect(), now)
    customers.write_intent(acme, livemode=False, now=now)
    assert adopt_customer(seen(acme, now, id=customer_id), now=now) == theirs
