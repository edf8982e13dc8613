"""Pages that are read: every state of them, from the mirror alone, in a bounded number of queries."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Membership, Organization, Role, User
from billing.checkout.models import CheckoutOrder, OrderState
from billing.mirror.querysets import current_subscription, living_subscription
from tests.billing.mirrored import put_in_mirror
from tests.billing.objects import card, declined_intent, invoice, item, line, open_invoice, subscription, ts
from tests.cast import make_user, sign_in

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("plans", "nobody_answers")]

PAGES = ["", "plans/", "invoices/", "invoices/in_1/", "checkout/return/"]
MOST_QUERIES = 20  # session, user and membership (3), the frame (2), the thread (11), the page's own


def address(organization: Organization, page: str = "") -> str:
    return f"/o/{organization.public_id}/{page}"


def read(organization: Organization, user: User, page: str = "") -> str:
    response = sign_in(user).get(address(organization, page))
    assert response.status_code == 200
    return response.content.decode()


@pytest.fixture
def subscribed(acme: Organization, customer_of: Callable[..., None]) -> Organization:
    """Acme has Business and has paid its first invoice."""
    customer_of(acme, "cus_1")
    put_in_mirror(card(), subscription(), invoice())
    return acme


def fail_renewal(**fields: Any) -> None:
    """Acme's renewal was declined; Stripe tries again in two days."""
    put_in_mirror(
        card(),
        subscription(status="past_due", latest_invoice="in_2"),
        open_invoice(next_payment_attempt=ts(timezone.now() + timedelta(days=2)), **fields),
        declined_intent(),
    )


def order(organization: Organization, **fields: Any) -> CheckoutOrder:
    now = timezone.now()
    usual = {
        "organization": organization,
        "price_id": "price_business",
        "state": OrderState.OPEN,
        "idempotency_key": f"checkout:{organization.public_id}",
        "session_id": "cs_test_1",
        "session_url": "https://checkout.stripe.com/c/pay/cs_test_1",
        "created_at": now,
        "expires_at": now + timedelta(hours=1),
    }
    return CheckoutOrder.objects.create(**{**usual, **fields})


# --- the overview -----------------------------------------------------------------------------------


def test_an_empty_overview_names_the_first_step(acme: Organization, alice: User) -> None:
    page = read(acme, alice)
    assert "You have no plan yet." in page
    assert f'href="{address(acme, "plans/")}"' in page


def test_the_overview_says_plan_price_and_payment_method(subscribed: Organization, alice: User) -> None:
    page = read(subscribed, alice)
    for words in ("Business is active.", "¥5,000 per month", "Visa ·· 4242", "ACME-0001"):
        assert words in page


def test_a_failed_renewal_says_why_and_where_to_pay(
    acme: Organization, alice: User, customer_of: Callable[..., None]
) -> None:
    customer_of(acme, "cus_1")
    fail_renewal()
    page = read(acme, alice)
    assert "Your bank declined the card (insufficient funds)." in page
    assert 'href="https://invoice.stripe.com/i/in_2"' in page
    assert "Pay ¥5,000 now" in page


def test_names_from_outside_are_escaped(acme: Organization, alice: User, customer_of: Callable[..., None]) -> None:
    acme.name = "<script>alert(1)</script>"
    acme.save()
    customer_of(acme, "cus_1")
    put_in_mirror(card(brand="<img src=x>"), subscription())
    page = read(acme, alice)
    assert "<script>alert(1)" not in page
    assert "<img src=x>" not in page.lower()


def test_a_second_subscription_made_at_stripe_is_shown_beside(subscribed: Organization, alice: User) -> None:
    put_in_mirror(subscription("sub_2", items=[item(price={"product": "prod_team", "unit_amount": 2000})]))
    page = read(subscribed, alice)
    assert "¥2,000 per month" in page
    assert "¥5,000 per month" in page


# --- roles and outsiders ----------------------------------------------------------------------------


def test_of_two_subscriptions_of_one_second_every_question_is_answered_by_the_same(subscribed: Organization) -> None:
    for number in range(5):
        put_in_mirror(subscription(f"sub_same_{number}"))
    living, current = living_subscription(subscribed), current_subscription(subscribed)
    assert living and current and living.id == current.id == "sub_same_4"


