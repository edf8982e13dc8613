"""The read model: columns that say what `stripe_data` says."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.customers import record_customer
from accounts.models import CustomerLink, Organization
from billing.mirror import readmodel
from billing.mirror.monthly import monthly_amount
from billing.mirror.questions import Income, Owed, monthly_income
from billing.mirror.readtables import InvoiceRow, SubscriptionRow
from tests.billing import objects
from tests.billing.mirrored import put_in_mirror

NOW = objects.NOW
DAY = timedelta(days=1)


def cost(amount: int | None = 1000, every: str = "month", count: int = 1, **price: Any) -> dict[str, Any]:
    recurring = {"interval": every, "interval_count": count, "usage_type": price.pop("usage_type", "licensed")}
    return {"unit_amount": amount, "recurring": recurring, "billing_scheme": "per_unit", **price}


@pytest.fixture
def strangers(db: None) -> None:
    """Customers of nobody here."""
    put_in_mirror(*({"id": name, "object": "customer", "created": 1_770_000_000} for name in ("cus_1", "cus_late")))


@pytest.mark.parametrize(
    ("item", "monthly"),
    [
        ({"price": cost(5000)}, 5000),
        ({"price": cost(5000), "quantity": 3}, 15_000),
        ({"price": cost(5000), "quantity": 0}, 0),
        ({"price": cost(12_000, "year")}, 1000),
        ({"price": cost(10_000, "year")}, 833),  # 833.33…
        ({"price": cost(3000, "month", 3)}, 1000),
        ({"price": cost(12, "day")}, 365),  # 12 × 365 / 12
        ({"price": cost(84, "week")}, 365),  # 84 × 365 / 84
        ({"price": cost(1000, "month", 2), "quantity": 1}, 500),
        ({"price": cost(1, "month", 2)}, 0),  # half a minor unit: to the even one
        ({"price": cost(3, "month", 2)}, 2),
        ({"price": cost(None, unit_amount_decimal="0.5"), "quantity": 1000}, 500),  # half a cent each
        ({"price": cost(1000, usage_type="metered")}, 0),  # nobody knows beforehand
        ({"price": cost(None, billing_scheme="tiered")}, 0),
        ({"price": cost(900, transform_quantity={"divide_by": 10, "round": "up"}), "quantity": 11}, 1800),
        ({"price": cost(900, transform_quantity={"divide_by": 10, "round": "down"}), "quantity": 19}, 900),
        ({"price": {"unit_amount": 1000, "recurring": None}}, 0),  # once
        ({}, 0),
    ],
)
def test_a_month_of_an_item_costs(item: dict[str, Any], monthly: int) -> None:
    assert monthly_amount(item) == monthly


@pytest.mark.django_db
def test_a_row_says_what_the_subscription_says(acme: Organization, customer_of: Any) -> None:
    customer_of(acme, "cus_1")
    put_in_mirror(objects.subscription(cancel_at_period_end=True, trial_end=objects.ts(NOW + DAY)))
    row = SubscriptionRow.objects.get()
    assert (row.pk, row.customer_id, row.organization, row.status) == ("sub_1", "cus_1", acme, "active")
    assert (row.period_ends_at, row.ends_at, row.trial_ends_at) == (objects.END, objects.END, NOW + DAY)
    assert (row.product_id, row.price_id, row.quantity, row.monthly_amount) == (
        "prod_business", "price_business", 1, 5000,
    )  # fmt: skip
    assert row.subscription.stripe_data["id"] == "sub_1"


@pytest.mark.usefixtures("strangers")
def test_a_row_says_what_the_invoice_says() -> None:
    retry = NOW + 3 * DAY
    put_in_mirror(objects.open_invoice(due_date=objects.ts(NOW), next_payment_attempt=objects.ts(retry)))
    row = InvoiceRow.objects.get()
    assert (row.pk, row.status, row.subscription_id, row.number) == ("in_2", "open", "sub_1", "ACME-0002")
    assert (row.amount_due, row.amount_paid, row.amount_remaining) == (5000, 0, 5000)
    assert (row.due_at, row.next_payment_attempt_at, row.organization) == (NOW, retry, None)


@pytest.mark.usefixtures("strangers")
def test_it_writes_only_what_differs_and_in_one_statement() -> None:
    before = [objects.subscription(f"sub_{n}") for n in range(50)]
    put_in_mirror(*before)
    after = [{**data, "status": "past_due"} if data["id"] in ("sub_7", "sub_8") else data for data in before]
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert readmodel.update("subscription", after, now=NOW) == 2
    assert len(queries) == 1
    assert readmodel.update("subscription", after, now=NOW) == 0
    assert {row.pk for row in SubscriptionRow.objects.past_due()} == {"sub_7", "sub_8"}


@pytest.mark.django_db
def test_an_object_of_another_kind_is_passed_over() -> None:
    assert readmodel.update("product", [objects.product()], now=NOW) == 0


@pytest.mark.usefixtures("strangers")
def test_a_deleted_draft_is_no_draft_any_more() -> None:
    put_in_mirror(objects.invoice(status="draft"))
    readmodel.update("invoice", [objects.invoice(status="draft", deleted=True)], now=NOW)
    assert not InvoiceRow.objects.filter(status="draft").exists()
    assert not InvoiceRow.objects.published().exists()


@pytest.mark.usefixtures("strangers")
def test_rows_follow_a_customer_that_is_linked_later(acme: Organization) -> None:
    put_in_mirror({**objects.subscription(), "customer": "cus_late"}, {**objects.invoice(), "customer": "cus_late"})
    assert SubscriptionRow.objects.get().organization is None
    link = CustomerLink.objects.create(organization=acme, livemode=False, idempotency_key="k")
    record_customer(link, "cus_late", now=NOW)
    assert SubscriptionRow.objects.get().organization == acme
    assert InvoiceRow.objects.get().organization == acme


@pytest.mark.usefixtures("strangers")
def test_rebuilding_makes_the_rows_that_the_writer_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readmodel, "BATCH", 2)
    put_in_mirror(*(objects.subscription(f"sub_{n}", status="trialing") for n in range(5)))
    made = list(SubscriptionRow.objects.order_by("pk").values())
    SubscriptionRow.objects.filter(pk="sub_3").delete()
    SubscriptionRow.objects.filter(pk="sub_4").update(status="active", monthly_amount=1)
    assert list(readmodel.rebuild("subscription", now=NOW)) == [(2, 0), (2, 1), (1, 1)]
    assert list(SubscriptionRow.objects.order_by("pk").values()) == made


@pytest.mark.usefixtures("strangers")
def test_questions_find_the_subscriptions_they_ask_for() -> None:
    put_in_mirror(
        objects.subscription("sub_due", status="past_due"),
        objects.subscription("sub_unpaid", status="unpaid"),
        objects.subscription("sub_trial", status="trialing", trial_end=objects.ts(NOW + 2 * DAY)),
        objects.subscription("sub_later", status="trialing", trial_end=objects.ts(NOW + 20 * DAY)),
        objects.subscription("sub_ends", cancel_at=objects.ts(NOW + 3 * DAY)),
        objects.subscription("sub_ended", status="canceled", cancel_at=objects.ts(NOW + 3 * DAY)),
        objects.subscription("sub_two", items=[objects.item(), objects.item(price={"product": "prod_seat"})]),
    )
    ask, week = SubscriptionRow.objects, 7 * DAY

    def ids(rows: Any) -> set[str]:
        return {row.pk for row in rows}

    assert ids(ask.past_due()) == {"sub_due"}
    assert ids(ask.in_trouble()) == {"sub_due", "sub_unpaid"}
    assert ids(ask.trials_ending(now=NOW, within=week)) == {"sub_trial"}
    assert ids(ask.ending(now=NOW, within=week)) == {"sub_ends"}
    assert ids(ask.ending(now=NOW, within=DAY)) == set()
    assert ids(ask.living()) == {"sub_due", "sub_unpaid", "sub_trial", "sub_later", "sub_ends", "sub_two"}
    assert ids(ask.of_plan("prod_seat")) == {"sub_two"}
    assert ids(ask.of_plan("prod_business")) == ids(ask.all())
    assert ids(ask.renewals(now=NOW, within=30 * DAY)) == {"sub_due", "sub_trial", "sub_later", "sub_two"}
    assert dict(ask.by_status())["trialing"] == 2


@pytest.mark.usefixtures("strangers")
def test_income_is_told_by_plan_and_currency_and_items_count_for_their_own_plan() -> None:
    dollars = {"currency": "usd", "unit_amount": 2000}
    put_in_mirror(
        objects.subscription("sub_1"),
        objects.subscription("sub_2", items=[objects.item(quantity=2)], status="past_due"),
        objects.subscription("sub_3", items=[objects.item(), objects.item(price={"product": "prod_seat"})]),
        objects.subscription("sub_4", items=[objects.item(price=dollars)], currency="usd"),
        objects.subscription("sub_5", status="trialing"),  # nothing is charged yet
        objects.subscription("sub_6", status="canceled"),
    )
    assert monthly_income(livemode=False) == [
        Income("", "jpy", "prod_business", 20_000, 3),
        Income("", "jpy", "prod_seat", 5000, 1),
        Income("", "usd", "prod_business", 2000, 1),
    ]
    assert monthly_income(livemode=True) == []


@pytest.mark.usefixtures("strangers")
def test_open_invoices_are_summed_by_age() -> None:
    def opened(number: int, days: int, **fields: Any) -> dict[str, Any]:
        return objects.open_invoice(f"in_{number}", created=objects.ts(NOW - days * DAY), **fields)

    put_in_mirror(opened(1, 1), opened(2, 8), opened(3, 9), opened(4, 400, amount_remaining=7), objects.invoice("in_5"))
    assert InvoiceRow.objects.owed_by_age(now=NOW) == [
        Owed(0, "jpy", 1, 5000),
        Owed(7, "jpy", 2, 10_000),
        Owed(90, "jpy", 1, 7),
    ]


@pytest.mark.usefixtures("strangers")
def test_invoices_overdue_and_tried_again() -> None:
    put_in_mirror(
        objects.open_invoice("in_late", due_date=objects.ts(NOW - DAY), attempt_count=0),
        objects.open_invoice("in_soon", next_payment_attempt=objects.ts(NOW + DAY)),
        objects.invoice("in_paid", due_date=objects.ts(NOW - DAY)),
    )
    assert [row.pk for row in InvoiceRow.objects.overdue(now=NOW)] == ["in_late"]
    assert [row.pk for row in InvoiceRow.objects.tried_again(now=NOW, within=3 * DAY)] == ["in_soon"]
    assert [row.pk for row in InvoiceRow.objects.failing()] == ["in_soon"]


@pytest.mark.usefixtures("strangers")
def test_amounts_are_kept_to_the_last_digit() -> None:
    put_in_mirror(objects.invoice(total=999_999_999_999, amount_due=999_999_999_999))
    assert InvoiceRow.objects.get().total == 999_999_999_999
    assert InvoiceRow.objects.get().created_at == datetime(2026, 2, 3, 9, tzinfo=UTC)


@pytest.mark.usefixtures("strangers")
def test_the_command_says_what_it_did(capsys: pytest.CaptureFixture[str]) -> None:
    put_in_mirror(objects.subscription(), objects.invoice())
    SubscriptionRow.objects.all().delete()
    assert not readmodel.read_model_is_there()
    call_command("rebuild_read_model", verbosity=0)
    assert capsys.readouterr().out == "subscription: 1 looked at, 1 written.\ninvoice: 1 looked at, 0 written.\n"
    assert readmodel.read_model_is_there()


@pytest.mark.django_db
def test_the_command_names_the_kinds_it_knows(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        call_command("rebuild_read_model", "product")
    assert stop.value.code == 2
    assert "There is one of subscription, invoice." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("subscription", objects.subscription(cancel_at_period_end=True, trial_end=objects.ts(NOW + DAY))),
        ("subscription", objects.subscription(items=[objects.item(), objects.item(id="si_2")], schedule="sub_sched_1")),
        ("subscription", objects.subscription(pause_collection={"behavior": "void"}, cancel_at=objects.ts(NOW))),
        ("invoice", objects.open_invoice(due_date=objects.ts(NOW), next_payment_attempt=objects.ts(NOW))),
        ("invoice", objects.invoice(status="draft", deleted=True)),
    ],
)
def test_a_row_is_made_from_what_it_says_to_read_and_nothing_else(kind: str, data: dict[str, Any]) -> None:
    """Where none of that has changed, the mirror leaves a row alone."""
    table = readmodel.TABLES[kind]
    assert table.row({name: value for name, value in data.items() if name in table.reads}) == table.row(data)


def test_what_a_row_does_not_tell_of_is_no_reason_to_write_it() -> None:
    assert not readmodel.reads("subscription", {"metadata", "description", "default_payment_method"})
    assert readmodel.reads("subscription", {"metadata", "items"})
    assert not readmodel.reads("product", {"name"})
