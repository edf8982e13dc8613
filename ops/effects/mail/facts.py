"""What a letter may speak of: the organization, who reads it, the plan, the invoice, and what the workflow gave."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from djstripe import models as mirror

from accounts.models import Organization, Role, User
from accounts.zones import zone_or_utc
from billing.entitlements.suspend import data_of
from billing.mirror import querysets
from billing.mirror.facts import InvoiceFacts, PaymentFailure, invoice_facts, subscription_facts
from billing.money import format_money
from billing.thread.words import date_words, reason_words
from ops.effects.mail.letters import Letter, read_letter, write

TOLD = (Role.OWNER, Role.BILLING)  # who hears of money; an admin who wants to is given the role


@dataclass(frozen=True)
class Reader:
    """To whom a mail goes, and how that person reads."""

    email: str
    name: str
    language: str
    zone: str


@dataclass(frozen=True)
class Topic:
    """What a mail is about: facts as they are when it is written."""

    organization: Organization
    now: datetime
    invoice: InvoiceFacts | None = None
    failure: PaymentFailure | None = None
    plan: str = ""
    data: Mapping[str, Any] | None = None


class NoSuchInvoice(LookupError):
    """The mirror has no such invoice of this customer."""


def topic_of(
    organization: Organization, customer_id: str, *, invoice_id: str, data: Mapping[str, Any], now: datetime
) -> Topic:
    """Read what a mail is about from the mirror. Raises NoSuchInvoice."""
    if not invoice_id:
        subscription = querysets.current_subscription(organization)
        products = [item.product_id for item in subscription.items] if subscription else []
        return Topic(organization, now, plan=names_of(products), data=data)
    said = data_of(mirror.Invoice, invoice_id, customer_id)
    if said is None:
        raise NoSuchInvoice(f"{invoice_id} is not mirrored, or is no invoice of {customer_id}.")
    invoice = invoice_facts(said)
    return Topic(organization, now, invoice, querysets.failure_of(invoice), plan_of(invoice), data)


def plan_of(invoice: InvoiceFacts) -> str:
    said = data_of(mirror.Subscription, invoice.subscription_id, invoice.customer_id)
    return names_of([item.product_id for item in subscription_facts(said).items]) if said else ""


def names_of(product_ids: list[str]) -> str:
    names = querysets.product_names(product_ids)
    return " + ".join(dict.fromkeys(names[product] for product in product_ids if product in names))


def readers_of(organization: Organization) -> list[Reader]:
    """Return who hears of an organization's money: owner and billing members, and its billing address."""
    members = User.objects.filter(memberships__organization=organization, memberships__role__in=TOLD, is_active=True)
    people = list(members.order_by("memberships__pk"))
    readers = {user.email.lower(): reader_of(user) for user in people}
    address = organization.billing_email.lower()
    if address and address not in readers:
        like = User.objects.filter(email=address).first() or next(iter(people), None)
        language, zone = (like.language, like.time_zone) if like else (settings.LANGUAGE_CODE, "UTC")
        readers[address] = Reader(organization.billing_email, organization.name, language, zone)
    return list(readers.values())


def reader_of(user: User) -> Reader:
    return Reader(user.email, user.get_full_name(), user.language, user.time_zone)


def write_to(reader: Reader, template: str, topic: Topic, more: Mapping[str, Any]) -> Letter:
    """Write a letter in the reader's language and zone. Raises BadLetter."""
    with translation.override(reader.language), timezone.override(ZoneInfo(zone_or_utc(reader.zone))):
        source = read_letter(template, reader.language)
        return write(source, values_of(reader, topic) | dict(more), site_url=settings.SITE_URL)


def values_of(reader: Reader, topic: Topic) -> dict[str, Any]:
    """Everything that a letter may name, in the active language and zone."""
    organization = topic.organization
    account = reverse("billing:overview", kwargs={"organization_id": organization.public_id})
    values: dict[str, Any] = {
        "name": reader.name,
        "organization": organization.name,
        "plan": topic.plan or _("Your subscription"),
        "account_url": settings.SITE_URL + account,
        "now": topic.now,
        "data": dict(topic.data or {}),
    }
    return values | ({"invoice": said_of(topic.invoice, topic.failure)} if topic.invoice else {})


def said_of(invoice: InvoiceFacts, failure: PaymentFailure | None) -> dict[str, Any]:
    language = get_language() or settings.LANGUAGE_CODE
    return {
        "number": invoice.number or invoice.id,
        "owed": format_money(invoice.amount_remaining, invoice.currency, language),
        "paid": format_money(invoice.amount_paid, invoice.currency, language),
        "total": format_money(invoice.total, invoice.currency, language),
        "day": date_words(invoice.finalized_at or invoice.created, language=language),
        "reason": reason_words(failure),
        "pay_url": invoice.hosted_url,
    }


class Sample(dict[str, Any]):
    """Whatever a workflow may give, for checking a letter: money, a moment, a text, with anything inside."""

    def __init__(self) -> None:
        super().__init__(amount=5000, currency="jpy")

    def __missing__(self, key: str) -> "Sample":
        return Sample()

    def __str__(self) -> str:
        return SAMPLE_MOMENT.isoformat()


SAMPLE_MOMENT = datetime(2026, 1, 31, 9, tzinfo=UTC)


def sample_values() -> dict[str, Any]:
    """What a letter is tried on before its playbook is applied."""
    shown = ("number", "owed", "paid", "total", "day", "reason")
    return {
        "name": "Alice",
        "organization": "Acme",
        "plan": "Business",
        "account_url": "https://example.com/",
        "now": SAMPLE_MOMENT,
        "data": Sample(),
        "question": "Shall we?",
        "note": "",
        "answer_url": "https://example.com/answer",
        "until": SAMPLE_MOMENT.isoformat(),
        "invoice": {name: name for name in shown} | {"pay_url": "https://example.com/pay"},
    }