@pytest.mark.parametrize("page", PAGES)
def test_another_organizations_page_is_not_found(subscribed: Organization, charlie: User, page: str) -> None:
    assert sign_in(charlie).get(address(subscribed, page)).status_code == 404


@pytest.mark.parametrize("page", PAGES)
def test_a_visitor_is_asked_to_sign_in(subscribed: Organization, page: str) -> None:
    response = Client().get(address(subscribed, page))
    assert response.status_code == 302
    assert response["Location"].startswith("/accounts/login/")


def test_another_organizations_invoice_is_not_found(
    subscribed: Organization, alice: User, charlie: User, customer_of: Callable[..., None]
) -> None:
    other = Organization.objects.get(name="Charlie's Own")
    customer_of(other, "cus_2")
    put_in_mirror(invoice("in_of_charlie", customer="cus_2"))
    assert sign_in(alice).get(address(subscribed, "invoices/in_of_charlie/")).status_code == 404
    assert sign_in(charlie).get(address(other, "invoices/in_of_charlie/")).status_code == 200


@pytest.mark.parametrize(
    ("role", "page", "method", "status"),
    [
        # a member sees the state, not the amounts on documents, and moves no money
        (Role.MEMBER, "", "get", 200),
        (Role.MEMBER, "plans/", "get", 200),
        (Role.MEMBER, "checkout/return/", "get", 302),
        (Role.MEMBER, "invoices/", "get", 403),
        (Role.MEMBER, "invoices/in_1/", "get", 403),
        (Role.MEMBER, "cancel/", "get", 403),
        (Role.MEMBER, "cancel/", "post", 403),
        (Role.MEMBER, "resume/", "post", 403),
        (Role.MEMBER, "subscribe/", "post", 403),
        (Role.MEMBER, "payment-method/", "post", 403),
        # billing and above do
        (Role.BILLING, "invoices/", "get", 200),
        (Role.BILLING, "cancel/", "get", 200),
        (Role.ADMIN, "invoices/in_1/", "get", 200),
        (Role.ADMIN, "cancel/", "get", 200),
        # what changes something is never done by following a link
        (Role.ADMIN, "subscribe/", "get", 405),
        (Role.ADMIN, "resume/", "get", 405),
        (Role.ADMIN, "payment-method/", "get", 405),
    ],
)
def test_who_may_do_what(subscribed: Organization, role: Role, page: str, method: str, status: int) -> None:
    user = make_user("Dora")
    Membership.objects.create(organization=subscribed, user=user, role=role)
    assert getattr(sign_in(user), method)(address(subscribed, page)).status_code == status


def test_a_refusal_stands_in_the_frame_of_the_organization_that_refuses(subscribed: Organization, bob: User) -> None:
    other = Organization.objects.create(name="Bob's Own", billing_email=bob.email)
    Membership.objects.create(organization=other, user=bob, role=Role.OWNER)
    client = sign_in(bob)
    client.get(address(other))
    refused = client.get(address(subscribed, "invoices/"))
    assert refused.status_code == 403
    assert f'href="{address(subscribed, "plans/")}"' in refused.content.decode()
    assert address(other, "plans/") not in refused.content.decode()


def test_a_member_is_shown_no_button_that_would_be_refused(subscribed: Organization, bob: User) -> None:
    page = read(subscribed, bob)
    assert "Business is active." in page
    for act in ("cancel/", "payment-method/", "resume/", "invoices/"):
        assert address(subscribed, act) not in page


# --- plans ------------------------------------------------------------------------------------------


def test_plans_stand_in_their_order_with_price_and_button(acme: Organization, alice: User) -> None:
    page = read(acme, alice, "plans/?currency=jpy")
    assert page.index("Team") < page.index("Business")
    assert "Subscribe to Business\u00a0· ¥5,000 per month" in page
    assert 'value="price_business"' in page


def test_plans_turn_to_years_without_a_script(acme: Organization, alice: User) -> None:
    assert "Subscribe to Business\u00a0· ¥50,000 per year" in read(acme, alice, "plans/?currency=jpy&interval=year")


