"""The demo company's customers: organizations in different states, and the people who belong to them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from allauth.account.models import EmailAddress
from djstripe.models import Subscription
from stripe import StripeClient

from accounts.customers import ensure_customer
from accounts.models import CustomerLink, Membership, Organization, Role, User
from config.demo.cast import CUSTOMER, OPERATOR, PASSWORD
from config.demo.catalogue import lookup_key

TRIAL_DAYS = 14
GOOD_CARD = "pm_card_visa"
# Can be attached; every charge is declined (Stripe docs: "Testing", declined payments).
DECLINING_CARD = "pm_card_chargeCustomerFail"
CHALLENGING_CARD = "pm_card_authenticationRequired"

PEOPLE = (
    (CUSTOMER, "Hana Sato", "Asia/Tokyo", False),
    (OPERATOR, "Olga Petrov", "Asia/Tokyo", True),
    ("kenji@kessai.example", "Kenji Mori", "Asia/Tokyo", False),
    ("maria@kessai.example", "Maria Lind", "Europe/Stockholm", False),
)


# What happened between a customer and Stripe, given the customer's id and a price's.
Story = Callable[[StripeClient, str, str], None]


@dataclass(frozen=True)
class Customer:
    """An organization, who belongs to it, and how its subscription came about."""

    name: str
    members: dict[str, Role]
    story: Story | None
    price: str = ""
    status: str = ""  # what the subscription must have become
    part_of: str = ""  # the organization above it, which stands before it here

    @property
    def email(self) -> str:
        return f"billing@{self.name.split()[0].lower()}.example"


def subscribe(stripe: StripeClient, customer: str, price: str) -> None:
    pay_by(stripe, customer, GOOD_CARD)
    create_subscription(stripe, customer, price)


def try_out(stripe: StripeClient, customer: str, price: str) -> None:
    pay_by(stripe, customer, GOOD_CARD)
    create_subscription(stripe, customer, price, trial_period_days=TRIAL_DAYS)


def fall_behind(stripe: StripeClient, customer: str, price: str) -> None:
    """End a trial on a card that is declined: the first real payment fails."""
    pay_by(stripe, customer, DECLINING_CARD)
    subscription = create_subscription(stripe, customer, price, trial_period_days=TRIAL_DAYS)
    stripe.v1.subscriptions.update(subscription, params={"trial_end": "now"})


def schedule_the_end(stripe: StripeClient, customer: str, price: str) -> None:
    pay_by(stripe, customer, GOOD_CARD)
    subscription = create_subscription(stripe, customer, price)
    stripe.v1.subscriptions.update(subscription, params={"cancel_at_period_end": True})


def leave(stripe: StripeClient, customer: str, price: str) -> None:
    pay_by(stripe, customer, GOOD_CARD)
    stripe.v1.subscriptions.cancel(create_subscription(stripe, customer, price))


def stop_at_the_bank(stripe: StripeClient, customer: str, price: str) -> None:
    """Leave the first payment waiting for the cardholder's confirmation."""
    pay_by(stripe, customer, CHALLENGING_CARD)
    create_subscription(stripe, customer, price, payment_behavior="default_incomplete")


CUSTOMERS = (
    Customer(
        "Kumo Robotics",
        {CUSTOMER: Role.OWNER, "kenji@kessai.example": Role.ADMIN, "maria@kessai.example": Role.MEMBER},
        subscribe,
        lookup_key("business", "month", "jpy"),
        "active",
    ),
    Customer(
        "Hanabi Studio",
        {CUSTOMER: Role.OWNER, "kenji@kessai.example": Role.MEMBER},
        try_out,
        lookup_key("team", "month", "jpy"),
        "trialing",
    ),
    Customer(
        "Sakura Coffee Roasters",
        {CUSTOMER: Role.BILLING, "kenji@kessai.example": Role.OWNER},
        fall_behind,
        lookup_key("team", "month", "jpy"),
        "past_due",
    ),
    Customer(
        "Northwind Trading",
        {CUSTOMER: Role.ADMIN, "maria@kessai.example": Role.OWNER},
        schedule_the_end,
        lookup_key("business", "year", "usd"),
        "active",
    ),
    Customer(
        "Tanuki Games",
        {"kenji@kessai.example": Role.OWNER},
        leave,
        lookup_key("starter", "month", "jpy"),
        "canceled",
    ),
    Customer(
        "Fjord Analytics",
        {CUSTOMER: Role.MEMBER, "maria@kessai.example": Role.OWNER},
        stop_at_the_bank,
        lookup_key("team", "month", "usd"),
        "incomplete",
    ),
    Customer("Paper Crane Books", {CUSTOMER: Role.OWNER}, None),
    Customer("Osaka Works", {"maria@kessai.example": Role.OWNER, CUSTOMER: Role.ADMIN}, None, part_of="Kumo Robotics"),
)


def make_people() -> dict[str, User]:
    """Make those who can sign in, their addresses confirmed; return them by address."""
    people = {}
    for email, name, zone, is_operator in PEOPLE:
        user = User.objects.filter(email=email).first() or User.objects.create_user(
            email, PASSWORD, name=name, time_zone=zone, is_staff=is_operator, is_superuser=is_operator
        )
        EmailAddress.objects.get_or_create(user=user, email=email, defaults={"verified": True, "primary": True})
        people[email] = user
    return people


def make_organizations(stripe: StripeClient, people: dict[str, User], *, now: datetime) -> None:
    """Make the organizations and let each live through its story, once."""
    for customer in CUSTOMERS:
        parent = Organization.objects.filter(name=customer.part_of).first()
        organization, _ = Organization.objects.get_or_create(
            name=customer.name, defaults={"billing_email": customer.email, "parent": parent}
        )
        for email, role in customer.members.items():
            Membership.objects.get_or_create(organization=organization, user=people[email], defaults={"role": role})
        if customer.story:
            live_through(stripe, organization, customer.story, customer.price, now=now)


def live_through(
    stripe: StripeClient, organization: Organization, story: Story, price_key: str, *, now: datetime
) -> None:
    customer_id = ensure_customer(organization, stripe, livemode=False, now=now)
    if stripe.v1.subscriptions.list(params={"customer": customer_id, "status": "all", "limit": 1}).data:
        return
    price = stripe.v1.prices.list(params={"lookup_keys": [price_key], "limit": 1}).data[0]
    story(stripe, customer_id, price.id)


def pay_by(stripe: StripeClient, customer: str, card: str) -> None:
    """Attach a test card and make it the one that invoices are paid with."""
    method = stripe.v1.payment_methods.attach(card, params={"customer": customer})
    stripe.v1.customers.update(customer, params={"invoice_settings": {"default_payment_method": method.id}})


def create_subscription(stripe: StripeClient, customer: str, price: str, **more: Any) -> str:
    params: Any = {"customer": customer, "items": [{"price": price}], **more}
    return stripe.v1.subscriptions.create(params).id


def is_mirrored() -> bool:
    """Say whether the mirror holds every customer's subscription in the state that its story ends with."""
    return not missing()


def missing() -> list[str]:
    """Return what the mirror lacks, in words for a log."""
    lacking = []
    for customer in CUSTOMERS:
        if not customer.story:
            continue
        link = CustomerLink.objects.filter(organization__name=customer.name).first()
        found = Subscription.objects.filter(customer__id=link.customer_id) if link else Subscription.objects.none()
        statuses = [subscription.stripe_data["status"] for subscription in found]
        if statuses != [customer.status]:
            lacking.append(f"{customer.name}: {customer.status} expected, {statuses} mirrored")
    return lacking