@pytest.mark.parametrize("query", ["interval=fortnight", "currency=xyz", "interval=&currency=", "left=1"])
def test_a_query_that_makes_no_sense_still_shows_plans(acme: Organization, alice: User, query: str) -> None:
    assert "Subscribe to Business" in read(acme, alice, f"plans/?{query}")


def test_the_present_plan_is_marked_and_no_second_is_offered(subscribed: Organization, alice: User) -> None:
    page = read(subscribed, alice, "plans/")
    assert "Your plan" in page
    assert "Subscribe to" not in page


@pytest.mark.parametrize(
    ("fields", "title", "text"),
    [
        ({}, "Business is your plan.", "It cannot be changed into another one here yet. To go over to another plan"),
        ({"status": "trialing"}, "Business is your plan.", "it goes on until"),
        ({"cancel_at_period_end": True}, "Business is your plan until", "After that you can begin with any plan"),
        ({"status": "past_due"}, "A payment for Business is open.", "The overview says what happened"),
        ({"status": "unpaid"}, "A payment for Business is open.", "You can begin with another plan once Business"),
        ({"status": "incomplete"}, "The first payment for Business is not complete.", "it ends at once"),
        ({"status": "paused"}, "Business is your plan.", "You can begin with another plan once Business has ended."),
        ({"items": []}, "Your subscription is your plan.", "once Your subscription has ended."),
    ],
)
@pytest.mark.parametrize("page", ["plans/", "begin/?plan=team"])
def test_who_has_a_plan_reads_how_to_come_to_another_one(
    acme: Organization, alice: User, customer_of: Callable[..., None], fields: Any, title: str, text: str, page: str
) -> None:
    customer_of(acme, "cus_1")
    put_in_mirror(subscription(**fields))
    shown = read(acme, alice, page)
    assert title in shown
    assert text in shown
    assert (address(acme, "cancel/") in shown) == ("cancel_at_period_end" not in fields)


def test_who_pays_by_the_year_sees_their_own_price_first(
    acme: Organization, alice: User, customer_of: Callable[..., None]
) -> None:
    customer_of(acme, "cus_1")
    yearly = {"interval": "year", "interval_count": 1, "usage_type": "licensed", "meter": None}
    put_in_mirror(subscription(items=[item(price={"recurring": yearly})]))
    assert "¥50,000" in read(acme, alice, "plans/?currency=jpy")
    assert "¥50,000" not in read(acme, alice, "plans/?currency=jpy&interval=month")


def test_a_member_reads_whose_decision_another_plan_is(subscribed: Organization, bob: User) -> None:
    page = read(subscribed, bob, "plans/")
    assert "The people who manage billing in your organization decide about it" in page
    assert address(subscribed, "cancel/") not in page


def test_who_has_no_plan_any_more_is_offered_all(
    acme: Organization, alice: User, customer_of: Callable[..., None]
) -> None:
    customer_of(acme, "cus_1")
    put_in_mirror(subscription(status="canceled", ended_at=1_770_100_000))
    page = read(acme, alice, "plans/")
    assert "Subscribe to Team" in page
    assert "is your plan" not in page


def test_an_order_that_waits_for_confirmation_is_not_paid_twice(acme: Organization, alice: User) -> None:
    waiting = order(acme, returned_at=timezone.now())
    page = read(acme, alice, "plans/")
    assert "An order waits for Stripe's confirmation." in page
    assert "Go on to the payment page" not in page
    CheckoutOrder.objects.filter(pk=waiting.pk).update(answer="open")  # Stripe has said that it is not paid
    assert "Go on to the payment page" in read(acme, alice, "plans/")


@pytest.mark.parametrize(
    ("came_from", "leads_to"),
    [
        ("http://testserver/o/org_1/plans/?interval=year", "/o/org_1/plans/?interval=year"),
        ("https://evil.example/", "/"),
        ("", "/"),
    ],
)
def test_a_form_sent_after_the_session_ended_comes_back_to_its_page(
    acme: Organization, came_from: str, leads_to: str
) -> None:
    answer = Client().post(address(acme, "subscribe/"), {"price": "price_business"}, headers={"referer": came_from})
    assert parse_qs(urlsplit(answer["Location"]).query) == {"next": [leads_to]}


def test_an_open_page_leads_back_to_itself(acme: Organization, alice: User) -> None:
    order(acme)
    page = read(acme, alice, "plans/?left=1")
    assert "You left the payment page. Nothing was charged." in page
    assert "Go on to the payment page" in page


def test_no_plans_is_a_sentence(acme: Organization, alice: User) -> None:
    from djstripe.models import Product

    Product.objects.update(active=False)
    for product in Product.objects.all():
        product.stripe_data["active"] = False
        product.save()
    assert "No plan is on offer just now." in read(acme, alice, "plans/")


# --- back from the payment page ---------------------------------------------------------------------


def test_back_from_stripe_it_is_pending_and_never_active(acme: Organization, alice: User) -> None:
    placed = order(acme)
    page = read(acme, alice, "checkout/return/?session=cs_test_1")
    assert "We are waiting for Stripe&#x27;s confirmation of Business." in page
    assert "is active" not in page
    placed.refresh_from_db()
    assert placed.returned_at


def test_looking_at_the_return_page_by_hand_is_no_return(acme: Organization, alice: User) -> None:
    placed = order(acme)
    page = read(acme, alice, "checkout/return/")
    placed.refresh_from_db()
    assert placed.returned_at is None
    assert "Go on to the payment page" in page
    assert "updates by itself" not in page  # nothing is awaited but the viewer


def test_it_turns_active_when_the_mirror_says_so(
    acme: Organization, alice: User, customer_of: Callable[..., None]
) -> None:
    order(acme, state=OrderState.PAID, subscription_id="sub_1")
    customer_of(acme, "cus_1")
    put_in_mirror(subscription())
    page = read(acme, alice, "checkout/return/?session=cs_test_1")
    assert "Business is active." in page
    assert "waiting for Stripe" not in page


def test_after_minutes_without_news_it_says_what_to_do(acme: Organization, alice: User) -> None:
    order(acme, returned_at=timezone.now() - timedelta(minutes=5))
    page = read(acme, alice, "checkout/return/?session=cs_test_1")
    assert "Do not pay a second time" in page
    assert "cs_test_1" in page


def test_an_expired_order_says_that_nothing_was_charged(acme: Organization, alice: User) -> None:
    order(acme, state=OrderState.EXPIRED)
    assert "nothing was charged" in read(acme, alice, "checkout/return/?session=cs_test_1")


def test_a_session_of_somebody_else_is_not_found(acme: Organization, alice: User, charlie: User) -> None:
    order(Organization.objects.get(name="Charlie's Own"), session_id="cs_test_charlie")
    assert sign_in(alice).get(address(acme, "checkout/return/?session=cs_test_charlie")).status_code == 404


# --- invoices ---------------------------------------------------------------------------------------


def test_five_hundred_invoices_are_read_page_by_page_each_once(subscribed: Organization, alice: User) -> None:
    for number in range(2, 501):
        put_in_mirror(invoice(f"in_{number}", number=f"ACME-{number:04}", created=1_770_000_000 + number // 3))
    client, seen, query = sign_in(alice), [], ""
    for _ in range(25):
        response = client.get(address(subscribed, f"invoices/{query}"))
        seen += [row.facts.id for row in response.context["rows"]]
        if not response.context["older"]:
            break
        query = f"?before={response.context['older']}"
    assert len(seen) == len(set(seen)) == 500
    back = client.get(address(subscribed, f"invoices/?after={seen[25]}"))
    assert [row.facts.id for row in back.context["rows"]] == seen[:25]


def test_invoices_of_one_second_stand_in_the_order_of_their_numbers_everywhere(
    subscribed: Organization, alice: User
) -> None:
    for number, invoice_id in enumerate(["in_m", "in_z", "in_b", "in_y", "in_a"], start=2):
        put_in_mirror(invoice(invoice_id, number=f"ACME-{number:04}", created=1_780_000_000))
    client = sign_in(alice)
    numbers = [f"ACME-{number:04}" for number in (6, 5, 4, 3, 2)]
    first = client.get(address(subscribed, "invoices/")).context["rows"]
    assert [row.facts.number for row in first][:5] == numbers
    assert [row.facts.number for row in client.get(address(subscribed)).context["invoices"]] == numbers[:3]
    older = client.get(address(subscribed, "invoices/?before=in_b")).context["rows"]
    assert [row.facts.number for row in older][:2] == numbers[3:]
    newer = client.get(address(subscribed, "invoices/?after=in_b")).context["rows"]
    assert [row.facts.number for row in newer] == numbers[:2]


def test_an_invoice_shows_its_lines_its_sums_and_its_documents(subscribed: Organization, alice: User) -> None:
    put_in_mirror(
        invoice(
            "in_long",
            number="ACME-0777",
            lines=[line(), line(id="il_2", amount=-1200, description="Unused time on Team")],
            subtotal=3800,
            total=4180,
            amount_due=4180,
            amount_paid=4180,
            total_taxes=[{"amount": 380}],
        )
    )
    page = read(subscribed, alice, "invoices/in_long/")
    for words in ("Unused time on Team", "-¥1,200", "¥3,800", "¥380", "¥4,180"):
        assert words in page
    assert 'href="https://invoice.stripe.com/i/in_long"' in page
    assert 'href="https://pay.stripe.com/invoice/in_long/pdf"' in page


def test_a_draft_is_not_shown_before_it_is_final(subscribed: Organization, alice: User) -> None:
    put_in_mirror(invoice("in_draft", status="draft", number=None))
    assert "in_draft" not in read(subscribed, alice, "invoices/")
    assert sign_in(alice).get(address(subscribed, "invoices/in_draft/")).status_code == 404


def test_no_invoices_is_a_sentence(acme: Organization, alice: User) -> None:
    assert "No invoices yet." in read(acme, alice, "invoices/")


# --- long things, languages, queries ----------------------------------------------------------------


def test_long_names_large_sums_and_japanese_hold(
    acme: Organization, alice: User, customer_of: Callable[..., None]
) -> None:
    acme.name = "株式会社" + "長" * 56
    acme.save()
    alice.language = "ja"
    alice.save()
    customer_of(acme, "cus_1")
    put_in_mirror(
        card(),
        subscription(items=[item(quantity=999, price={"unit_amount": 999_999_999})]),
        invoice(total=998_999_999_001),
    )
    assert "¥998,999,999,001" in read(acme, alice)


@pytest.mark.parametrize("page", [*PAGES, "cancel/"])
def test_every_page_reads_in_a_bounded_number_of_queries(
    subscribed: Organization, alice: User, django_assert_max_num_queries: Any, page: str
) -> None:
    put_in_mirror(*(invoice(f"in_{number}") for number in range(10, 60)))
    order(subscribed, state=OrderState.PAID, subscription_id="sub_1")
    client = sign_in(alice)
    client.get(address(subscribed, page))
    with django_assert_max_num_queries(MOST_QUERIES):
        assert client.get(address(subscribed, page)).status_code == 200


def test_a_troubled_overview_stays_bounded_too(
    acme: Organization, alice: User, customer_of: Callable[..., None], django_assert_max_num_queries: Any
) -> None:
    customer_of(acme, "cus_1")
    fail_renewal()
    client = sign_in(alice)
    client.get(address(acme))
    with django_assert_max_num_queries(MOST_QUERIES):
        client.get(address(acme))


# --- the front door, health -------------------------------------------------------------------------


def test_the_front_door_shows_plans_to_visitors() -> None:
    page = Client().get("/").content.decode()
    assert "Begin with Business" in page
    assert "/accounts/signup/" in page


def test_the_front_door_leads_members_to_their_organization(acme: Organization, alice: User) -> None:
    assert sign_in(alice).get("/")["Location"] == address(acme)


def test_the_front_door_leads_those_without_one_to_make_it() -> None:
    assert sign_in(make_user("Dora")).get("/")["Location"] == "/organizations/new/"
